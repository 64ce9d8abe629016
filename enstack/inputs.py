"""What a configuration names: data and base models, found, copied or made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from enstack.config import TINY_MODELS, RunConfig
from enstack.counting import counted
from enstack.data.column_cache import Columns, is_cached
from enstack.data.division import DIVISION_EDITION, Division, divided
from enstack.data.functions import VulnerabilityData, labelled, read_data, read_tables
from enstack.data.listed_pairs import listed_pairs
from enstack.data.local_copy import local_copy_of
from enstack.data.made_up import MADE_UP_NOTE, is_made_up
from enstack.data.readings import Asked, sources_of
from enstack.data.split_files import WHOLE
from enstack.data.stored_division import read_division, write_division
from enstack.duplicates.compared_texts import comparison_notes
from enstack.duplicates.contamination import drop_from_train, train_rows_to_keep
from enstack.duplicates.minhash import MINHASH_EDITION
from enstack.duplicates.table_division import digest_of_table, divide_table
from enstack.errors import ConfigError
from enstack.progress.say import say
from enstack.progress.screen import warn
from enstack.run_folder import RunFolder
from enstack.run_place import require_local_dir
from enstack.storage.caches import is_usable, making_cache
from enstack.storage.disks import require_writable, slow_storage
from enstack.storage.files import sha256_json
from enstack.storage.manifest import write_manifest
from enstack.training.tensorboard import require_tensorboard

if TYPE_CHECKING:
    from enstack.models.base_models import BaseModel


def require_configuration(config: object) -> None:
    """Raise ConfigError for what is no configuration, as in a notebook whose form was refused."""
    if not isinstance(config, RunConfig):
        raise ConfigError(
            "A run needs a configuration, made by the code as it is now; this one is missing, was "
            "refused, or is older than an update: run cell 5 again, then this cell."
        )
    require_tensorboard(config)


def require_data(config: RunConfig) -> None:
    """Raise DataError where no data lies, or none that is known; nothing of it is read."""
    if config.data_dir != "toy":
        sources_of(Path(config.data_dir), asked_of(config))


def scratch_disk(local_dir: str | Path | None = None) -> Path:
    """The scratch disk that is meant, or the usual one, once it is known that it can be used."""
    config = RunConfig(**({} if local_dir is None else {"local_dir": str(local_dir)}))
    require_writable(place := Path(config.local_dir), "local_dir", ConfigError)
    require_local_dir(config)
    return place


def read_run_data(config: RunConfig, *, keep_clean: bool = False) -> VulnerabilityData:
    """The data that a configuration names, after a line on what it holds.

    keep_clean: of label_mode=auto, leave no clean function out.
    """
    require_local_dir(config)
    data = data_of(config, keep_clean=keep_clean)
    listed, of_pairs = listed_pairs(Path(config.data_dir), asked_of(config), data)
    made_up = [MADE_UP_NOTE] if is_made_up(config.data_dir) else []
    told = [*_shared_commits(data), *of_pairs, *comparison_notes(data)]
    data = replace(data, listed_pairs=listed, notes=[*made_up, *data.notes, *told])
    if config.drop_near_duplicates:
        data = without_near_duplicates(data, config)
    sizes = ", ".join(f"{len(functions):,} {split}" for split, functions in data.splits.items())
    classes = counted(len(data.class_names), "class")
    say(f"▶ Data: {sizes} functions, {classes} ({data.label_mode})")
    for note in data.notes:
        # Whoever looks at the figures later must know.
        tell = warn if note in made_up else say
        tell(f"   · {note}")
    return data


def _shared_commits(data: VulnerabilityData) -> list[str]:
    """How many functions of validation and test come from commits that train has, short."""
    shared = data.groups["commit"].shared if "commit" in data.groups else {}
    return [
        f"⚠️  {split}: {n:,} of {counted(len(data.splits[split]), 'function')} share a commit with "
        "train; `enstack audit` tells what that is worth"
        for split, others in shared.items()
        if split != "train" and (n := others["train"])
    ]


def with_its_data(config: RunConfig) -> tuple[RunConfig, VulnerabilityData]:
    """The data of a run, and its configuration with what `auto` became by it."""
    data = read_run_data(config)
    return config.under(data.label_mode, data.division.by if data.division else None), data


def data_of(config: RunConfig, *, keep_clean: bool = False) -> VulnerabilityData:
    """The data that a configuration names, without a word and with its near-duplicates."""
    columns, division = read_splits(config)
    data = labelled(
        columns,
        label_mode=config.label_mode,
        label_rule=config.label_rule,
        min_functions_per_cwe=config.min_functions_per_cwe,
        subset=config.subset,
        seed=config.data_seed,
        keep_clean=keep_clean,
    )
    if division is None:
        return data
    return replace(data, division=division, notes=[*data.notes, *division.notes()])


def read_splits(config: RunConfig) -> tuple[dict[str, Columns], Division | None]:
    """The columns of each split; of a table without splits, how it was divided too.

    Raises ConfigError where the data has splits, and something else is asked for.
    """
    columns = read_tables(data_folder(config), asked_of(config), Path(config.local_dir))
    if WHOLE in columns:
        division = _division(columns[WHOLE], config)
        return divided(columns[WHOLE], division), division
    if config.split_by != "auto":
        raise ConfigError(
            f"split_by={config.split_by} divides a table without splits; {config.data_dir} has its "
            "three splits. Leave split_by out, or write them into one file."
        )
    return columns, None


def _division(columns: Columns, config: RunConfig) -> Division:
    """How a table is divided: as the run has it, or this machine, else found now."""
    asked, seed = config.split_by, config.data_seed
    of = digest_of_table(columns)
    stored = read_division(RunFolder(Path(config.run_dir)).division_file)
    if stored and (stored.of, stored.seed) == (of, seed) and asked in ("auto", stored.by):
        return stored
    # Both editions: another way of sketching, or of dividing, may find another division.
    editions = [MINHASH_EDITION, DIVISION_EDITION]
    made_from = {"editions": editions, "table": of, "split_by": asked, "seed": seed}
    folder = Path(config.local_dir) / "divisions" / sha256_json(made_from)
    known = read_division(folder / "division.npz") if is_usable(folder, made_from) else None
    if known is None:
        known = divide_table(columns, asked, seed)
        with making_cache(folder, made_from) as beside:
            write_division(beside / "division.npz", known)
            write_manifest(beside, made_from=made_from)
    return known


def asked_of(config: RunConfig) -> Asked:
    """What a configuration says of the columns of its data."""
    return Asked(config.layout, config.text_column, config.label_column)


def without_near_duplicates(data: VulnerabilityData, config: RunConfig) -> VulnerabilityData:
    """The data without train functions that stand in another split, compared once a machine."""
    threshold = config.drop_near_duplicates
    # The edition too: another way of sketching may find other pairs.
    made_from = {"edition": MINHASH_EDITION, "data": data.fingerprint, "threshold": threshold}
    folder = Path(config.local_dir) / "near_duplicates" / sha256_json(made_from)
    if not is_usable(folder, made_from):
        kept = train_rows_to_keep(data, threshold)
        with making_cache(folder, made_from) as beside:
            np.save(beside / "train_rows_to_keep.npy", kept)
            write_manifest(beside, made_from=made_from)
    return drop_from_train(data, np.load(folder / "train_rows_to_keep.npy"), threshold)


def data_folder(config: RunConfig) -> Path:
    """The folder, or file, to read the data from: the toy's, or a copy of a slow one."""
    folder, local_dir = Path(config.data_dir), Path(config.local_dir)
    if config.data_dir == "toy":
        return _toy_folder(config) / "data"
    if not slow_storage(folder):
        return folder
    sources = sources_of(folder, asked_of(config)).values()
    # Columns that this machine keeps are read in place of the files: nothing is to be copied.
    if all(is_cached(source, local_dir) for source in sources):
        return folder
    # Without room for a copy the data is read where it lies.
    files = {path for one in sources for path in one.files}
    copy = local_copy_of(files, local_dir, below=folder if folder.is_dir() else folder.parent)
    if copy is None:
        return folder
    return copy if folder.is_dir() else copy / folder.name


