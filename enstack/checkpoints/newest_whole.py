"""The newest whole checkpoint and best model over two places; damaged ones are kept aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.checkpoints.finite import checkpoint_fault
from enstack.checkpoints.slots import (
    BESIDE,
    BEST,
    KEPT_ON_SCRATCH,
    LAST,
    OpenCheckpoint,
    checkpoints_in,
    discard,
    finish_interrupted_save,
    first_problem,
    install,
    keep_aside,
    saved_number,
    write,
)
from enstack.errors import CheckpointError
from enstack.progress.say import say
from enstack.storage.links import empty, remove, require_folder_place
from enstack.storage.manifest import folder_problems, read_manifest


def newest(scratch: Path, folder: Path, keep: int) -> Path | None:
    """The newest checkpoint that verifies, on the scratch disk; None where a run has saved none.

    scratch, folder: a base model's places on the scratch disk and in the run folder, which keeps
    `keep` of them. One that lies in the run folder alone is brought to the scratch disk, hashed on
    the way: slow storage is read once. Damaged ones are named with the reason and kept aside. If
    all are damaged that is an error: training never starts from scratch in silence.
    """
    finish_interrupted_save(scratch, KEPT_ON_SCRATCH, remove)
    # `empty` in run_dir: Drive's trash counts the size of what is removed there.
    finish_interrupted_save(folder, keep, empty)
    present = [*checkpoints_in(scratch), *checkpoints_in(folder)]
    faults = {path: folder_problems(path)[0] for path in present if read_manifest(path) is None}
    finished = [path for path in present if path not in faults]
    # By the number of their save, not by a clock: a machine's may be wrong, and a copy has another
    # time. Each is read in full only when it is the newest left: one of them is a gigabyte.
    for path in sorted(finished, key=saved_number, reverse=True):
        fault = _fault_of(path) if path.parent == scratch else _fetch(path, scratch)
        if fault is None:
            # Only now that a whole one is there: otherwise all is left as it was. And before one
            # from run_dir is installed, which would else be put aside in place of a damaged one.
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


def whole_best(scratch: Path, folder: Path, identity: dict[str, Any]) -> Path | None:
    """The best model that verifies, on the scratch disk or in the run folder, or None.

    identity: what it must have been made with, as far as it says so. A damaged one, or another base
    model's, is named and kept aside.
    """
    # Saves reach the scratch disk first, and it is the faster one to read.
    for best in (scratch / BEST, folder / BEST):
        require_folder_place(best)
        if best.is_dir():
            fault = _fault_of(best, identity)
            if fault is None:
                return best
            say(keep_aside(best, fault, "another one is looked for"))
    return None


def _fetch(path: Path, scratch: Path) -> str | None:
    """Copy a checkpoint beside those on the scratch disk, or say what is wrong with it."""
    try:
        with OpenCheckpoint(path) as source:
            write(scratch, LAST, source.copy, **source.details)
    except CheckpointError:
        fault = first_problem(path)
        # The source is whole: it was the scratch disk that failed.
        if fault is None:
            raise
        return fault
    # In the copy: slow storage is read once.
    fault = checkpoint_fault(scratch / BESIDE[LAST])
    if fault is not None:
        # The next start would take it for a save that was killed before it was put in place.
        discard(scratch / BESIDE[LAST])
    return fault


def _fault_of(folder: Path, identity: dict[str, Any] | None = None) -> str | None:
    """What keeps a checkpoint from being gone on from: changed files, or what is no number.

    identity: what it must have been made with, as far as it says so.
    """
    return first_problem(folder, agrees_with=identity) or checkpoint_fault(folder)


def _all_damaged(folder: Path, faults: dict[Path, str]) -> str:
    here = {path.name: fault for path, fault in faults.items() if path.parent == folder}
    named = "; ".join(f"{name}: {fault}" for name, fault in here.items())
    others = len(faults) - len(here)
    scratch = f" So are the {others} on the scratch disk." if others else ""
    return (
        f"Every checkpoint in {folder} is damaged ({named}).{scratch} Nothing was changed. Put a "
        "good copy back there, or train anew with another run_dir."
    )
