"""Whether a run folder may be gone on with: the same data, settings and folds, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from enstack.config import FIXED_SETTINGS, RunConfig, asks_for_swa, named_again, warn_of_swa
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import Folds, SplitPlan, divide_in_folds, plan_splits
from enstack.duplicates.clusters import train_clusters
from enstack.errors import CheckpointError, ConfigError
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.storage.links import is_folder
from enstack.storage.manifest import read_manifest
from enstack.training.tensorboard import EVENT_FILE

# Where others' things would be overwritten, or taken for a run's.
WRITTEN = (
    "config.json",
    "data.json",
    "subset.json",
    "folds.npz",
    "division.npz",
    "bundle.json",  # an exported model, which is none any more beside a run's own folders
    "events.jsonl",
    "added",
    "seeds",
    f"tensorboard/*/{EVENT_FILE}",
    "stacking",
    "report",
    *(
        f"base_models/*/{name}"
        for name in ("*_checkpoint*", "best_model", "probabilities", "folds", "history.jsonl")
    ),
)
EVENT = '{"time": "'  # how a line of events.jsonl begins


def refuse_foreign_files(run: RunFolder) -> None:
    """Raise where something that no run wrote has the name of something that a run writes.

    Where no run was ever begun, that is whatever is there; else the two records, for a damaged
    result of a run is no stranger's.
    """
    if _was_begun(run):
        run.settings()
        run.data_record()
        return
    foreign = _in_the_way(run)
    if foreign:
        names = ", ".join(str(path.relative_to(run.path)) for path in foreign)
        raise CheckpointError(
            f"run_dir must hold nothing of others under the names that a run writes; {run.path} "
            f"holds {names}, and no run wrote that. Name another run_dir, or move it elsewhere."
        )


def refuse_unwanted_resume(config: RunConfig, run: RunFolder) -> None:
    """resume=false never deletes: a folder with a run in it is refused, and another one named."""
    holds_run = run.config_file.exists() or run.has_trained()
    # What was saved and never copied belongs to this run_dir too.
    if config.resume or not (holds_run or any(config.scratch_dir.glob("**/manifest.json"))):
        return
    holder = f"run_dir {run.path}" if holds_run else f"{config.scratch_dir}, on its way there,"
    number = 2
    while (other := run.path.with_name(f"{run.path.name}-{number}")).exists():
        number += 1
    raise ConfigError(
        f"resume=false starts a new run, but {holder} holds one, and no run is ever "
        f"deleted. Use run_dir={other}, or resume=true to go on."
    )


def refuse_a_model_twice(config: RunConfig, run: RunFolder) -> None:
    """Each base model is trained once; a run that was begun with one twice goes on, and says so."""
    for name, (first, again) in named_again(config.base_models).items():
        if not run.base_model(name).path.is_dir():
            raise ConfigError(
                f"base_models must name each model once; {again} is the model that {first} names: "
                "trained twice alike, it says nothing new. Leave one of them out."
            )
        say(f"⚠️  {again} is trained twice, as {name} too: this run was begun so, and goes on.")


def refuse_other_run(config: RunConfig, data: VulnerabilityData, run: RunFolder) -> None:
    """A run folder belongs to one data set and one set of training settings.

    A run that failed before it trained anything binds nobody.
    """
    stored, told_by = stored_settings(run)
    # One warning is enough: the configuration may have given it already.
    if _asks_for_swa(stored, run) and not config.swa_was_forced_off:
        warn_of_swa()
    if not run.has_trained():
        return
    wanted = config.model_dump(mode="json")
    fixed = [*FIXED_SETTINGS, *(["folds"] if config.meta_features == "out_of_fold" else [])]
    # Before the data: another label_mode makes other data too, and would be refused as that.
    for key in fixed:
        # A run that is older than a setting says nothing of it, nor does one whose record has null.
        if stored.get(key) not in (None, wanted[key]):
            raise CheckpointError(
                f"run_dir {run.path} holds a run with {key}={stored[key]}"
                f"{told_by or _differs_from_record(run, key)}, asked for is "
                f"{key}={wanted[key]}. Go back to that value, or name another run_dir."
            )
    _tell_what_was_edited(run, stored)
    _refuse_other_data(data, run)


def plan_of_run(config: RunConfig, data: VulnerabilityData, run: RunFolder) -> SplitPlan:
    """How a run divides its functions; one that has begun keeps its folds.

    Raises DataError for data that can't be divided, CheckpointError where the folds that the run
    began with are lost and can't be made again.
    """
    folds = _folds(config, data, run) if config.meta_features == "out_of_fold" else config.folds
    return plan_splits(data, meta_features=config.meta_features, folds=folds, seed=config.seed)


def _folds(config: RunConfig, data: VulnerabilityData, run: RunFolder) -> Folds | int:
    # What was saved and not copied yet was begun with its folds too.
    places = [run, RunFolder(config.scratch_dir)]
    recorded = next((one for place in places if (one := place.recorded("folds_digest"))), None)
    if recorded is None and any(place.has_trained() for place in places):
        return config.folds  # begun when folds heeded classes alone
    folds = run.read_folds(data.splits["train"].ids) if recorded else None
    if folds is None or (recorded and folds.digest != recorded[0]):
        clusters, how = train_clusters(data, config.folds)
        folds = divide_in_folds(data, clusters, config.folds, config.seed, how)
    if recorded and folds.digest != recorded[0]:
        raise CheckpointError(
            f"{run.folds_file} must hold the folds that the run began with (digest "
            f"{str(recorded[0])[:12]} in {recorded[1]}), and they can't be made again: those "
            f"found now are {folds.digest[:12]}. Put a good copy back, or name another run_dir."
        )
    return folds


def stored_settings(run: RunFolder) -> tuple[dict[str, Any], str]:
    """The settings that a run was begun with, and who tells where its record is lost.

    What nobody tells is left out: a default is not what a run was begun with.
    """
    if run.config_file.exists() or not run.has_trained():
        # What base models were trained with says more than a file that anybody may edit.
        trained_with = {key: run.recorded(key) for key in FIXED_SETTINGS}
        known = {key: found[0] for key, found in trained_with.items() if found is not None}
        return {**run.settings(), **known}, ""
    # torch takes seconds to load, and few lose their config.json.
    from enstack.training.beginnings import settings_of_checkpoints

    return settings_of_checkpoints(run), " (its checkpoints say so, for config.json is missing)"


def _differs_from_record(run: RunFolder, key: str) -> str:
    """Which folder says so, where config.json says something else."""
    found, recorded = run.recorded(key), run.settings().get(key)
    if found is None or found[0] == recorded:
        return ""
    says = "does not name it" if recorded is None else f"says {recorded}"
    return f" (so says {found[1].relative_to(run.path)}; config.json {says})"


def _tell_what_was_edited(run: RunFolder, stored: dict[str, Any]) -> None:
    """Say which settings config.json has otherwise than the base models were trained with."""
    for key, value in run.settings().items():
        if key in FIXED_SETTINGS and stored[key] != value:
            says = f"does not say its {key}" if value is None else f"says {key}={value}"
            say(
                f"⚠️  {run.config_file} {says}, but the run was trained with "
                f"{key}={stored[key]}: it is written anew."
            )


def _asks_for_swa(stored: dict[str, Any], run: RunFolder) -> bool:
    try:
        return asks_for_swa(stored.get("use_swa", False))
    except ValueError:
        raise CheckpointError(
            f"use_swa in {run.config_file} must be true or false, found {stored['use_swa']!r}. "
            "Correct it, or move the file elsewhere to have it written anew."
        ) from None


def _refuse_other_data(data: VulnerabilityData, run: RunFolder) -> None:
    recorded = run.recorded("data")
    if recorded is None and run.data_file.exists():
        recorded = run.data_record()["fingerprint"], run.data_file
    if recorded is not None and recorded[0] != data.fingerprint:
        # What draws or drops functions makes other data too, and is not told without its record.
        lost = "" if run.config_file.exists() else " and settings, put config.json back"
        raise CheckpointError(
            f"run_dir {run.path} was begun with other functions or labels (data fingerprint="
            f"{str(recorded[0])[:12]} in {recorded[1].relative_to(run.path)}, now "
            f"{data.fingerprint[:12]}). Go back to that data_dir{lost}, or name another run_dir."
        )


def _was_begun(run: RunFolder) -> bool:
    """Whether a run, or the program before this one, has left a record or a result here."""
    return (
        run.has_trained()
        or any(line.startswith(EVENT) for line in run.events())
        or _holds_record(run.settings, {"data_dir", "run_dir"}, {"use_swa"})
        or _holds_record(run.data_record, {"fingerprint"})
        or any(read_manifest(folder) for folder in (run.stacking.path, run.report))
    )


def _in_the_way(run: RunFolder) -> list[Path]:
    """What stands where a run would write, sorted; empty folders are in nobody's way."""
    found = {path for pattern in WRITTEN for path in run.path.glob(pattern)}
    # A base model's folder may be one that a user keeps there.
    places = [run.base_models, *run.base_models.glob("*")]
    found |= {path for path in places if path.is_file()}
    return sorted(p for p in found if not (is_folder(p) and not any(p.iterdir())))


def _holds_record(read: Callable[[], dict[str, Any]], *some: set[str]) -> bool:
    """Whether a record can be read and has all keys of one of the sets."""
    try:
        found = read()
    except CheckpointError:
        return False
    return any(keys <= found.keys() for keys in some)
