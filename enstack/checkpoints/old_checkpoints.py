"""Checkpoints of the program before this one: found, checked, and put into today's terms.

Their layout: model.safetensors and config.json beside a training_state.pth whose `step` counts the
batches done in the 1-based `epoch`, 0 meaning that the epoch is complete. They have no manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enstack.checkpoints.old_integrity import (
    class_count,
    content_problems,
    moments_problems,
    structural_problems,
)
from enstack.checkpoints.slots import BEST, LAST, STATE_FILE, WEIGHTS_FILE
from enstack.checkpoints.state_file import read_state
from enstack.errors import CheckpointError
from enstack.storage.manifest import MANIFEST

GOES_ON = (LAST, "recovery_checkpoint")  # and checkpoint_epoch{E}_step{S}
# These are for predicting: their state may be older than their weights, or absent.
TO_PREDICT_WITH = (BEST, "swa_model")
MOST_SKIPPED = 0.05  # more missing steps than this are no loss scaling, but accumulation
NAMED_POSITION = re.compile(r"checkpoint_epoch(\d+)_step(\d+)")


@dataclass(frozen=True)
class OldCheckpoint:
    """An old checkpoint that can be gone on from, and what a user should know of it.

    epoch: from 1; step: batches done in it; complete: whether that is all of them; total_batches:
    batches of an epoch, or None; applied_steps: AdamW's own count; optimizer: its state_dict;
    scaler: GradScaler's, or empty.
    """

    folder: Path
    epoch: int
    step: int
    complete: bool
    total_batches: int | None
    applied_steps: int
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def batches_done(self) -> int:
        """Batches trained since the run began, as far as is known."""
        total = self.total_batches or 0
        return self.epoch * total if self.complete else (self.epoch - 1) * total + self.step

    def skipped_steps(self) -> int | None:
        """Steps that loss scaling skipped, or None where too many lack, or the batches do."""
        # In the first epoch the step alone counts the batches.
        first_epoch = self.epoch == 1 and not self.complete
        if self.total_batches is None and not first_epoch:
            return None
        done = self.batches_done()
        missing = done - self.applied_steps
        return missing if 0 <= missing <= done * MOST_SKIPPED else None

    def attempted_steps(self) -> int:
        """Steps with those that loss scaling skipped, as far as is known."""
        return self.applied_steps + (self.skipped_steps() or 0)

    def batch_size(self, n_functions: int, configured: int) -> int:
        """The batch size that its number of batches tells; the configured one if that lacks."""
        if self.total_batches is None:
            return configured
        # Rounded up, for the last batch may have been short.
        size = -(-n_functions // self.total_batches)
        if -(-n_functions // size) != self.total_batches:
            raise CheckpointError(
                f"{self.folder} had {self.total_batches:,} batches an epoch, which fits no batch "
                f"size for these {n_functions:,} training functions: it was trained on other data. "
                "Use the same data and label_mode."
            )
        return size


def find_old_checkpoint(
    place: Path, name: str, *, n_classes: int, alone: bool
) -> OldCheckpoint | None:
    """The old checkpoint of a base model that has come furthest, or None where there is none.

    place: a checkpoint, or a folder above it. alone: no other base model could have made it.
    Damaged ones are named in its notes; if all are damaged, that is an error: training never
    starts from scratch in silence.
    """
    readable, faults = [], []
    for folder in _candidates(place, name, alone):
        try:
            readable.append(read_old_checkpoint(folder, n_classes, mapped=True))
        except CheckpointError as error:
            faults.append(str(error))
    # A run may have kept many, of a gigabyte each: only the one that is taken is read in full.
    for old in sorted(readable, key=lambda old: (old.epoch, old.complete, old.step), reverse=True):
        damage = content_problems(old.folder, old.optimizer)
        if not damage:
            best = read_old_checkpoint(old.folder, n_classes)
            best.notes.extend(f"Passed over: {fault}" for fault in faults)
            return best
        faults.append(f"{old.folder}: {damage[0]}.")
    if faults:
        raise CheckpointError(
            f"No old checkpoint of {name} can be gone on from: {' '.join(faults)} Nothing was "
            "changed. Put a good copy there, or train anew with another run_dir."
        )
    return None


def may_hold_old_checkpoint(place: Path, name: str, *, alone: bool) -> bool:
    """Whether a place has anything for a base model to go on from, without reading it."""
    return bool(_candidates(place, name, alone))


def _candidates(place: Path, name: str, alone: bool) -> list[Path]:
    """Folders without a manifest that hold weights or a state, where old runs put them."""
    # A checkpoint does not say whose it is: among several base models its folders do.
    own = alone or place.name == name
    roots = [place] * own + [place / name, place / "checkpoints" / name]
    below = [path for root in roots if root.is_dir() for path in sorted(root.iterdir())]
    every = [path for path in below if is_old_name(path.name)]
    if alone or place.parent.name == name:
        every.append(place)
    # One with a manifest is ours, and is found as such before old ones are looked for.
    return [path for path in every if _holds_checkpoint(path) and not (path / MANIFEST).exists()]


def is_old_name(name: str) -> bool:
    """Whether old runs called a folder to go on from so; leftovers of a copy bear other names."""
    return name in GOES_ON or NAMED_POSITION.fullmatch(name) is not None


def _holds_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def optimizer_steps(optimizer: dict[str, Any]) -> int:
    """Steps that AdamW has applied, by its own count."""
    return max((int(slot["step"]) for slot in optimizer["state"].values()), default=0)


def read_old_checkpoint(folder: Path, n_classes: int, *, mapped: bool = False) -> OldCheckpoint:
    """Read one old checkpoint; a CheckpointError says why it can't be gone on from.

    mapped: leave the optimizer's moments in their file, to look at the rest only.
    """
    _refuse(folder, structural_problems(folder))
    # Loading would replace a head of another size by a new one without a word.
    stored = class_count(folder)
    if stored != n_classes:
        raise CheckpointError(
            f"{folder} was trained for {stored} classes, this run has {n_classes}: check "
            "label_mode."
        )
    old = interpret_state(folder, read_state(folder, mapped=mapped))
    _refuse(folder, moments_problems(folder, old.optimizer))
    return old


def _refuse(folder: Path, problems: list[str]) -> None:
    if problems:
        raise CheckpointError(f"{folder}: {problems[0]}.")


def interpret_state(folder: Path, state: dict[str, Any]) -> OldCheckpoint:
    """Put the training state of an old checkpoint into today's terms."""
    try:
        old = _from_state(folder, state)
        old.notes.extend(_notes(old, state))
    # A damaged state may hold anything, infinite numbers included, which int() refuses.
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{folder}: {STATE_FILE} lacks what training needs: {error!r}."
        ) from error
    if old.epoch < 1 or old.step < 0:
        raise CheckpointError(
            f"{folder}: epoch must be from 1 and step from 0, found {old.epoch}, {old.step}."
        )
    return old


