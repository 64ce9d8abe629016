"""Test sets from populations whose truth is known: equal models, or one better by a known gain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Population:
    """Functions and two models whose truth is known, to draw test sets from.

    shares: (k,) of the classes, or how often each flag is there; right: (k,) how often a model is
    right; together: how often both say the same for the same reason; cluster: mean size of groups
    of rows that are copies of each other, and uneven: most of one row and some of many. mostly: the
    class that a wrong model says. counted: macro-F1 is of classes with so many rows. gain: how much
    more often the first model is right where the two say things for reasons of their own.
    """

    name: str
    n: int
    shares: tuple[float, ...]
    right: tuple[float, ...]
    together: float = 0.8
    cluster: int = 1
    uneven: bool = False
    mostly: int | None = None
    flags: bool = False
    counted: int = 1
    gain: float = 0.0

    @property
    def task(self) -> LabelTask:
        names = tuple("abcdefgh"[: len(self.shares)])
        return SeveralFlags(names) if self.flags else OneClass(names)

    def draw(self, n: int, random: np.random.RandomState) -> Rows:
        """Labels and both models' decisions about n rows, each by itself."""
        shares, right = np.array(self.shares), np.array(self.right)
        if self.flags:
            labels = random.random_sample((n, len(shares))) < shares
            both = random.random_sample(labels.shape) < self.together
            shared, first, second = (
                labels ^ (random.random_sample(labels.shape) >= rate)
                for rate in (right, self._rate(right), right)
            )
            return labels, np.where(both, shared, first), np.where(both, shared, second)
        labels = random.choice(len(shares), size=n, p=shares / shares.sum())
        both = random.random_sample(n) < self.together
        shared, first, second = (
            self._said(labels, rate, random) for rate in (right, self._rate(right), right)
        )
        return labels, np.where(both, shared, first), np.where(both, shared, second)

    def draw_test_set(
        self, random: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """n rows, or about as many in clusters, and the clusters or None."""
        if self.cluster == 1:
            return *self.draw(self.n, random), None
        labels, first, second = self.draw(self.n // self.cluster, random)
        sizes = self._sizes(len(labels), random)
        of = np.repeat(np.arange(len(labels)), sizes)
        return labels[of], first[of], second[of], of

    def draw_models(
        self, n_models: int, random: np.random.RandomState
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Labels (n,) and the decisions of models that are all as good, by chance of their own."""
        labels, shared, _ = replace(self, together=1.0).draw(self.n, random)
        right, models = np.array(self.right), {}
        for number in range(n_models):
            both = random.random_sample(self.n) < self.together
            models[f"m{number}"] = np.where(both, shared, self._said(labels, right, random))
        return labels, models

    def _sizes(self, n: int, random: np.random.RandomState) -> np.ndarray:
        if not self.uneven:
            return random.geometric(1 / self.cluster, size=n)
        large = random.geometric(1 / (4 * self.cluster - 3), size=n)
        return np.where(random.random_sample(n) < 0.25, large, 1)

    def _rate(self, right: np.ndarray) -> np.ndarray:
        return np.clip(right + self.gain, 0, 1)

    def _said(
        self, labels: np.ndarray, right: np.ndarray, random: np.random.RandomState
    ) -> np.ndarray:
        k = len(self.shares)
        if self.mostly is not None:
            other = np.full(len(labels), self.mostly)
            return np.where(random.random_sample(len(labels)) < right[labels], labels, other)
        # A wrong answer is the next class twice as often as any other.
        other = (labels + 1 + np.maximum(0, random.randint(-1, k - 1, size=len(labels)))) % k
        return np.where(random.random_sample(len(labels)) < right[labels], labels, other)


TINY = (0.6, 0.3, 0.084, 9 / 729, 3 / 729)
SIX = (0.49, 0.17, 0.14, 0.1, 0.09, 9 / 729)
POPULATIONS = (
    Population("even classes", 729, (0.25,) * 4, (0.75,) * 4),
    Population("classes of 9 and 3", 729, TINY, (0.9, 0.7, 0.6, 0.6, 0.6)),
    Population("classes of 9 and 3, 30 counted", 729, TINY, (0.9, 0.7, 0.6, 0.6, 0.6), counted=30),
    Population("two classes, one rare", 300, (0.9, 0.1), (0.95, 0.5), together=0.5),
    Population("60 functions", 60, (0.25,) * 4, (0.75,) * 4, together=0.5),
    Population("flags", 729, (0.3, 0.1, 0.02), (0.9, 0.9, 0.95), flags=True),
    Population("clusters of 4", 1458, (0.25,) * 4, (0.75,) * 4, cluster=4),
    Population("clusters of 4, rare class", 1458, (0.6, 0.3, 0.1), (0.9, 0.7, 0.6), cluster=4),
    Population(
        "clusters of 1 to 40, six classes",
        729,
        SIX,
        (0.9, 0.8, 0.8, 0.8, 0.8, 0.7),
        cluster=3,
        uneven=True,
    ),
    Population(
        "clusters of 1 to 40, unlike models",
        729,
        SIX,
        (0.9, 0.8, 0.8, 0.8, 0.8, 0.7),
        together=0.1,
        cluster=3,
        uneven=True,
        counted=30,
    ),
    Population(
        "clusters of 1 to 40, weak models",
        729,
        SIX,
        (0.95, 0.5, 0.2, 0.05, 0.0, 0.0),
        cluster=3,
        uneven=True,
        mostly=0,
    ),
    Population("3,900 functions", 3900, TINY, (0.9, 0.7, 0.6, 0.6, 0.6)),
)
