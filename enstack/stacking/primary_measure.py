"""The one figure by which models are compared: which it is, and over which classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.statistics.cells import ENOUGH_FUNCTIONS, MACRO_F1_OF_ENOUGH, measured

__all__ = ["ENOUGH_FUNCTIONS", "PrimaryMeasure", "primary_measure"]


@dataclass(frozen=True)
class PrimaryMeasure:
    """A figure of decisions, higher is better.

    name: "macro_f1", "accuracy" or "mcc", or MACRO_F1_OF_ENOUGH where classes are left out; counts:
    of each class or flag, whether macro-F1 is over it.
    """

    task: LabelTask
    name: str
    counts: tuple[bool, ...]

    @property
    def counted_classes(self) -> list[str]:
        """The names of the classes that macro-F1 is over."""
        pairs = zip(self.task.class_names, self.counts, strict=True)
        return [name for name, counts in pairs if counts]

    def of_decisions(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """The figure of decisions on rows; macro-F1 is over the classes that these have."""
        counts = self.task.counts_of_rows(labels, decisions).sum(axis=0)
        return float(measured(self.task, counts, self.name, np.array(self.counts)))

    def of_probabilities(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The figure of what probabilities (n, k) decide."""
        return self.of_decisions(labels, self.decisions(labels, probabilities))

    def decisions(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """What probabilities (n, k) decide; flags by the thresholds that suit these rows best."""
        # On the rows that are measured: too kind, but to every candidate alike.
        thresholds = self.task.choose_thresholds(labels, probabilities)
        return self.task.decide(probabilities, thresholds)


def primary_measure(task: LabelTask, test_labels: np.ndarray, name: str) -> PrimaryMeasure:
    """The measure for a test split: over its classes with at least ENOUGH_FUNCTIONS functions.

    Over all classes where fewer than two have as many. name: as the setting primary_measure has it.
    """
    # Of fewer test functions chance alone moves a class's F1 by a tenth and more.
    enough = task.counts(test_labels) >= ENOUGH_FUNCTIONS
    # The F1 of a single class is won by a model that gives that class to everything.
    counts = enough if enough.sum() >= 2 else np.ones(task.n_classes, dtype=bool)
    if name == "macro_f1" and not counts.all():
        name = MACRO_F1_OF_ENOUGH
    return PrimaryMeasure(task, name, tuple(counts.tolist()))
