"""Checkpoints of the program before this one: found, checked, and put into today's terms.

Their layout: model.safetensors and config.json beside a training_state.pth whose `step` counts the
batches done in the 1-based `epoch`, 0 meaning that the epoch is complete. They have no manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enstack.checkpoints.old_integrity import (
    class_count,
    content_problems,
    moments_problems,
    structural_problems,
)
from enstack.checkpoints.old_names import (
    NAMED_POSITION,
    is_leftover,
    is_to_predict_with,
    old_candidates,
    slot_of,
)
from enstack.checkpoints.slots import LAST, STATE_FILE
from enstack.checkpoints.state_file import read_state
from enstack.counting import counted
from enstack.errors import CheckpointError

MOST_SKIPPED = 0.05  # more missing steps than this are no loss scaling, but accumulation
# A count beyond these was never trained: it is a damaged number, whatever the rest is.
MOST_BATCHES = 10**8
MOST_ACCUMULATED, MOST_REPEATED = 1024, 100  # batches for a step, steps for a batch


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
                f"{self.folder} had {counted(self.total_batches, 'batch')} an epoch, which fits no "
                f"batch size for these {n_functions:,} training functions: it was trained on "
                "other data. Use the same data and label_mode."
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
    for folder in old_candidates(place, name, alone=alone):
        try:
            readable.append(read_old_checkpoint(folder, n_classes, mapped=True))
        except CheckpointError as error:
            faults.append(str(error))
    # A run may have kept many, of a gigabyte each: only the one that is taken is read in full.
    for old in sorted(readable, key=lambda old: (old.epoch, old.complete, old.step), reverse=True):
        if _superseded(old, readable):
            continue
        damage = content_problems(old.folder, old.optimizer)
        if not damage:
            best = read_old_checkpoint(old.folder, n_classes)
            best.notes.extend(f"Passed over: {fault}" for fault in faults)
            return best
        faults.append(f"{old.folder}: {damage[0]}.")
    if faults:
        raise CheckpointError(
            f"No old checkpoint of {name} can be gone on from: {' '.join(faults)} Nothing was "
            "changed. Put a good copy there, or train anew without resume_from, in another run_dir."
        )
    return None


def _superseded(old: OldCheckpoint, readable: list[OldCheckpoint]) -> bool:
    """Whether it is what a save left beside a checkpoint that stands whole in its place."""
    place = old.folder.with_name(slot_of(old.folder.name))
    standing = [other for other in readable if other.folder == place]
    return is_leftover(old.folder.name) and any(
        not content_problems(place, other.optimizer) for other in standing
    )


def optimizer_steps(optimizer: dict[str, Any]) -> int:
    """Steps that AdamW has applied, by its own count; ValueError for what is no count."""
    counts = [_whole_number(slot["step"]) for slot in optimizer["state"].values()]
    if counts and min(counts) < 0:
        raise ValueError(f"AdamW has counted {min(counts)} steps")
    return max(counts, default=0)


def _whole_number(value: Any) -> int:
    number = int(value)  # raises for NaN and infinity
    if number != value:
        raise ValueError(f"{value!r} is no whole number")
    return number


def read_old_checkpoint(folder: Path, n_classes: int, *, mapped: bool = False) -> OldCheckpoint:
    """Read one old checkpoint; a CheckpointError says why it can't be gone on from.

    mapped: leave the optimizer's moments in their file, to look at the rest only.
    """
    _refuse(folder, structural_problems(folder))
    # Loading would replace a head of another size by a new one without a word.
    stored = class_count(folder)
    if stored != n_classes:
        raise CheckpointError(
            f"{folder} was trained for {counted(stored, 'class')}, this run has {n_classes}: check "
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
    if implausible := _implausible(old):
        raise CheckpointError(f"{folder}: {STATE_FILE} is damaged: {implausible}.")
    return old


def _implausible(old: OldCheckpoint) -> str | None:
    """What can't be true of a training, by its own numbers."""
    total, done, applied = old.total_batches or 0, old.batches_done(), old.applied_steps
    if old.epoch < 1 or old.step < 0 or total < 0:
        return f"epoch must be from 1 and step from 0, found {old.epoch}, {old.step} of {total}"
    if max(old.step, total, done, applied) > MOST_BATCHES:
        return f"nobody has trained {max(old.step, total, done, applied):,} batches"
    if total and old.step > 2 * total:
        return f"it says {old.step:,} of {counted(total, 'batch')}"
    # Without the batches of an epoch, those before this one are not known.
    if not total and old.epoch > 1:
        return None
    if applied > MOST_REPEATED * max(done, 1) or done > MOST_ACCUMULATED * applied > 0:
        return f"it says {counted(done, 'batch')}, its optimizer {counted(applied, 'step')}"
    return None


def _from_state(folder: Path, state: dict[str, Any]) -> OldCheckpoint:
    epoch, step = _whole_number(state["epoch"]), _whole_number(state["step"])
    # The oldest lack it, and some hold 0.
    total = _whole_number(state.get("total_batches") or 0) or None
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
    name = old.folder.name
    if is_leftover(name):
        return [
            f"{name} is what a save of the old program left when it was killed: the newest that is "
            f"whole, though it never took its place as {slot_of(name)}."
        ]
    if is_to_predict_with(name):
        return [f"{name} is kept to predict with: its state may be older than that of {LAST}."]
    named = NAMED_POSITION.fullmatch(name)
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
    told = f"{counted(applied, 'optimizer step')} for {counted(done, 'batch')}: "
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
