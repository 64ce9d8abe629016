"""Trainings that go astray: a loss, gradients or weights that are no numbers, at a chosen batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from enstack.checkpoints.finite import checkpoint_fault
from enstack.training import trainer
from enstack.training.state import TrainingState

Kind = Literal["loss", "gradient", "weights"]
When = Callable[[TrainingState], bool]


def at(epoch: int, batch: int) -> When:
    """When that batch (from 1) of that epoch is about to be trained."""
    return lambda training: (
        (training.progress.epoch, training.progress.batches_done + 1) == (epoch, batch)
    )


def spoil(patched: pytest.MonkeyPatch, when: When, kind: Kind = "loss") -> None:
    """Let something become NaN in each batch that `when` names, as it is trained."""
    original = trainer.train_batch

    def spoilt(training: TrainingState, batch: Any, step: Any) -> None:
        if not when(training):
            return original(training, batch, step)
        with pytest.MonkeyPatch.context() as inside:
            if kind != "weights":
                inside.setattr(training.loss, "mean", _spoilt(training.loss.mean, kind))
            original(training, batch, step)
        if kind == "weights":
            next(training.model.parameters()).data.view(-1)[0] = float("nan")
        return None

    patched.setattr(trainer, "train_batch", spoilt)


def _spoilt(mean: Callable[..., torch.Tensor], kind: Kind) -> Callable[..., torch.Tensor]:
    def spoilt_mean(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = mean(logits, labels)
        if kind == "loss":
            return loss * float("nan")
        loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    return spoilt_mean


def faults_below(*places: Path) -> dict[str, str]:
    """By folder, what is no number in the checkpoints and best models below some places.

    Raises where there is none at all: a look at nothing finds nothing.
    """
    folders = [path.parent for place in places for path in place.rglob("model.safetensors")]
    assert folders, f"no weights below {places}"
    faults = {str(folder): checkpoint_fault(folder) for folder in folders}
    return {folder: fault for folder, fault in faults.items() if fault is not None}
