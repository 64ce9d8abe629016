"""Checkpoints in one place: written beside, verified, rotated; and the newest over two places."""

from __future__ import annotations

import codecs
import contextlib
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

from enstack.errors import CheckpointError
from enstack.files import CHUNK_BYTES, Moved, ignore, sync
from enstack.manifest import HashedFolder, problems, read_manifest
from enstack.progress import say

LAST, PREVIOUS, BEST = "last_checkpoint", "previous_checkpoint", "best_model"
# Never under a name that a search takes for a checkpoint.
BESIDE = {LAST: ".saving", BEST: ".saving_best"}
DISCARDED = ".discarded"
HISTORY = "history.jsonl"  # written after a checkpoint: where it lies, one was saved
KEPT_ON_SCRATCH = 2  # run_dir has the others
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

WriteFiles = Callable[[HashedFolder], None]
Remove = Callable[[Path], None]


def slots(keep: int) -> list[str]:
    """Folder names of the checkpoints that are kept, newest first."""
    older = [f"{PREVIOUS}_{number}" for number in range(2, keep)]
    return [LAST, PREVIOUS, *older][:keep]


def remove(folder: Path) -> None:
    """Remove a folder from a disk that gives the room back at once."""
    if folder.exists():
        shutil.rmtree(folder)


def empty(folder: Path) -> None:
    """Remove a folder; its files are cut to nothing first, for Drive's trash counts their size."""
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file():
            path.write_bytes(b"")
    remove(folder)


def write(
    folder: Path,
    name: str,
    write_files: WriteFiles,
    *,
    remove: Remove = remove,
    moved: Moved = ignore,
    **facts: Any,
) -> None:
    """Write a checkpoint or best model beside the one in place, and verify it.

    name: LAST or BEST. facts: what its manifest says beside the files; a checkpoint's has `saved`,
    which counts the saves of a run, so that the newest can be told without a clock. remove: how
    the remains of an earlier attempt go. moved: told of what is read back.
    """
    beside = folder / BESIDE[name]
    remove(beside)
    beside.mkdir(parents=True)
    new = HashedFolder(beside)
    write_files(new)
    new.finish(moved, **facts)


def install(folder: Path, name: str, *, keep: int, remove: Remove = remove) -> None:
    """Put what `write` left beside into its place; only now is anything older given up."""
    if name == BEST:
        discard(folder / BEST, remove)
    else:
        _rotate(folder, slots(keep), remove)
    (folder / BESIDE[name]).rename(folder / name)
    sync(folder)


def _rotate(folder: Path, names: list[str], remove: Remove) -> None:
    """Make room for a new newest checkpoint: every one moves down a slot, the oldest goes."""
    for path in checkpoints_in(folder):
        if path.name not in names:
            discard(path, remove)  # of a run that kept more
    if not (folder / LAST).exists():
        return  # a rotation was interrupted when there was room already
    discard(folder / names[-1], remove)
    for newer, older in reversed(list(itertools.pairwise(names))):
        if (folder / newer).exists():
            (folder / newer).rename(folder / older)


def discard(folder: Path, remove: Remove = remove) -> None:
    """Remove a folder, first renamed: what a kill leaves of it is not taken for a checkpoint."""
    doomed = folder.with_name(DISCARDED)
    remove(doomed)
    if folder.exists():
        folder.rename(doomed)
        remove(doomed)


