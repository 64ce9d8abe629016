"""Base models that are far better on test than where stacks are fitted, as if they knew it.

A file of probabilities that was made with test's labels in view is surer of them on test than
elsewhere. Ids, sums and seen marks can't tell that; the gap can.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.stacking.titles import title
from enstack.stacking.word_counts import WORDS

__all__ = ["Leap", "Rows", "leaps"]

BASE = "base:"
# Chance alone gives 4 standard errors once in 30,000: of a run with twelve models, one in 2,500.
STANDARD_ERRORS = 4.0
# Of the probability given to what is true: another split may suit one model better, by hundredths.
LEAST = 0.05


@dataclass(frozen=True)
class Leap:
    """A base model's accuracy where stacks are fitted and on test, and that of word counts.

    standard_errors: how many its gain less that of the others is away from none.
    """

    title: str
    before: float
    on_test: float
    words_before: float
    words_on_test: float
    standard_errors: float


@dataclass(frozen=True)
class Rows:
    """What models say of labelled rows: probabilities (n, k) and decisions, by key.

    Of keys that are no base models, those of word counts alone are used.
    """

    task: LabelTask
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    decisions: Mapping[str, np.ndarray]

    @property
    def keys(self) -> list[str]:
        """Base models, and word counts, which learned from train alone."""
        return [key for key in self.probabilities if key.startswith(BASE) or key == WORDS]

    def accuracy(self, key: str) -> float:
        """The share of rows that a model decides right; 0 where it is not asked."""
        if key not in self.decisions:
            return 0.0
        return float(self.task.right(self.labels, self.decisions[key]).mean())

    def given_to_truth(self, key: str) -> np.ndarray:
        """The probability (n,) that a model gives to a row's class, or in the mean to its flags."""
        choices = self.task.choices(self.probabilities[key])
        of_label = choices[np.arange(len(choices)), self.task.taken(self.labels)]
        mean: np.ndarray = of_label.reshape(len(self.labels), -1).mean(axis=1)
        return mean


def leaps(
    before: Rows,
    on_test: Rows,
    clusters: np.ndarray | None = None,
    asked: Container[str] | None = None,
) -> list[Leap]:
    """The base models whose gain on test, less that of the other models, is far beyond chance.

    before: the rows that stacks are fitted on. clusters: (n,) of the test rows, which depend on
    each other within one. asked: the names of those it is asked of; None: of all.

    Compared is the probability given to what is true, which moves less by
    chance than whether a row is right; the mean of the others, word counts among them, tells how
    much easier test is. Method: two means, rows in clusters counted as the independent ones that
    would tell as much.
    """
    keys = [key for key in on_test.keys if key in before.keys]
    sides = [(rows, {key: rows.given_to_truth(key) for key in keys}) for rows in (before, on_test)]
    found = []
    for key in (key for key in keys if key.startswith(BASE)):
        if asked is not None and key.removeprefix(BASE) not in asked:
            continue
        others = [other for other in keys if other != key]
        apart = [
            given[key] - np.mean([given[other] for other in others] or [0 * given[key]], axis=0)
            for _, given in sides
        ]
        gain = float(apart[1].mean() - apart[0].mean())
        # A leak takes the spread away from test: that of the other rows is what chance has.
        spread = max(float(each.var()) for each in apart)
        error = np.sqrt(spread * (1 / len(apart[0]) + _together(clusters) / len(apart[1])))
        if gain >= LEAST and gain >= STANDARD_ERRORS * error > 0:
            own, words = [(before.accuracy(one), on_test.accuracy(one)) for one in (key, WORDS)]
            found.append(Leap(title(key), *own, *words, float(gain / error)))
    return found


def _together(clusters: np.ndarray | None) -> float:
    """How many rows the cluster of a row has in the mean."""
    if clusters is None:
        return 1.0
    sizes = np.unique(clusters, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum())
