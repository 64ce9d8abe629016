"""One optimizer step: its batches, forward and backward, with the gradient of one large batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from enstack.batches import count_batch, pad_to
from enstack.models.forward_pass import forward_pass
from enstack.models.hardware import Hardware
from enstack.parallel.shares import shares
from enstack.training.loss import TaskLoss
from enstack.training.optimizer import ScheduledOptimizer
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


class Learner(Protocol):
    """What every process of a training has of it."""

    model: torch.nn.Module
    loss: TaskLoss
    optimizer: ScheduledOptimizer
    hardware: Hardware


def train_batch(training: TrainingState, batch: Batch, step: Step) -> None:
    """Forward and backward of one batch, and the optimizer's step where it is the last."""
    progress, group = training.progress, training.hardware.group
    done = progress.batches_done + 1
    with group.together(), training.hardware.kernels():
        group.tell(
            {
                "do": "train",
                "batch": batch,
                "step_weight": step.weight,
                "last": done == step.last,
                "draws": [training.config.seed, progress.epoch, done],
            }
        )
        loss = add_gradients(training, batch, step.weight)
        norm = apply_gradients(training) if done == step.last else None
    weight = training.loss.weight(batch["labels"])
    training.epoch_loss.add(loss, weight)
    training.window_loss.add(loss, weight)
    progress.segments = count_batch(progress.segments, training.config.batch_size)
    training.first_bad.note(loss, done, done)
    # Where loss scaling is on, a step with infinite gradients is skipped, and nothing is lost.
    if norm is not None and not training.optimizer.skips_bad_steps:
        training.first_bad.note(norm, step.first, step.last)


def add_gradients(learner: Learner, batch: Batch, step_weight: float) -> torch.Tensor:
    """Add the gradients of this process's share of a batch to those of the step.

    step_weight: what all functions of the step count for. Returns the mean loss () of the whole
    batch, detached, on the device.
    """
    hardware = learner.hardware
    device, weight = hardware.device, learner.loss.weight(batch["labels"])
    own, counts = own_share(batch, hardware)
    with forward_pass(learner.model, hardware):
        logits = learner.model(
            input_ids=own["input_ids"].to(device, non_blocking=True),
            attention_mask=own["attention_mask"].to(device, non_blocking=True),
        ).logits
    # In float32: in half precision a softmax is right to three digits only.
    loss = learner.loss.mean(logits.float(), own["labels"].to(device, non_blocking=True))
    own_weight = learner.loss.weight(own["labels"]) if counts else 0.0
    # Its share of the step: a short batch counts as many functions as it has, so that the gradient
    # is that of all of them in one batch.
    learner.optimizer.backward(loss / (step_weight / own_weight) if counts else loss * 0)
    return hardware.group.mean(loss.detach(), own_weight, weight)


def apply_gradients(learner: Learner) -> torch.Tensor:
    """The optimizer's step with the gradients of all processes; returns their norm ()."""
    learner.hardware.group.add_gradients(learner.optimizer.parameters)
    return learner.optimizer.step()


def own_share(batch: Batch, hardware: Hardware) -> tuple[Batch, bool]:
    """The part of a batch that this process computes, and whether it counts.

    A process for which no function is left computes one that counts nothing, so that it has
    gradients where all have them.
    """
    group = hardware.group
    if group.size == 1:
        return batch, True
    lengths = batch["attention_mask"].sum(dim=1)
    rows = torch.from_numpy(shares(lengths.tolist(), group.size)[group.rank])
    counts = len(rows) > 0
    rows = rows if counts else torch.zeros(1, dtype=torch.int64)
    width = pad_to(int(lengths[rows].max()))
    own = {
        "input_ids": batch["input_ids"][rows, :width],
        "attention_mask": batch["attention_mask"][rows, :width],
        "labels": batch["labels"][rows],
    }
    # Only from pinned memory does a copy to the GPU run beside the computation.
    pinned = hardware.device.type == "cuda"
    return {name: one.pin_memory() for name, one in own.items()} if pinned else own, counts
