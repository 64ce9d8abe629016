"""What a step minimises: the mean loss of all its functions, however they are cut into batches."""

from __future__ import annotations

from collections.abc import Callable

import torch

from enstack.config import RunConfig
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.training.job import TrainingData


def loss_of_classes(
    logits: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy of logits (n, k) and classes (n,), weighted by weights (k,)."""
    return torch.nn.functional.cross_entropy(logits, classes, weight=weights)


def loss_of_flags(
    logits: torch.Tensor, flags: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean binary cross-entropy of logits (n, k) and flags (n, k) bool.

    weights: (k,), by which the functions that have a flag count more.
    """
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits, flags.float(), pos_weight=weights
    )


# By the label task's problem_type: the mean loss of logits (n, k) and labels.
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    OneClass.problem_type: loss_of_classes,
    SeveralFlags.problem_type: loss_of_flags,
}


class TaskLoss:
    """The loss of a label task, and what each batch counts for in the mean of its step.

    weights: (k,) float32 of the classes or flags; None where all count alike.
    """

    def __init__(
        self, problem_type: str, weights: torch.Tensor | None, device: torch.device
    ) -> None:
        self._mean, self.weights = LOSSES[problem_type], weights
        self._weights_on_device = None if weights is None else weights.to(device)
        # Torch's weighted mean of flags is over the functions; that of classes over their weights.
        self._counts_weights = problem_type == OneClass.problem_type

    @classmethod
    def of(cls, data: TrainingData, config: RunConfig, device: torch.device) -> TaskLoss:
        """The loss of a training, its weights taken from the training functions' labels."""
        weights = None
        if config.class_weights == "balanced":
            balanced = data.task.balanced_weights(data.train.labels)
            weights = torch.from_numpy(balanced).float()
        return cls(data.task.problem_type, weights, device)

    def mean(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean loss of one batch, on the device."""
        return self._mean(logits, labels, self._weights_on_device)

    def weight(self, labels: torch.Tensor) -> float:
        """What that mean is taken over: the functions, or the sum of their classes' weights.

        labels: of a batch, in host memory, so that no device has to be waited for.
        """
        if self.weights is None or not self._counts_weights:
            return float(len(labels))
        return float(self.weights[labels].double().sum())


class LossSum:
    """Losses added up on the device, each times its weight, until somebody asks for their mean.

    In float64, which keeps the digits of the last loss in a sum of many thousands: the mean of an
    epoch does not depend on where it was interrupted.
    """

    def __init__(self, device: torch.device) -> None:
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.weight = 0.0

    def add(self, mean: torch.Tensor, weight: float) -> None:
        """Add a batch by its mean loss."""
        # Detached, or the sum would hold every batch's graph in memory.
        self.total += mean.detach().double() * weight
        self.weight += weight

    def mean(self) -> float:
        """The mean of what was added; reads from the device."""
        return float(self.total) / self.weight

    def clear(self) -> None:
        """Begin anew."""
        self.total.zero_()
        self.weight = 0.0

    def load(self, total: torch.Tensor, weight: float) -> None:
        """Go on from a stored sum."""
        self.total = total.to(self.total.device)
        self.weight = weight
