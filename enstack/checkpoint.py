"""Checkpoints: written beside, verified, renamed into place, rotated, and found again."""

from __future__ import annotations

import codecs
import itertools
import pickle
import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from enstack.errors import CheckpointError
from enstack.files import problems, read_manifest, sync_folder, write_manifest
from enstack.progress import say

LAST, PREVIOUS, BEST = "last_checkpoint", "previous_checkpoint", "best_model"
SAVING, SAVING_BEST, DISCARDED = ".saving", ".saving_best", ".discarded"
STATE_FILE, WEIGHTS_FILE = "training_state.pth", "model.safetensors"

# Old checkpoints hold metrics as numpy scalars, pickled under numpy 1 or 2; these rebuild a number
# and can do nothing else.
_scalar = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
    codecs.encode,
]

# What torch raises on files that are cut, changed or no training states.
UNREADABLE = (
    OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, TypeError,
    ArithmeticError, struct.error, pickle.UnpicklingError,
)  # fmt: skip

WriteFiles = Callable[[Path], None]


def slots(keep: int) -> list[str]:
    """Folder names of the checkpoints that are kept, newest first."""
    older = [f"{PREVIOUS}_{number}" for number in range(2, keep)]
    return [LAST, PREVIOUS, *older][:keep]


def save(folder: Path, write: WriteFiles, *, number: int, keep: int, **facts: Any) -> None:
    """Write a checkpoint into a base model's folder; what was there stays until it is verified.

    number: counts the saves of a run, so that the newest can be told without a clock.
    """
    beside = _write_verified(folder / SAVING, write, saved=number, **facts)
    _rotate(folder, slots(keep))
    beside.rename(folder / LAST)
    sync_folder(folder)


def save_best(folder: Path, write: WriteFiles, **facts: Any) -> None:
    """Write the best model; the one before stays until this one is verified."""
    beside = _write_verified(folder / SAVING_BEST, write, **facts)
    _discard(folder / BEST)
    beside.rename(folder / BEST)
    sync_folder(folder)


def _write_verified(beside: Path, write: WriteFiles, **facts: Any) -> Path:
    folder = beside.parent
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write(beside)
        write_manifest(beside, **facts)
        found = problems(beside)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"A checkpoint could not be saved in {folder}: {error}.") from error
    if found:
        raise CheckpointError(
            f"A checkpoint in {folder} was not read back as written: {found[0]}. "
            "The ones before it are untouched; check the disk."
        )
    return beside


def _rotate(folder: Path, names: list[str]) -> None:
    """Make room for a new newest checkpoint: every one moves down a slot, the oldest goes."""
    if not (folder / LAST).exists():
        return  # a rotation was interrupted when there was room already
    _discard(folder / names[-1])
    for newer, older in reversed(list(itertools.pairwise(names))):
        if (folder / newer).exists():
            (folder / newer).rename(folder / older)


def _discard(folder: Path) -> None:
    """Remove a folder under a name that no search takes for a checkpoint."""
    if not folder.exists():
        return
    doomed = folder.with_name(DISCARDED)
    empty(doomed)
    folder.rename(doomed)
    empty(doomed)


def empty(folder: Path) -> None:
    """Remove a folder; its files are cut to nothing first, for Drive's trash counts their size."""
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file():
            path.write_bytes(b"")
    shutil.rmtree(folder, ignore_errors=True)


def newest(folder: Path, keep: int) -> Path | None:
    """The newest checkpoint that verifies, or None where a run has not saved one.

    Damaged ones are named with the reason and kept aside. If all are damaged that is an error:
    training never starts from scratch in silence.
    """
    _finish_interrupted_save(folder, keep)
    present = [folder / name for name in _slots_on_disk(folder, keep) if (folder / name).is_dir()]
    faults = {path: problems(path) for path in present}
    whole = [path for path in present if not faults[path]]
    if present and not whole:
        raise CheckpointError(_all_damaged(folder, faults))
    for path, found in faults.items():
        if found:
            _keep_aside(path, found[0], whole[0])
    return max(whole, key=saved_number) if whole else None


def saved_number(folder: Path) -> int:
    """How many saves the run had made with this one."""
    return int((read_manifest(folder) or {}).get("saved", 0))


def _slots_on_disk(folder: Path, keep: int) -> list[str]:
    """The slots in use now, and those of a run that kept more."""
    extra = [path.name for path in sorted(folder.glob(f"{PREVIOUS}_*"))]
    return list(dict.fromkeys([*slots(keep), *extra]))


def _finish_interrupted_save(folder: Path, keep: int) -> None:
    """A save that was killed after its manifest was written is whole: put it in its place."""
    beside = folder / SAVING
    if beside.is_dir() and not problems(beside):
        if saved_number(beside) > saved_number(folder / LAST):
            _rotate(folder, slots(keep))
            beside.rename(folder / LAST)
        else:
            empty(beside)
    best = folder / SAVING_BEST
    if best.is_dir() and not (folder / BEST).exists() and not problems(best):
        best.rename(folder / BEST)


def _keep_aside(path: Path, reason: str, used: Path) -> None:
    number = 1
    while (aside := path.with_name(f"damaged_checkpoint_{number}")).exists():
        number += 1
    path.rename(aside)
    say(
        f"⚠️  {path.name} is damaged ({reason}); it is kept as {aside.name}, "
        f"and training goes on from {used.name}."
    )


def _all_damaged(folder: Path, faults: dict[Path, list[str]]) -> str:
    named = "; ".join(f"{path.name}: {found[0]}" for path, found in faults.items())
    return (
        f"Every checkpoint in {folder} is damaged ({named}). Nothing was changed. Put a good copy "
        "back, or train anew with another run_dir."
    )


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the training state: tensors, numbers and strings only, for weights_only=True."""
    torch.save(state, folder / STATE_FILE)


def read_state(folder: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read a training state onto the CPU; nothing in it is ever executed.

    mapped: leave the tensors in the file, to look at them only: they go with it.
    """
    path = folder / STATE_FILE
    try:
        # Files that torch wrote before 2020 are no archives and can't be mapped.
        mmap = mapped and zipfile.is_zipfile(path)
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except UNREADABLE as error:
        raise CheckpointError(f"{path} can't be read: {_why_unreadable(error)}.") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} must hold a dictionary, found {type(state).__name__}.")
    return state


def _why_unreadable(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if not isinstance(error, pickle.UnpicklingError):
        return text.splitlines()[0]
    # torch's own text advises to load without its guard, which no user should.
    named = re.search(r"GLOBAL (\S+)|got <class '(\S+)'>", text)
    holds = f"it names {named[1] or named[2]}" if named else "its pickle is damaged"
    return f"{holds}; only tensors, numbers and texts are loaded, and nothing in it was executed"