def _from_state(folder: Path, state: dict[str, Any]) -> OldCheckpoint:
    epoch, step = int(state["epoch"]), int(state["step"])
    # The oldest lack it, and some hold 0.
    total = max(0, int(state.get("total_batches") or 0)) or None
    optimizer = state["optimizer_state_dict"]
    return OldCheckpoint(
        folder,
        epoch,
        step,
        # Saved at an epoch's last batch, it is complete too: the old program trained it again.
        complete=step == 0 or (total is not None and step >= total),
        total_batches=total,
        applied_steps=optimizer_steps(optimizer),
        optimizer=optimizer,
        scaler=state.get("scaler_state_dict") or {},
    )


def _notes(old: OldCheckpoint, state: dict[str, Any]) -> list[str]:
    """What is odd, what was put right, and what can't be known: a line each."""
    return [
        *_note_on_name(old),
        *_note_on_total(old),
        *note_on_steps(old),
        *_note_on_schedule(old, state),
        *_note_on_order(old),
        "The best epoch is chosen anew from here on; the old best_model is left alone.",
    ]


def _note_on_name(old: OldCheckpoint) -> list[str]:
    if old.folder.name in TO_PREDICT_WITH:
        return [
            f"{old.folder.name} is kept to predict with: its state may be older than that of "
            f"{LAST}."
        ]
    named = NAMED_POSITION.fullmatch(old.folder.name)
    if named is None or (int(named[1]), int(named[2])) == (old.epoch, old.step):
        return []
    return [
        f"The folder's name says epoch {named[1]}, step {named[2]}; the state inside says epoch "
        f"{old.epoch}, step {old.step}, and it counts."
    ]


def _note_on_total(old: OldCheckpoint) -> list[str]:
    if old.total_batches is not None:
        return []
    return ["How many batches its epoch had is not stored; the data tells."]


def note_on_steps(old: OldCheckpoint) -> list[str]:
    """Why AdamW's count is not that of the batches, where that is known."""
    done, applied, skipped = old.batches_done(), old.applied_steps, old.skipped_steps()
    told = f"{applied:,} optimizer steps for {done:,} batches: "
    if skipped:
        return [f"{told}fp16 loss scaling skipped {skipped}, which is healthy."]
    if skipped == 0 or old.total_batches is None:
        return []
    if applied == 0:
        return [f"{told}the optimizer's moments are lost, and it begins anew."]
    if applied > done:
        return [f"{told}some were trained twice; the learning rate follows the steps."]
    per_step = round(done / applied)
    if per_step == 1:
        return [f"{told}too many lack for loss scaling; the learning rate follows the steps."]
    return [
        f"{told}about {per_step} batches were accumulated for each; "
        f"accumulation_steps={per_step} goes on like that."
    ]


def _note_on_schedule(old: OldCheckpoint, state: dict[str, Any]) -> list[str]:
    ahead, done = (state.get("scheduler_state_dict") or {}).get("last_epoch", 0), old.batches_done()
    # The old program loaded the schedule and then wound it forward too, at every resume.
    if old.total_batches is None or ahead <= done:
        return []
    return [
        f"Its learning-rate schedule had run ahead, to step {ahead:,} with {done:,} done: put "
        "right."
    ]


def _note_on_order(old: OldCheckpoint) -> list[str]:
    if old.complete:
        return []
    return [
        f"The old order of functions was not stored: in epoch {old.epoch} some may come twice and "
        f"some not at all; from epoch {old.epoch + 1} on the order is exact."
    ]
