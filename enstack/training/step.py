"""One optimizer step: its batches, forward and backward, with the gradient of one large batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from enstack.batches import count_batch
from enstack.training.state import TrainingState

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Step:
    """One optimizer step: batches `first` to `last` (from 1) of an epoch.

    weight: what all its functions count for together, see TaskLoss.weight.
    """

    first: int
    last: int
    weight: float

    @classmethod
    def of(cls, batches: list[Batch], training: TrainingState) -> Step:
        """The step of the batches that come next."""
        done = training.progress.batches_done
        weight = sum(training.loss.weight(batch["labels"]) for batch in batches)
        return cls(done + 1, done + len(batches), weight)


def in_steps(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches in groups, `size` of them to an optimizer step; the last group may be shorter.

    A group is read before it is trained: what each batch counts for depends on all of them.
    """
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group


def train_batch(training: TrainingState, batch: Batch, step: Step) -> None:
    """Forward and backward of one batch, and the optimizer's step where it is the last."""
    device, progress = training.device, training.progress
    with training.job.hardware.autocast():
        logits = training.model(
            input_ids=batch["input_ids"].to(device, non_blocking=True),
            attention_mask=batch["attention_mask"].to(device, non_blocking=True),
        ).logits
    # In float32: in half precision a softmax is right to three digits only.
    loss = training.loss.mean(logits.float(), batch["labels"].to(device, non_blocking=True))
    weight = training.loss.weight(batch["labels"])
    # Its share of the step: a short batch counts as many functions as it has, so that the gradient
    # is that of all of them in one batch.
    training.optimizer.backward(loss / (step.weight / weight))
    training.epoch_loss.add(loss, weight)
    training.window_loss.add(loss, weight)
    progress.segments = count_batch(progress.segments, training.config.batch_size)
    done = progress.batches_done
    training.first_bad.note(loss.detach(), done, done)
    if done == step.last:
        norm = training.optimizer.step()
        # Where loss scaling is on, a step with infinite gradients is skipped, and nothing is lost.
        if not training.optimizer.skips_bad_steps:
            training.first_bad.note(norm, step.first, step.last)
