"""What the processes beside the first do: with a twin of its model, compute what it asks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from enstack.models.hardware import Hardware, choose_device
from enstack.models.predict import batch_probabilities, padded, predicting
from enstack.models.twins import share_model, take_weights, twin_of
from enstack.parallel.group import Group, Processes
from enstack.training.loss import TaskLoss
from enstack.training.optimizer import ScheduledOptimizer
from enstack.training.state import TrainingState
from enstack.training.step import Batch, add_gradients, apply_gradients

__all__ = ["Follower", "follow", "release", "share_training"]


def share_training(training: TrainingState) -> None:
    """Bring all processes of a training to where the first one stands."""
    group = training.hardware.group
    if group.size == 1:
        return
    share_model(training.model, training.hardware)
    config = training.config
    group.tell(
        {
            "do": "training",
            "problem_type": training.job.data.task.problem_type,
            "class_weights": training.loss.weights,
            "rates": training.optimizer.rates,
            "weight_decay": config.weight_decay,
            "max_grad_norm": config.max_grad_norm,
            "optimizer": training.optimizer.state_dict(),
        }
    )


def release(group: Group) -> None:
    """Tell the others that nothing is left for them to do."""
    group.tell({"do": "end"})


def follow(group: Processes) -> None:
    """Do what the first process asks, until it has nothing left to ask."""
    follower = Follower(group)
    while (asked := group.hear())["do"] != "end":
        do = getattr(follower, f"do_{asked.pop('do')}")
        do(**asked)


class Follower:
    """One of the processes beside the first: it decides nothing, writes nothing, says nothing."""

    model: torch.nn.Module
    loss: TaskLoss
    optimizer: ScheduledOptimizer
    said: list[torch.Tensor]  # probabilities, a tensor (n, k) for each batch

    def __init__(self, group: Group) -> None:
        self.hardware = Hardware(choose_device(), "fp32", 0, group)
        self._settings = ""
        self._kept: list[tuple[torch.nn.Module, Hardware]] = []

    def do_model(
        self,
        settings: str,
        weights: dict[str, torch.Tensor],
        precision: str,
        deterministic: bool,
        final: bool,
    ) -> None:
        """Have a model of these settings and weights, and nothing predicted by it yet.

        final: it will be asked for again, as it is, by its place among such models.
        """
        self.hardware = dataclasses.replace(
            self.hardware, precision=precision, deterministic=deterministic
        )
        self.said = []
        if final or settings != self._settings:
            self.model = twin_of(settings).to(self.hardware.device)
        self._settings = "" if final else settings
        take_weights(self.model, weights)
        if final:
            self._kept.append((self.model, self.hardware))

    def do_kept_model(self, place: int) -> None:
        """Have a model that was kept, and nothing predicted by it yet."""
        self.model, self.hardware = self._kept[place]
        self._settings, self.said = "", []

    def do_training(
        self,
        problem_type: str,
        class_weights: torch.Tensor | None,
        rates: torch.Tensor,
        weight_decay: float,
        max_grad_norm: float,
        optimizer: dict[str, Any],
    ) -> None:
        """Stand where the first process stands in a training of the model."""
        self.loss = TaskLoss(problem_type, class_weights, self.hardware.device)
        self.optimizer = ScheduledOptimizer(
            self.model,
            rates,
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm,
            precision=self.hardware.precision,
        )
        self.optimizer.load_state_dict(optimizer)

    def do_train(self, batch: Batch, step_weight: float, last: bool, draws: list[int]) -> None:
        """Train the own share of a batch.

        draws: what dropout's draws depend on, with this process's number: so a training that goes
        on draws as an unbroken one, and a checkpoint need not hold the state of each process.
        """
        seed = np.random.SeedSequence([*draws, self.hardware.group.rank]).generate_state(1)[0]
        torch.manual_seed(int(seed))
        self.model.train()
        with self.hardware.kernels():
            add_gradients(self, batch, step_weight)
            if last:
                apply_gradients(self)

    def do_predict(self, batches: list[Batch]) -> None:
        """Predict the batch of this process, if the round has one."""
        if self.hardware.group.rank < len(batches):
            batch = batches[self.hardware.group.rank]
            with predicting(self.model, self.hardware):
                self.said.append(batch_probabilities(self.model, batch, self.hardware.device))

    def do_collect(self, shape: list[int]) -> None:
        """Let the first process have what was predicted; shape: (rows, k) that all fit in."""
        rows, k = shape
        said = torch.cat(self.said) if self.said else torch.zeros(0, k)
        self.hardware.group.gather(padded(said, (rows, k)))
