"""Curves of one model, thinned for drawing: precision over recall, risk over coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from enstack.metrics.flags import two_sided

__all__ = ["MOST_POINTS", "precision_recall_points", "risk_coverage"]

MOST_POINTS = 200  # a page is some 600 dots wide
DIGITS = 5


def precision_recall_points(has_class: np.ndarray, scores: np.ndarray) -> dict[str, list[float]]:
    """Recall, which rises, and precision at the same thresholds; no point where a side is missing.

    has_class: (n,) bool; scores: (n,), higher where the class is likelier. Each point is one of
    scikit-learn's precision_recall_curve, at most 200 of them, evenly over recall.
    """
    if not two_sided(has_class):
        return {"recall": [], "precision": []}
    precision, recall, _ = precision_recall_curve(has_class, scores, drop_intermediate=True)
    # From the surest on; the last one, precision 1 without any row, was never measured.
    recall, precision = recall[-2::-1], precision[-2::-1]
    kept = _spread(recall)
    return {"recall": _rounded(recall[kept]), "precision": _rounded(precision[kept])}


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """What share is wrong of those that a model is surest of, and `aurc`, the area under it.

    confidence: (m,); right: (m,) bool. coverage: shares of the decisions, rising; risk: the share
    of them that is wrong. Decisions of the same confidence are answered together or not at all.
    aurc: the mean of the risk that each decision is answered at (Geifman and El-Yaniv 2017).
    """
    surest_first = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[surest_first])
    # Where the next is less sure, and at the end.
    ends = np.flatnonzero(np.append(np.diff(confidence[surest_first]) < 0, True))
    answered = ends + 1
    risk = wrong[ends] / answered
    area = float(np.average(risk, weights=np.diff(answered, prepend=0)))
    kept = _spread(answered / len(right))
    coverage = answered[kept] / len(right)
    return {"aurc": area, "coverage": _rounded(coverage), "risk": _rounded(risk[kept])}


def _spread(rising: np.ndarray) -> np.ndarray:
    """Places of at most MOST_POINTS of the points, both ends among them, evenly over a rising x."""
    # One is for the end: where several points have the highest x, the search finds the first.
    wanted = np.linspace(rising[0], rising[-1], MOST_POINTS - 1)
    # Numerically, the last wanted may lie above the last there is.
    places = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return np.unique(np.append(places, len(rising) - 1))


def _rounded(values: np.ndarray) -> list[float]:
    rounded: list[float] = np.round(values, DIGITS).tolist()
    return rounded