class OpenCheckpoint:
    """A finished checkpoint or best model, held open: a rotation can't take its files away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> OpenCheckpoint:
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise CheckpointError(f"{self.folder} has no manifest that can be read.")
        self.listed: dict[str, dict[str, Any]] = manifest.pop("files")
        self.facts: dict[str, Any] = manifest
        with contextlib.ExitStack() as opened:
            try:
                self._files = {
                    name: opened.enter_context((self.folder / name).open("rb"))
                    for name in self.listed
                }
            except FileNotFoundError as error:
                raise CheckpointError(f"{error.filename} is missing.") from error
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def copy(self, new: HashedFolder, moved: Moved = ignore) -> None:
        """Copy its files; a CheckpointError where one no longer is what was written."""
        for name, source in self._files.items():
            with new.file(name) as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    moved(len(chunk))
            if target.facts() != self.listed[name]:
                raise CheckpointError(f"{self.folder / name} has other content than was written.")


def newest(scratch: Path, folder: Path, keep: int) -> Path | None:
    """The newest checkpoint that verifies, on the scratch disk; None where a run has saved none.

    scratch, folder: a base model's places on the scratch disk and in the run folder, which keeps
    `keep` of them. One that lies in the run folder alone is brought to the scratch disk, hashed on
    the way: slow storage is read once. Damaged ones are named with the reason and kept aside. If
    all are damaged that is an error: training never starts from scratch in silence.
    """
    finish_interrupted_save(scratch, KEPT_ON_SCRATCH, remove)
    finish_interrupted_save(folder, keep, empty)
    present = [*checkpoints_in(scratch), *checkpoints_in(folder)]
    faults = {path: problems(path)[0] for path in present if read_manifest(path) is None}
    finished = [path for path in present if path not in faults]
    for path in sorted(finished, key=saved_number, reverse=True):
        fault = first_problem(path) if path.parent == scratch else _fetch(path, scratch)
        if fault is None:
            for damaged, reason in faults.items():
                say(keep_aside(damaged, reason, f"training goes on from {path.name}"))
            if path.parent == scratch:
                return path
            install(scratch, LAST, keep=KEPT_ON_SCRATCH)
            return scratch / LAST
        faults[path] = fault
    if faults:
        raise CheckpointError(_all_damaged(folder, faults))
    return None


def whole_best(scratch: Path, folder: Path) -> Path | None:
    """The best model that verifies, on the scratch disk or in the run folder, or None.

    A damaged one is named and kept aside.
    """
    for best in (scratch / BEST, folder / BEST):
        if best.is_dir():
            fault = first_problem(best)
            if fault is None:
                return best
            say(keep_aside(best, fault, "another one is looked for"))
    return None


def first_problem(folder: Path, moved: Moved = ignore) -> str | None:
    """The first fault that keeps a folder from being whole, or None."""
    return next(iter(problems(folder, moved)), None)


def _fetch(path: Path, scratch: Path) -> str | None:
    """Copy a checkpoint beside those on the scratch disk, or say what is wrong with it."""
    try:
        with OpenCheckpoint(path) as source:
            write(scratch, LAST, source.copy, **source.facts)
    except CheckpointError:
        fault = first_problem(path)
        if fault is None:
            raise
        return fault
    return None


def saved_number(folder: Path) -> int:
    """How many saves the run had made with this one."""
    return int((read_manifest(folder) or {}).get("saved", 0))


def checkpoints_in(folder: Path) -> list[Path]:
    """Every checkpoint in a base model's folder, those of a run that kept more included."""
    found = [folder / LAST, *sorted(folder.glob(f"{PREVIOUS}*"))]
    return [path for path in found if path.is_dir()]


def finish_interrupted_save(folder: Path, keep: int, remove: Remove) -> None:
    """A save that was killed after its manifest was written is whole: put it in its place."""
    beside = folder / BESIDE[LAST]
    if beside.is_dir() and not problems(beside):
        if saved_number(beside) > saved_number(folder / LAST):
            install(folder, LAST, keep=keep, remove=remove)
        else:
            remove(beside)
    best = folder / BESIDE[BEST]
    if best.is_dir() and not (folder / BEST).exists() and not problems(best):
        best.rename(folder / BEST)


def keep_aside(path: Path, reason: str, then: str) -> str:
    """Put a damaged checkpoint out of the way; returns the line that says so."""
    number, kind = 1, BEST if path.name == BEST else "checkpoint"
    while (aside := path.with_name(f"damaged_{kind}_{number}")).exists():
        number += 1
    path.rename(aside)
    return (
        f"⚠️  {path.name} is damaged ({reason}); it is kept as {aside.name} in {aside.parent}, "
        f"and {then}."
    )


def _all_damaged(folder: Path, faults: dict[Path, str]) -> str:
    here = {path.name: fault for path, fault in faults.items() if path.parent == folder}
    named = "; ".join(f"{name}: {fault}" for name, fault in here.items())
    others = len(faults) - len(here)
    scratch = f" So are the {others} on the scratch disk." if others else ""
    return (
        f"Every checkpoint in {folder} is damaged ({named}).{scratch} Nothing was changed. Put a "
        "good copy back there, or train anew with another run_dir."
    )


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
