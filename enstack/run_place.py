"""A run's folders: checked, made where they are missing, and held by one process alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from enstack.config import RunConfig, lock_file
from enstack.errors import CheckpointError, ConfigError
from enstack.run_folder import RunFolder
from enstack.storage.disks import leaving_no_empty, only_one, require_writable
from enstack.storage.links import require_no_links
from enstack.storage.places import require_own_place

__all__ = ["WRITTEN_INTO", "alone_in", "own_run_folder", "require_local_dir"]

# Folders that a run writes into; checkpoints are not among them, they are replaced whole.
WRITTEN_INTO = (
    "base_models",
    "base_models/*",
    "base_models/*/probabilities",
    "base_models/*/folds",
    "base_models/*/folds/*",
    "base_models/*/predicted",
    "base_models/*/predicted/*",
    "base_models/*/folds/*/predicted",
    "base_models/*/folds/*/predicted/*",
    "added",
    "added/*",
    "added/*/probabilities",
    "seeds",
    "prepared",
    "prepared/*",
    "tensorboard",
    "tensorboard/*",
    "stacking",
    "stacking/baselines",
    "report",
    "report/figures",
)
# Folders of local_dir that are written into; those of single caches are replaced whole.
LOCAL_FOLDERS = (
    "checkpoints",
    "columns",
    "divisions",
    "locks",
    "near_duplicates",
    "profiles",
    "scores",
    "staged",
    "tokens",
    "toy",
    "toy/data",
    "toy/models",
    "toy/models/*",
)


@contextlib.contextmanager
def own_run_folder(config: RunConfig) -> Iterator[RunFolder]:
    """The run folder of a configuration, for this process to write into; an empty one goes again.

    Raises CheckpointError or ConfigError for places that a run may not write into.
    """
    run = RunFolder(Path(config.run_dir))
    require_own_place(run.path, "run_dir")
    # Before the folder is made, and before a lock is.
    require_local_dir(config)
    require_no_links(run.path, WRITTEN_INTO, "run_dir", CheckpointError)
    with leaving_no_empty(run.path):
        _require_writable_run(run)
        require_writable(Path(config.local_dir), "local_dir", ConfigError)
        with alone_in(config):
            yield run


def _require_writable_run(run: RunFolder) -> None:
    try:
        require_writable(run.path, "run_dir", CheckpointError)
    except CheckpointError as error:
        if not (run.path.is_dir() and run.has_trained()):
            raise
        raise CheckpointError(
            f"{error} The run that lies here goes on there with resume_from={run.path}."
        ) from None


def alone_in(config: RunConfig) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder."""
    run_dir = Path(config.run_dir)
    place = lock_file(Path(config.local_dir), run_dir)
    return only_one(place, f"run_dir {run_dir}", str(run_dir.resolve()))


def require_local_dir(config: RunConfig) -> None:
    """Raise ConfigError for a local_dir that holds what is not for a run to clear, or links."""
    # Whoever needs room may delete it, so nothing that is kept may lie in it.
    others = {"run_dir": config.run_dir, "resume_from": config.resume_from}
    if config.data_dir != "toy":
        others["data_dir"] = config.data_dir
    kept = {name: Path(place) for name, place in others.items() if place}
    local_dir = Path(config.local_dir)
    require_own_place(local_dir, "local_dir", kept)
    scratch = config.scratch_dir.relative_to(local_dir)
    folders = (*LOCAL_FOLDERS, str(scratch), *(f"{scratch}/{name}" for name in WRITTEN_INTO))
    require_no_links(local_dir, folders, "local_dir", ConfigError)
