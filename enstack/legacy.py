"""Checkpoints of the program before this one: found, checked, and put into today's terms.

Their layout: model.safetensors and config.json beside a training_state.pth whose `step` counts the
batches done in the 1-based `epoch`, 0 meaning that the epoch is complete. They have no manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from enstack.checkpoint import STATE_FILE, WEIGHTS_FILE, read_state
from enstack.errors import CheckpointError
from enstack.files import MANIFEST, read_json

# best_model and swa_model are for predicting: their state may be older than their weights.
GOES_ON = ("last_checkpoint", "recovery_checkpoint", "checkpoint_epoch*_step*")
MOST_SKIPPED = 0.05  # more missing steps than this are no loss scaling, but accumulation
NAMED_POSITION = re.compile(r"checkpoint_epoch(\d+)_step(\d+)")


@dataclass(frozen=True)
class LegacyCheckpoint:
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

    def attempted_steps(self) -> int:
        """Steps with those that loss scaling skipped, or AdamW's count where too many lack."""
        done = self.batches_done()
        return done if 0 < done - self.applied_steps <= done * MOST_SKIPPED else self.applied_steps

    def batch_size(self, n_functions: int, configured: int) -> int:
        """The batch size that its number of batches tells; the configured one if that lacks."""
        if self.total_batches is None:
            return configured
        size = -(-n_functions // self.total_batches)
        if -(-n_functions // size) != self.total_batches:
            raise CheckpointError(
                f"{self.folder} had {self.total_batches:,} batches an epoch, which fits no batch "
                f"size for these {n_functions:,} training functions: it was trained on other data. "
                "Use the same data and label_mode."
            )
        return size


def find_legacy(place: Path, name: str, *, n_classes: int, alone: bool) -> LegacyCheckpoint | None:
    """The old checkpoint of a base model that has come furthest, or None where there is none.

    place: a checkpoint, or a folder above it. alone: no other base model could have made it.
    Damaged ones are named in its notes; if all are damaged, that is an error: training never
    starts from scratch in silence.
    """
    found, faults = [], []
    for folder in _candidates(place, name, alone):
        try:
            found.append(read_legacy(folder, n_classes))
        except CheckpointError as error:
            faults.append(str(error))
    if faults and not found:
        raise CheckpointError(
            f"No old checkpoint of {name} can be gone on from: {'; '.join(faults)} Nothing was "
            "changed. Put a good copy there, or train anew with another run_dir."
        )
    if not found:
        return None
    best = max(found, key=lambda old: (old.epoch, old.complete, old.step))
    best.notes.extend(f"Passed over: {fault}" for fault in faults)
    return best


def _candidates(place: Path, name: str, alone: bool) -> list[Path]:
    """Folders without a manifest that hold weights or a state, where old runs put them."""
    own = alone or place.name == name
    roots = [place] * own + [place / name, place / "checkpoints" / name]
    every = [path for root in roots for kind in GOES_ON for path in sorted(root.glob(kind))]
    if alone or place.parent.name == name:
        every.append(place)
    return [path for path in every if _holds_checkpoint(path) and not (path / MANIFEST).exists()]


def _holds_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def structural_problems(folder: Path) -> list[str]:
    """Faults that can be told without a manifest: missing files, weights that can't be opened."""
    found = [
        f"{name} is missing" for name in (WEIGHTS_FILE, STATE_FILE) if not (folder / name).is_file()
    ]
    if (folder / WEIGHTS_FILE).is_file():
        try:
            with safe_open(str(folder / WEIGHTS_FILE), framework="numpy") as weights:
                weights.keys()
        except (OSError, SafetensorError) as error:
            found.append(f"{WEIGHTS_FILE} is damaged: {error}")
    return found


def optimizer_steps(optimizer: dict[str, Any]) -> int:
    """Steps that AdamW has applied, by its own count."""
    return max((int(slot["step"]) for slot in optimizer["state"].values()), default=0)


def read_legacy(folder: Path, n_classes: int) -> LegacyCheckpoint:
    """Read one old checkpoint; a CheckpointError says why it can't be gone on from."""
    found = structural_problems(folder)
    if found:
        raise CheckpointError(f"{folder}: {found[0]}.")
    _require_classes(folder, n_classes)
    state = read_state(folder)
    try:
        epoch, step = int(state["epoch"]), int(state["step"])
        optimizer = state["optimizer_state_dict"]
        applied = optimizer_steps(optimizer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}: {STATE_FILE} lacks what training needs: {error!r}."
        ) from error
    if epoch < 1 or step < 0:
        raise CheckpointError(
            f"{folder}: epoch must be from 1 and step from 0, found {epoch}, {step}."
        )
    total = int(state.get("total_batches") or 0) or None
    complete = step == 0 or (total is not None and step >= total)
    checkpoint = LegacyCheckpoint(
        folder,
        epoch,
        step,
        complete,
        total,
        applied,
        optimizer,
        state.get("scaler_state_dict") or {},
    )
    checkpoint.notes.extend(_notes(checkpoint, state))
    return checkpoint


def _require_classes(folder: Path, n_classes: int) -> None:
    config = read_json(folder / "config.json")
    stored = len(config.get("id2label") or {}) or int(config.get("num_labels", 2))
    if stored != n_classes:
        raise CheckpointError(
            f"{folder} was trained for {stored} classes, this run has {n_classes}: check "
            "label_mode."
        )


def _notes(old: LegacyCheckpoint, state: dict[str, Any]) -> list[str]:
    """What is odd, what was put right, and what can't be known: a line each."""
    return [
        *_note_on_name(old),
        *_notes_on_steps(old, state),
        *_note_on_order(old),
        "The best epoch is chosen anew from here on; the old best_model is left alone.",
    ]


def _note_on_name(old: LegacyCheckpoint) -> list[str]:
    named = NAMED_POSITION.fullmatch(old.folder.name)
    if named is None or (int(named[1]), int(named[2])) == (old.epoch, old.step):
        return []
    return [
        f"The folder's name says epoch {named[1]}, step {named[2]}; the state inside says epoch "
        f"{old.epoch}, step {old.step}, and it counts."
    ]


def _notes_on_steps(old: LegacyCheckpoint, state: dict[str, Any]) -> list[str]:
    if old.total_batches is None:
        return ["How many batches its epoch had is not stored; the data tells."]
    done, skipped = old.batches_done(), old.attempted_steps() - old.applied_steps
    ahead = (state.get("scheduler_state_dict") or {}).get("last_epoch", 0)
    notes = []
    if skipped:
        notes.append(
            f"{old.applied_steps:,} optimizer steps for {done:,} batches: fp16 loss scaling "
            f"skipped {skipped}, which is healthy."
        )
    if ahead > done:
        notes.append(
            f"Its learning-rate schedule had run ahead, to step {ahead:,} with {done:,} done: put "
            "right."
        )
    return notes


def _note_on_order(old: LegacyCheckpoint) -> list[str]:
    if old.complete:
        return []
    return [
        f"The old order of functions was not stored: in epoch {old.epoch} some may come twice and "
        f"some not at all; from epoch {old.epoch + 1} on the order is exact."
    ]
