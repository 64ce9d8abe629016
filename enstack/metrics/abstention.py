"""From which confidence on a model may be believed: a guaranteed precision, or no threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binom

__all__ = ["CONFIDENCE", "TARGETS", "guaranteed_threshold", "guarantees"]

TARGETS = (0.8, 0.9, 0.95)  # precision that may be asked for
CONFIDENCE = 0.9  # how often, over sets of rows like these, what is promised holds
STEPS = 20  # thresholds that are tried: the surest 5 %, 10 %, ... of the rows


def guarantees(scores: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The threshold for each precision that may be asked for, as JSON values.

    Arguments as of guaranteed_threshold. threshold: None where no precision can be promised;
    answered: how many of these rows lie on or above it.
    """
    thresholds = [guaranteed_threshold(scores, right, target) for target in TARGETS]
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
    scores: np.ndarray, right: np.ndarray, target: float, confidence: float = CONFIDENCE
) -> float | None:
    """The lowest score from which on at least `target` of the answers is right; None without one.

    scores: (n,), higher where the model is surer; right: (n,) bool. On new rows of the same kind it
    holds with `confidence`, over the rows that it was chosen on. Method: learn then test
    (Angelopoulos et al. 2021, arXiv 2110.01052) with exact binomial tests, and Holm's correction
    for the thresholds that are tried.
    """
    tried = _thresholds(scores)
    if not len(tried):
        return None
    answered = np.array([(scores >= threshold).sum() for threshold in tried])
    n_right = np.array([right[scores >= threshold].sum() for threshold in tried])
    # How likely so many would be right if no more than `target` of all were.
    p_values = binom.sf(n_right - 1, answered, target)
    holds = _holm(p_values, 1 - confidence)
    return float(tried[holds].min()) if holds.any() else None


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
