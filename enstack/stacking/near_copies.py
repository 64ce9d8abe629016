"""Whether a model says so nearly what another one says that it is no other model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from enstack.metrics.label_task import LabelTask
from enstack.rounding import percent

__all__ = ["NearCopy", "near_copy_of"]

# What was measured of copies and of models that were trained apart: docs/statistics.md.
SMALLEST_DIFFERENCE = 0.01  # of probabilities: with less between them, no stack can gain
SAME_ANSWERS = 0.995
CORRELATED = 0.995
ENOUGH = 100  # functions, below which chance alone may correlate so


@dataclass(frozen=True)
class NearCopy:
    """The model that another says the same as, and how near the two are.

    apart: the largest difference of two probabilities; same_answers: the share of functions;
    correlation: among functions with the same answer.
    """

    name: str
    apart: float
    same_answers: float
    correlation: float

    def __str__(self) -> str:
        return (
            f"the same answer to {percent(self.same_answers)}, probabilities at most "
            f"{self.apart:.2g} apart, correlation {self.correlation:.4f} where answers are the same"
        )


def near_copy_of(
    said: np.ndarray, others: Mapping[str, np.ndarray], task: LabelTask
) -> NearCopy | None:
    """The model, by name, that probabilities (n, k) are a near copy of; None where of none.

    That is one from which no probability is SMALLEST_DIFFERENCE away; or, of ENOUGH functions, one
    with SAME_ANSWERS and more, where among functions with the same answer either the probabilities
    correlate by CORRELATED, as after rounding and noise, or the order of how sure the answers are,
    as at another temperature. The answer itself is left out, or all good models would be copies.
    """
    for name, other in others.items():
        found = _compared(name, said, other, task)
        alike = min(found.same_answers - SAME_ANSWERS, found.correlation - CORRELATED) >= 0
        if found.apart < SMALLEST_DIFFERENCE or (alike and len(said) >= ENOUGH):
            return found
    return None


def _compared(name: str, said: np.ndarray, other: np.ndarray, task: LabelTask) -> NearCopy:
    ours, theirs = task.choices(said), task.choices(other)
    answers, others = ours.argmax(axis=1), theirs.argmax(axis=1)
    # A flag is answered by itself, and is like no other flag.
    decisions_each = len(ours) // max(1, len(said))
    group = answers + 2 * task.n_classes * (np.arange(len(ours)) % max(1, decisions_each))
    forms = [(_within(ours, group), _within(theirs, group))]
    forms += [(_ranks(_lead(ours), group), _ranks(_lead(theirs), group))]
    return NearCopy(
        name,
        float(np.abs(said - other).max(initial=0)),
        float((answers == others).mean()) if len(answers) else 1.0,
        max(_correlation(*form) for form in forms),
    )


def _lead(choices: np.ndarray) -> np.ndarray:
    """How far the first choice is ahead of the second one: (m, 1)."""
    ordered = np.sort(choices, axis=1)
    lead: np.ndarray = ordered[:, -1:] - ordered[:, -2:-1]
    return lead


def _within(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Values (m, c) less the mean of their group (m,)."""
    found = np.empty(values.shape)
    for one in np.unique(group):
        found[group == one] = values[group == one] - values[group == one].mean(axis=0)
    return found


def _ranks(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The ranks of values (m, 1) within their group, about their mean."""
    found = np.empty(values.shape)
    for one in np.unique(group):
        found[group == one] = rankdata(values[group == one], axis=0)
    return _within(found, group)


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    norm = np.sqrt((ours**2).sum() * (theirs**2).sum())
    return float((ours * theirs).sum() / norm) if norm else 0.0
