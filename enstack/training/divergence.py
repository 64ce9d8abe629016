"""Training that went astray: losses, gradients, weights that are no numbers, found without a wait.

The loop must not ask a GPU for a number after each batch. So the first batch that went wrong is
remembered on the device, and looked at where numbers are read anyway: when a step is logged, before
a save, at the end of an epoch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from enstack.batches import Segment, rest_of_epoch
from enstack.checkpoints.finite import spoilt_weights, state_fault
from enstack.errors import DivergenceError
from enstack.progress.screen import warn

if TYPE_CHECKING:
    from enstack.training.state import TrainingState

SHOWN = 8  # functions that a message names
MOST_ACCUMULATION = 1024  # what accumulation_steps may be


class FirstBad:
    """The first batches of an epoch of which something was no number, remembered on the device."""

    def __init__(self, device: torch.device) -> None:
        self._first = torch.zeros((), dtype=torch.int64, device=device)
        self._last = torch.zeros_like(self._first)

    def note(self, value: torch.Tensor, first: int, last: int) -> None:
        """Remember batches `first` to `last` (from 1) where a value () of theirs is not finite."""
        new = ~value.isfinite() & (self._first == 0)
        # Plain numbers go along with the command: nothing is copied to the device for them.
        self._first = torch.where(new, first, self._first)
        self._last = torch.where(new, last, self._last)

    def batches(self) -> tuple[int, int] | None:
        """The first and last of them, None where all was well; reads from the device."""
        first = int(self._first)
        return (first, int(self._last)) if first else None


def functions_of(training: TrainingState, first: int, last: int) -> list[str]:
    """Ids of the functions of batches `first` to `last` of the epoch in work, trained just now."""
    progress, train = training.progress, training.job.data.train
    *before, segment = progress.segments
    done = segment.batches - (progress.batches_done - first + 1)
    rows, order = rest_of_epoch(
        train.lengths,
        [*before, *([Segment(segment.batch_size, done)] if done else [])],
        segment.batch_size,
        seed=training.config.seed,
        epoch=progress.epoch,
    )
    batches = itertools.islice(order, last - first + 1)
    return [str(train.ids[rows[place]]) for batch in batches for place in batch]


def loss_diverged(
    training: TrainingState, first: int, last: int, ids: list[str]
) -> DivergenceError:
    """The error that tells of batches whose loss or gradients were no numbers."""
    batches = f"batch {first}" if first == last else f"batches {first} to {last}"
    return DivergenceError(
        f"The loss and its gradients must be numbers; they became NaN or infinite in {batches} of "
        f"epoch {training.progress.epoch} (functions {named(ids)}). {way_on(training)}"
    )


def refuse_spoilt_validation(training: TrainingState, probabilities: np.ndarray) -> None:
    """Raise where a model's probabilities (n, k) for validation are no numbers."""
    if fault := _spoilt_rows(probabilities, training.job.data.selection.ids, "validation"):
        raise DivergenceError(f"{fault}, after epoch {training.progress.epoch}. {way_on(training)}")


def refuse_spoilt_predictions(
    probabilities: np.ndarray, ids: np.ndarray, split: str, precision: str
) -> None:
    """Raise where the best model's probabilities (n, k) of a split, ids (n,), are no numbers."""
    if fault := _spoilt_rows(probabilities, ids, split):
        # Its weights are numbers, or it would not have been chosen: half precision overflows.
        way = "Train anew with a lower learning_rate and another run_dir."
        if precision != "fp32":
            way = (
                f"Run the same with precision=fp32 (it was {precision}): nothing is trained again."
            )
        raise DivergenceError(f"{fault}. {way}")


def _spoilt_rows(probabilities: np.ndarray, ids: np.ndarray, split: str) -> str:
    rows = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if not len(rows):
        return ""
    bad = named([str(ids[row]) for row in rows])
    return (
        f"A model's probabilities must be numbers; those of {len(rows):,} of "
        f"{len(probabilities):,} {split} functions are not ({bad})"
    )


def refuse_spoilt_save(
    training: TrainingState, weights: Mapping[str, torch.Tensor], state: Mapping[str, Any]
) -> None:
    """Raise where a checkpoint to be saved is no numbers: a good one would give way to it."""
    spoilt = spoilt_weights(weights)
    fault = f"they are not, in {spoilt}" if spoilt else state_fault(state)
    if fault:
        # This save is counted already, and is not made.
        advice = way_on(training, saved=state["progress"]["saves"] > 1)
        raise DivergenceError(f"Weights that are saved must be numbers; {fault}. {advice}")


def warn_of_standstill(training: TrainingState, attempted: int, applied: int) -> None:
    """Say, or raise where it will not change, that an epoch has left the weights as they were.

    attempted, applied: the optimizer's steps before it.
    """
    optimizer, epoch = training.optimizer, training.progress.epoch
    tried = optimizer.attempted - attempted
    if not tried or optimizer.applied_steps() > applied:
        return
    skipped = (
        f"All optimizer steps of epoch {epoch} were skipped ({tried:,}), for fp16 gradients "
        "overflowed: the weights stand still."
    )
    # It begins at 2 to the 16th and is halved with each step that is skipped: below 1 it is no
    # search any more, the gradients overflow by themselves.
    if optimizer.loss_scale() < 1 or epoch == training.config.epochs:
        raise DivergenceError(f"{skipped} {way_on(training)}")
    warn(f"⚠️  {skipped} Loss scaling halves the scale with each, and it mostly passes.")


def named(ids: list[str]) -> str:
    """Ids for a message: the first few, and how many more."""
    more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def way_on(training: TrainingState, *, saved: bool | None = None) -> str:
    """What to do: only what may be changed between two calls of a run.

    saved: whether a checkpoint was; as the progress counts them if left out.
    """
    saved = bool(training.progress.saves) if saved is None else saved
    where = "the last checkpoint, made before that" if saved else "its beginning"
    precision = training.job.hardware.precision
    if precision != "fp32":
        change = f"precision=fp32 (it was {precision})"
    else:
        steps = min(2 * training.config.accumulation_steps, MOST_ACCUMULATION)
        change = f"accumulation_steps={steps}, as gentle as half the learning rate"
    return (
        f"Run the same with {change}: it goes on from {where}. If it comes again, train anew with "
        "a lower learning_rate and another run_dir."
    )
