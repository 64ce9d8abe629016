"""The names that settings take, what makes a run this run, and names made from settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

HUB_IDS = {
    "codebert": "microsoft/codebert-base",
    "graphcodebert": "microsoft/graphcodebert-base",
    "unixcoder": "microsoft/unixcoder-base",
}
HUB_MODELS = tuple(HUB_IDS)
TINY_MODELS = ("tiny-a", "tiny-b", "tiny-c")
META_CLASSIFIERS = ("lr", "svm", "rf", "xgboost")
# What makes a run this run: going on with other values is refused. Batch size, accumulation,
# workers, precision, kernels, saves, epochs and patience may change between two calls.
FIXED_SETTINGS = (
    "label_mode",
    "subset",
    "max_length",
    "seed",
    "learning_rate",
    "weight_decay",
    "warmup_ratio",
    "scheduler",
    "max_grad_norm",
    "meta_features",
    "drop_near_duplicates",
    "label_rule",
    "split_by",
    "class_weights",
)
# They shape training alone: once it is finished, another value of theirs would be a false record.
# Others of the last two train on where they can: where nothing was trained, they had no effect.
SHAPE_TRAINING_ALONE = (
    "batch_size",
    "accumulation_steps",
    "precision",
    "deterministic",
    "save_steps",
    "num_workers",
    "keep_checkpoints",
    "epochs",
    "early_stopping_patience",
)
# What these decide, the fingerprint of the data tells.
TOLD_BY_THE_DATA = ("drop_near_duplicates", "label_rule", "split_by")


def home_expanded(path: str | Path) -> Path:
    """The path with the home folder in place of ~, as a shell would have put it."""
    # Path.expanduser raises where ~name is no user's: a folder may be called that.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def run_key(run_dir: Path) -> str:
    """A name for a run folder on the scratch disk, hex."""
    # Resolved: lock and checkpoints lie under one key, however the folder is written.
    return hashlib.sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]


def scratch_dir(local_dir: Path, run_dir: Path) -> Path:
    """Where a scratch disk keeps the checkpoints of a run folder until they are copied."""
    return local_dir / "checkpoints" / run_key(run_dir)


def lock_file(local_dir: Path, run_dir: Path) -> Path:
    """What a process holds the lock of while it is at work in a run folder."""
    # Not in run_dir: Drive's locks can't be relied on. Two machines there are not caught.
    return local_dir / "locks" / run_key(run_dir)


def named_again(base_models: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Base models that were asked for before, by another spelling too: name, and both spellings."""
    models = list(base_models)
    sources = [_source(model) for model in models]
    firsts = [models[sources.index(source)] for source in sources]
    return {
        name: (firsts[number], model)
        for number, (name, model) in enumerate(zip(base_model_names(models), models, strict=True))
        if sources.index(sources[number]) < number
    }


def _source(model: str) -> str:
    """Where a base model comes from, in one spelling: of a folder, whatever leads to it."""
    if model not in (*HUB_IDS, *TINY_MODELS) and Path(model).is_dir():
        return str(Path(model).resolve())
    return HUB_IDS.get(model, model).casefold()


def base_model_names(base_models: Iterable[str]) -> list[str]:
    """The names by which base models go: a hub id's or folder's last part, made unique."""
    names: list[str] = []
    for model in base_models:
        # A folder may be written with backslashes, and "/" has no last part.
        last = PurePosixPath(str(model).replace("\\", "/")).name or "model"
        # One more than there are names, so that one is free.
        copies = (f"{last}-{number}" for number in range(2, len(names) + 3))
        names.append(last if last not in names else next(c for c in copies if c not in names))
    return names
