"""What the program before this one called its checkpoints, and what its killed saves left."""

from __future__ import annotations

import re
from pathlib import Path

from enstack.checkpoints.slots import BEST, LAST, STATE_FILE, WEIGHTS_FILE
from enstack.errors import CheckpointError
from enstack.storage.links import names_in
from enstack.storage.manifest import MANIFEST

GOES_ON = (LAST, "recovery_checkpoint")  # and checkpoint_epoch{E}_step{S}
# These are for predicting: their state may be older than their weights, or absent.
TO_PREDICT_WITH = (BEST, "swa_model")
NAMED_POSITION = re.compile(r"checkpoint_epoch(\d+)_step(\d+)")
_SLOT = "|".join([*GOES_ON, *TO_PREDICT_WITH, NAMED_POSITION.pattern])
# It moved the one in place to .backup_<name>, wrote .tmp_<name>_<stamp>, and renamed that.
LEFTOVER = re.compile(rf"\.(?:backup|tmp)_(?P<slot>{_SLOT})(?:_.*)?")


def slot_of(name: str) -> str:
    """The name that a leftover of a save had, or was to have; any other name as it is."""
    leftover = LEFTOVER.fullmatch(name)
    return leftover["slot"] if leftover else name


def is_leftover(name: str) -> bool:
    """Whether a killed save of the old program has left a folder of that name."""
    return LEFTOVER.fullmatch(name) is not None


def is_old_name(name: str) -> bool:
    """Whether old runs called a folder to go on from so, or the leftover of one."""
    return slot_of(name) in GOES_ON or NAMED_POSITION.fullmatch(slot_of(name)) is not None


def is_to_predict_with(name: str) -> bool:
    """Whether it was kept for its weights alone."""
    return slot_of(name) in TO_PREDICT_WITH


def leftovers_beside(place: Path) -> list[Path]:
    """What a killed save has left of a checkpoint, which itself may be gone."""
    return [
        path
        for path in names_in(place.parent)
        if is_leftover(path.name) and slot_of(path.name) == place.name
    ]


def told_beside(path: Path) -> str:
    """What a killed save of the old program has left of a checkpoint that is gone, in a sentence.

    Empty where it has left nothing.
    """
    names = [left.name for left in leftovers_beside(path) if left.is_dir()]
    if not names:
        return ""
    return f" A save that was killed has left {', '.join(names)}: inspect {path.parent}."


def old_candidates(place: Path, name: str, *, alone: bool) -> list[Path]:
    """Folders without a manifest that hold weights or a state, where old runs put them.

    place: a checkpoint, or a folder above it. name: of the base model. alone: no other base model
    could have made it.
    """
    every = [path for path in _below(place, name, alone) if is_old_name(path.name)]
    if alone or place.parent.name == name:
        every += [place, *leftovers_beside(place)]
    # One with a manifest is ours, and is found as such before old ones are looked for.
    return [path for path in every if _holds_checkpoint(path) and not (path / MANIFEST).exists()]


def under_other_names(place: Path, name: str, *, alone: bool) -> list[Path]:
    """Folders in the same places that hold weights and a state, but bear no name of old runs."""
    return [
        path
        for path in _below(place, name, alone)
        if not is_old_name(path.name)
        and not is_to_predict_with(path.name)
        and (path / STATE_FILE).is_file()
        and (path / WEIGHTS_FILE).is_file()
        and not (path / MANIFEST).exists()
    ]


def _below(place: Path, name: str, alone: bool) -> list[Path]:
    # A checkpoint does not say whose it is: among several base models its folders do.
    own = alone or place.name == name
    roots = [place] * own + [place / name, place / "checkpoints" / name]
    return [path for root in roots for path in names_in(root)]


def _holds_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def no_old_checkpoint(names: list[str], place: Path, *, alone: bool) -> CheckpointError:
    """What to say of a resume_from that serves no base model; alone: one is asked for."""
    name = names[0]
    lack = "holds none" if place.is_dir() else "is no folder"
    others = [path for each in names for path in under_other_names(place, each, alone=alone)]
    if others:
        # Training from the start would cost what one of these holds.
        return CheckpointError(
            f"resume_from must hold an old checkpoint of {' or '.join(names)}; {place} has none by "
            f"a name that old runs gave, but {', '.join(map(str, others))}. Name the one that is "
            f"meant itself, such as resume_from={others[0]}."
        )
    return CheckpointError(
        f"resume_from must hold an old checkpoint of {' or '.join(names)} (itself, in {name}/ or "
        f"in checkpoints/{name}/), or be a run folder, or a checkpoint in one; {place} {lack}. "
        "Correct it, or leave it out to train from the start."
    )
