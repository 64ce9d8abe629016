"""A bundle as a folder: which files it has, and whether they are as they were exported."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from enstack.bundle.parts import Member, ModelParts
from enstack.bundle.profile import PROFILE, TRAINING
from enstack.bundle.stored_model import StoredModel, read_stored_model
from enstack.data.labels import task_of
from enstack.errors import CheckpointError, ConfigError
from enstack.progress.bars import Bar
from enstack.progress.screen import Level
from enstack.stacking.candidates import Combination
from enstack.stacking.stack import load_meta_classifier
from enstack.stacking.titles import title
from enstack.stacking.votes import Vote
from enstack.stacking.word_counts import WORDS, WordCounts, load_word_counts
from enstack.stacking_folder import StackingFolder
from enstack.storage.files import sha256_json
from enstack.storage.manifest import (
    MANIFEST,
    file_problem,
    files_below,
    folder_problems,
    read_manifest,
)

__all__ = [
    "AGAIN",
    "BUNDLE",
    "CARD",
    "DETAILS",
    "INT8",
    "INT8_EDITION",
    "PROBE",
    "bundle_digest",
    "is_bundle",
    "listed_files",
    "parts_of_bundle",
    "require_name",
    "require_whole_bundle",
    "write_parts",
]

KIND, EDITION = "enstack bundle", 2  # raise EDITION where older code must not read a bundle
DETAILS = {"kind": KIND, "edition": 1}  # what the manifest says beside the files
INT8_EDITION = 2  # which a bundle with int8.json has; older code reads the others
BUNDLE, CARD, PROBE, INT8 = "bundle.json", "README.md", "probe.json", "int8.json"
STACK, WORD_COUNTS = "meta_classifier.skops", "word_counts.skops"
BASE_MODELS, WEIGHTS = "base_models", ".safetensors"
# What a base model is loaded from: no pickle, and no code.
SUFFIXES = (WEIGHTS, ".json", ".jinja", ".model", ".txt")
OF_TRAINING = (MANIFEST, "seen_ids.npz")  # what lies beside a best model, and no loading reads
MIB = 2**20
AGAIN = "Put a good copy back, or export the run again."


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle, or was one: without its manifest it still is."""
    return (folder / BUNDLE).exists() or (read_manifest(folder) or {}).get("kind") == KIND


