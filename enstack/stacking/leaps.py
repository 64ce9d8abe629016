"""Base models that are far better on test than where stacks are fitted, as if they knew it.

A file of probabilities that was made with test's labels in view is right of every test function,
and no better than others elsewhere. Ids, sums and seen marks can't tell that; the gap can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.stacking.baselines import WORDS
from enstack.stacking.titles import title

__all__ = ["Leap", "leaps"]

# Chance alone gives 4 standard errors once in 30,000: of a run with twelve models, one in 2,500.
STANDARD_ERRORS = 4.0
# Another test split may suit a language model better than word counts, by hundredths.
LEAST = 0.1


@dataclass(frozen=True)
class Leap:
    """A base model's accuracy where stacks are fitted and on test, and that of word counts.

    standard_errors: how many its gain less that of word counts is away from none.
    """

    title: str
    before: float
    on_test: float
    words_before: float
    words_on_test: float
    standard_errors: float


def leaps(
    task: LabelTask,
    before: tuple[np.ndarray, Mapping[str, np.ndarray]],
    on_test: tuple[np.ndarray, Mapping[str, np.ndarray]],
    clusters: np.ndarray | None = None,
) -> list[Leap]:
    """The base models whose gain on test, less that of word counts, is far beyond chance.

    before, on_test: labels of rows, and what each model by its key decides of them. clusters: (n,)
    of the test rows, which depend on each other within one. Word counts, learned from train alone,
    tell how much easier test is. Method: the score test of equal means of (model right) - (words
    right), rows in clusters counted as the independent ones that would tell as much.
    """
    found = []
    for key in (key for key in on_test[1] if key.startswith("base:") and key in before[1]):
        sides = [(_right(task, side, key), _right(task, side, WORDS)) for side in (before, on_test)]
        apart, n = [own - words for own, words in sides], [len(own) for own, _ in sides]
        gain = float(apart[1].mean() - apart[0].mean())
        error = np.sqrt(np.concatenate(apart).var() * (1 / n[0] + _together(clusters) / n[1]))
        if gain >= LEAST and gain >= STANDARD_ERRORS * error > 0:
            (own_before, words_before), (own_test, words_test) = [
                (float(own.mean()), float(words.mean())) for own, words in sides
            ]
            told = (own_before, own_test, words_before, words_test, float(gain / error))
            found.append(Leap(title(key), *told))
    return found


def _right(
    task: LabelTask, side: tuple[np.ndarray, Mapping[str, np.ndarray]], key: str
) -> np.ndarray:
    """Whether a model is right of each row (n,) float64; never, where it is not asked."""
    labels, decisions = side
    if key not in decisions:
        return np.zeros(len(labels))
    return task.right(labels, decisions[key]).astype(np.float64)


def _together(clusters: np.ndarray | None) -> float:
    """How many rows the cluster of a row has in the mean."""
    if clusters is None:
        return 1.0
    sizes = np.unique(clusters, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum())
