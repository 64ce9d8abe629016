"""From which confidence on a model may be believed: a guaranteed precision, or no threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betainc

__all__ = ["CONFIDENCE", "TARGETS", "guaranteed_threshold", "guarantees"]

TARGETS = (0.8, 0.9, 0.95)  # precision that may be asked for
CONFIDENCE = 0.9  # how often, over sets of rows like these, what is promised holds
STEPS = 20  # thresholds that are tried: the surest 5 %, 10 %, ... of the rows


def guarantees(
    scores: np.ndarray, right: np.ndarray, clusters: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """The threshold for each precision that may be asked for, as JSON values.

    Arguments as of guaranteed_threshold. threshold: None where no precision can be promised;
    answered: how many of these rows lie on or above it.
    """
    thresholds = [guaranteed_threshold(scores, right, target, clusters) for target in TARGETS]
    return [
        {
            "target": target,
            "confidence": CONFIDENCE,
            "threshold": threshold,
            "n": len(scores),
            "answered": 0 if threshold is None else int((scores >= threshold).sum()),
        }
        for target, threshold in zip(TARGETS, thresholds, strict=True)
    ]


def guaranteed_threshold(
    scores: np.ndarray,
    right: np.ndarray,
    target: float,
    clusters: np.ndarray | None = None,
    confidence: float = CONFIDENCE,
) -> float | None:
    """The lowest score from which on at least `target` of the answers is right; None without one.

    scores: (n,), higher where the model is surer; right: (n,) bool. On new rows of the same kind it
    holds with `confidence`, over the rows that it was chosen on. clusters: (n,) int, the same for
    rows that depend on each other. Method: learn then test (Angelopoulos et al. 2021, arXiv
    2110.01052) with exact binomial tests, and Holm's correction for the thresholds that are tried;
    rows in clusters count as the independent ones that would tell as much (Kish 1965).
    """
    tried = _thresholds(scores)
    if not len(tried):
        return None
    answered = [scores >= threshold for threshold in tried]
    shares = np.array([right[rows].mean() for rows in answered])
    counting = np.array(
        [_independent(None if clusters is None else clusters[rows], rows) for rows in answered]
    )
    # How likely so many would be right if no more than `target` of all were: the binomial tail, as
    # a function that takes parts of rows too.
    hits = shares * counting
    p_values = np.where(hits > 0, betainc(np.maximum(hits, 1e-9), counting - hits + 1, target), 1.0)
    holds = _holm(p_values, 1 - confidence)
    return float(tried[holds].min()) if holds.any() else None


def _independent(clusters: np.ndarray | None, rows: np.ndarray) -> float:
    """How many independent rows tell as much as these: all of them, where there are no clusters."""
    n_rows = float(rows.sum())
    if clusters is None:
        return n_rows
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(n_rows**2 / (sizes**2).sum())


def _thresholds(scores: np.ndarray) -> np.ndarray:
    """Scores of rows, from the surest on; which, their labels do not decide."""
    ranks = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * len(scores)).astype(int)) - 1
    return np.unique(np.sort(scores)[::-1][ranks[ranks >= 0]])[::-1]


def _holm(p_values: np.ndarray, level: float) -> np.ndarray:
    """Which hypotheses (m,) bool are rejected; a true one is among them `level` of the times."""
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= level / np.arange(len(order), 0, -1)
    rejected = np.zeros(len(order), dtype=bool)
    rejected[order[np.logical_and.accumulate(passed)]] = True
    return rejected