def _toy_folder(config: RunConfig) -> Path:
    """The toy data and, once a base model asks for them, the tiny models: made on this machine."""
    # Imported here: a run on real data does without the toy's modules.
    from enstack.toy.functions import TOY_EDITION, write_toy_data

    folder, made_from = Path(config.local_dir) / "toy", {"edition": TOY_EDITION}
    if not is_usable(folder / "data", made_from):
        with making_cache(folder / "data", made_from) as beside:
            write_toy_data(beside)
            write_manifest(beside, made_from=made_from)
    return folder


def base_model(name: str, model: str, config: RunConfig) -> BaseModel:
    """A base model by the name it goes by and the way it was asked for; tiny ones are made."""
    # torch takes seconds to load, and reading the data needs none of it.
    from enstack.models.base_models import HUB_IDS, BaseModel

    location = str(tiny_model(model, config)) if model in TINY_MODELS else model
    return BaseModel(name, HUB_IDS.get(location, location))


def tiny_model(name: str, config: RunConfig) -> Path:
    """The folder of a tiny base model, made on this machine if need be."""
    from enstack.toy.tiny_models import make_tiny_models

    folder = _toy_folder(config)
    # In a mode that leaves no function out: the tokenizers are made from all of them.
    sources = read_data(folder / "data", label_mode="cwe_or_clean").splits["train"].sources
    return make_tiny_models(folder / "models", sources.to_pylist())[name]