def require_whole_bundle(folder: Path, *, content: bool = True) -> None:
    """Raise CheckpointError, with the file's name, for a bundle that is not as it was exported.

    content: False looks at the sizes of weights alone, and reads all else.
    """
    listed = listed_files(folder)
    size = sum(entry["bytes"] for name, entry in listed.items() if content or not _heavy(name))
    # Less than this is read before one could see a bar.
    level: Level = "batch" if size > 64 * MIB else "epoch"
    with Bar(max(1, size // MIB), f"Verifying {folder.name}", unit="MiB", level=level) as bar:
        for name, entry in listed.items():
            problem = file_problem(folder / name, entry, content=content or not _heavy(name))
            if problem:
                where = (folder / name).parent
                raise CheckpointError(f"{where} must be as it was exported, but {problem}. {AGAIN}")
            bar.advance(min(entry["bytes"] // MIB, bar.total - bar.done))
    foreign = [n for n in files_below(folder / BASE_MODELS) if f"{BASE_MODELS}/{n}" not in listed]
    if foreign:
        # Transformers reads whatever it knows by name: a file more may change every token.
        raise CheckpointError(
            f"{folder / BASE_MODELS} must hold nothing but what was exported, found {foreign[0]}: "
            "move it away."
        )


def _heavy(name: str) -> bool:
    return name.endswith(WEIGHTS)


def listed_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The files of a bundle by its manifest, which must be one that an export writes."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise CheckpointError(f"A bundle must be whole, but {folder_problems(folder)[0]}. {AGAIN}")
    edition = manifest.get("edition")
    if manifest.get("kind") != KIND or not isinstance(edition, int):
        raise CheckpointError(f"{folder / MANIFEST} must be the manifest of a bundle. {AGAIN}")
    if edition > EDITION:
        raise CheckpointError(
            f"{folder} must be a bundle of edition {EDITION} at most, found {edition}: it was "
            "exported by a newer enstack. Update enstack."
        )
    listed: dict[str, dict[str, Any]] = manifest["files"]
    for name, entry in listed.items():
        if not (_is_ours(name) and _is_entry(entry)):
            raise CheckpointError(
                f"{folder} must hold the files of a bundle alone, its manifest lists {name!r:.80}."
                " It was not loaded. Use bundles that you trust, or export the run again."
            )
    lacking = [name for name in (BUNDLE, CARD, PROBE) if name not in listed]
    if lacking:
        raise CheckpointError(f"{folder / MANIFEST} must list {lacking[0]}. {AGAIN}")
    return listed


def _is_ours(name: str) -> bool:
    """Whether an export may write such a file: none that leads elsewhere, or that runs."""
    parts = name.split("/")
    if len(parts) == 3 and parts[0] == BASE_MODELS:
        named = {*parts} & {"", ".", ".."} or "\\" in name
        return not named and PurePosixPath(name).suffix in SUFFIXES
    return name in (BUNDLE, CARD, PROBE, INT8, STACK, WORD_COUNTS, PROFILE, TRAINING)


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return False
    size = entry.get("bytes")
    return isinstance(size, int) and size >= 0


def bundle_digest(folder: Path) -> str:
    """Tells what a bundle answers from what others do: all that it lists but the card."""
    listed = listed_files(folder)
    return sha256_json({name: entry for name, entry in listed.items() if name != CARD})


def parts_of_bundle(folder: Path, name: str | None) -> ModelParts:
    """The parts of a bundle's model, once every file is known to be as it was exported.

    Raises CheckpointError for a bundle that is not, ConfigError for a name that is not the model's.
    """
    require_whole_bundle(folder)
    stored = read_stored_model(folder / BUNDLE)
    require_name(folder, stored, name)
    members = tuple(
        Member(
            one.name,
            folder / BASE_MODELS / one.name,
            one.max_length,
            one.batch_size,
            one.precision,
        )
        for one in stored.base_models
    )
    task = task_of(stored.label_mode, stored.class_names)
    thresholds = None if stored.thresholds is None else np.array(stored.thresholds)
    return ModelParts(stored.name, task, members, _combination(folder, stored), thresholds)


def require_name(folder: Path, stored: StoredModel, name: str | None) -> None:
    """Raise ConfigError where another model is asked for than the one that a bundle holds."""
    key = stored.name
    called = {key, key.partition(":")[2], title(key), *(["vote"] if key == "vote:mean" else [])}
    if name is not None and str(name).casefold() not in map(str.casefold, called):
        raise ConfigError(
            f"{folder} holds one model, {key}; found {name!r:.80}. Leave the name out, or export "
            "the run with that name."
        )


def _combination(folder: Path, stored: StoredModel) -> Combination | WordCounts:
    if stored.name == WORDS:
        return load_word_counts(folder / WORD_COUNTS)
    if stored.vote is not None:
        return Vote(stored.vote.picks, stored.vote.temperatures)
    stack = load_meta_classifier(folder / STACK)
    names = tuple(one.name for one in stored.base_models)
    if stack.base_models != names:
        raise CheckpointError(
            f"{folder / STACK} must be fitted on {', '.join(names)}, found "
            f"{', '.join(map(str, stack.base_models)):.200}. {AGAIN}"
        )
    return stack


def write_parts(folder: Path, parts: ModelParts, stacking: StackingFolder) -> None:
    """Write a model's parts into a new folder, each base model's files as its manifest has them.

    stacking: that of its run. Raises CheckpointError where a copy is another one.
    """
    for member in parts.members:
        listed = (read_manifest(member.folder) or {"files": {}})["files"]
        place = folder / BASE_MODELS / member.name
        place.mkdir(parents=True)
        for name in sorted({*listed} - {*OF_TRAINING}):
            shutil.copyfile(member.folder / name, place / name)
            problem = file_problem(place / name, listed[name])
            if problem:
                raise CheckpointError(
                    f"{member.folder} must stay as it is while it is exported, but {problem}. "
                    "Export it again."
                )
    if isinstance(parts.combination, WordCounts):
        shutil.copyfile(stacking.word_counts, folder / WORD_COUNTS)
    elif not isinstance(parts.combination, Vote):
        shutil.copyfile(stacking.meta_classifier(parts.key.partition(":")[2]), folder / STACK)
