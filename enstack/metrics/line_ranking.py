"""How soon a reader of line scores comes to a flaw: within functions, and over all of them.

Lines with the same score come in any order: every figure is its mean over all of these orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

__all__ = ["LineRanking", "effort_at_recall", "rank_lines", "recall_at_effort"]

Figure = Callable[[np.ndarray], np.ndarray]  # of places from 1


@dataclass(frozen=True)
class LineRanking:
    """How high the first flawed line of a function stands, as means over functions.

    top_1, top_3: shares of functions that have it among so many lines. mrr: of 1 / its place. ifa:
    of lines that come before it, initial false alarms (Fu & Tantithamthavorn 2022, LineVul).
    """

    top_1: float
    top_3: float
    mrr: float
    ifa: float
    functions: int


def rank_lines(scores: Sequence[np.ndarray], flawed: Sequence[np.ndarray]) -> LineRanking:
    """Means over functions, each with its lines' scores (n_lines,) and which are flawed, bool.

    Functions without a flawed line have no first one, and don't count; one at least must count.
    """
    every = [
        _first_hit(of_lines, marked)
        for of_lines, marked in zip(scores, flawed, strict=True)
        if marked.any()
    ]
    return LineRanking(
        top_1=_mean(every, lambda places: places <= 1),
        top_3=_mean(every, lambda places: places <= 3),
        mrr=_mean(every, lambda places: 1 / places),
        ifa=_mean(every, lambda places: places - 1),
        functions=len(every),
    )


def recall_at_effort(
    scores: np.ndarray, flawed: np.ndarray, alerted: np.ndarray, effort: float
) -> float:
    """The share of all flawed lines among so large a share of all lines, those that come first.

    scores, flawed, alerted: (n,) of the lines of all functions; lines of alerted functions come
    before the others, in both parts the highest score first. Method: LineVul's Recall@1%LOC.
    """
    read, found = _curve(scores, flawed, alerted)
    return float(np.interp(effort * read[-1], read, found) / found[-1])


def effort_at_recall(
    scores: np.ndarray, flawed: np.ndarray, alerted: np.ndarray, recall: float
) -> float:
    """The share of all lines that is read until such a share of the flawed ones is found.

    Arguments as of recall_at_effort. Method: LineVul's Effort@20%Recall.
    """
    read, found = _curve(scores, flawed, alerted)
    wanted = recall * found[-1]
    after = int(np.argmax(found >= wanted))
    if after == 0:
        return 0.0
    within = (wanted - found[after - 1]) / (found[after] - found[after - 1])
    return float((read[after - 1] + within * (read[after] - read[after - 1])) / read[-1])


def _first_hit(scores: np.ndarray, flawed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places (m,), from 1, where the first flawed line may stand, and their chances."""
    best = scores[flawed].max()
    before = int((scores > best).sum())
    tied, hits = int((scores == best).sum()), int((flawed & (scores == best)).sum())
    # That it comes as the j-th of those with its score: the other hits lie behind.
    place = np.arange(1, tied - hits + 2)
    logs = _log_choices(tied - place, hits - 1) - _log_choices(np.array([tied]), hits)
    return before + place, np.exp(logs)


def _log_choices(of: np.ndarray, chosen: int) -> np.ndarray:
    logs: np.ndarray = gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1)
    return logs


def _mean(every: Sequence[tuple[np.ndarray, np.ndarray]], figure: Figure) -> float:
    return float(np.mean([(figure(places) * chances).sum() for places, chances in every]))


def _curve(
    scores: np.ndarray, flawed: np.ndarray, alerted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lines that are read, and flawed ones among them, after each group of equal ones; from 0.

    Inside a group both grow evenly, as a mean over its orders.
    """
    _, at = np.unique(scores, return_inverse=True)
    # Highest first, and any of an alerted function before all others.
    group = at.max() - at + np.where(alerted, 0, at.max() + 1)
    lines = np.bincount(group)
    hits = np.bincount(group, weights=flawed)[lines > 0]
    lines = lines[lines > 0]
    return np.cumsum([0, *lines]), np.cumsum([0, *hits])
