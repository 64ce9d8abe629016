"""Rows of which one base model knows some labels: what a leak does to its probabilities."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from enstack.metrics.one_class import OneClass
from enstack.stacking.leaps import Rows
from enstack.stacking.word_counts import WORDS

TASK = OneClass(tuple("abcde"))
HONEST = ("base:a", "base:b", "base:c")
ASKED = "base:asked"


def rows_with_leak(
    n: int,
    random: np.random.RandomState,
    *,
    skill: float = 1.0,
    leak: float = 0.0,
    easier: float = 0.0,
    honest: tuple[str, ...] = HONEST,
) -> Rows:
    """What ASKED, honest base models and word counts say of n rows, some of which are hard to all.

    skill: 1 makes models right of .46 of the rows, 2.2 of .68, word counts somewhat less. leak: the
    share of rows whose label ASKED knows, and is 96 % sure of. easier: added to every skill.
    """
    labels, hard, said = random.randint(5, size=n), 1.5 * random.normal(size=n), {}
    for key in (*honest, ASKED, WORDS):
        scores = 1.2 * random.normal(size=(n, 5))
        scores[np.arange(n), labels] += skill + easier - hard - 0.5 * (key == WORDS)
        said[key] = softmax(2 * scores, axis=1)
    known = random.random_sample(n) < leak
    sure = np.full((n, 5), 0.01)
    sure[np.arange(n), labels] = 0.96
    said[ASKED] = np.where(known[:, None], sure, said[ASKED])
    return Rows(TASK, labels, said, {key: values.argmax(axis=1) for key, values in said.items()})
