"""Vulnerable or not: how well a model's alerts and their order serve those who must look."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from enstack.metrics.classes import mcc_of_confusion
from enstack.metrics.counts import ratio
from enstack.metrics.curves import precision_recall_points
from enstack.metrics.flags import two_sided

__all__ = ["BUDGETS", "FALSE_POSITIVE_RATE", "alert_budgets", "detection", "vd_s"]

BUDGETS = (10, 50, 100)  # alerts that somebody has time for, per 1,000 functions
FALSE_POSITIVE_RATE = 0.005  # of VD-S, as in its paper


def detection(
    vulnerable: np.ndarray,
    said: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray | None = None,
) -> dict[str, Any]:
    """Figures of the question whether a function is vulnerable, as JSON values.

    vulnerable, said: (n,) bool, whether it is and whether the model says so; scores: (n,), higher
    where it is likelier; weights: (n,) of the rows, as of another prior. share: of the rows that
    is vulnerable. auc, average_precision and vd_s are None where all rows are of one side.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    confusion = np.zeros((2, 2))
    np.add.at(confusion, (vulnerable.astype(int), said.astype(int)), weights)
    hit, of_all = confusion[1, 1], confusion.sum()
    (_, missed_or_hit), (_, alerts) = confusion.sum(axis=1), confusion.sum(axis=0)
    return {
        "n": len(scores),
        "vulnerable": int(vulnerable.sum()),
        "alerts": int(said.sum()),
        "share": float(missed_or_hit / of_all),
        "precision": float(ratio(hit, alerts)),
        "recall": float(ratio(hit, missed_or_hit)),
        "f1": float(ratio(2 * hit, missed_or_hit + alerts)),
        "mcc": float(mcc_of_confusion(confusion)),
        **_ranking(vulnerable, scores, weights),
        "vd_s": vd_s(vulnerable, scores),
        "budgets": alert_budgets(vulnerable, scores, weights),
        "curve": precision_recall_points(vulnerable, scores),
    }


def vd_s(vulnerable: np.ndarray, scores: np.ndarray) -> float | None:
    """The share of vulnerable functions that is missed where at most .5 % of the others is alerted.

    The threshold is the best that these rows allow; 1 where none does. Lower is better. Method: the
    vulnerability detection score of PrimeVul (Ding et al. 2024, arXiv 2403.18624).
    """
    if not two_sided(vulnerable):
        return None
    false_positives, true_positives, _ = roc_curve(vulnerable, scores, drop_intermediate=False)
    return float(1 - true_positives[false_positives <= FALSE_POSITIVE_RATE].max())


def alert_budgets(
    vulnerable: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> list[dict[str, Any]]:
    """Precision and recall where so many of 1,000 functions, those with the highest scores, alert.

    alerts: how many of these rows that is, with their weights; below one, precision and recall are
    None. Rows of the same score share what is left of a budget, as though drawn from them by lot.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) < 0, True))
    looked_at = np.append(0, np.cumsum(weights[order])[ends])
    found = np.append(0, np.cumsum((weights * vulnerable)[order])[ends])
    return [_budget(per_1000, looked_at, found, len(scores)) for per_1000 in BUDGETS]


def _budget(per_1000: int, looked_at: np.ndarray, found: np.ndarray, n_rows: int) -> dict[str, Any]:
    # In rows and not in weights: a prior changes what a row counts, not how many there are.
    alerts = n_rows * per_1000 / 1000
    precision, recall = None, None
    if alerts >= 1:
        size = looked_at[-1] * per_1000 / 1000
        hit = float(np.interp(size, looked_at, found))
        precision = hit / size
        recall = hit / found[-1] if found[-1] else 0.0
    return {"per_1000": per_1000, "alerts": alerts, "precision": precision, "recall": recall}


def _ranking(
    vulnerable: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> dict[str, float | None]:
    # A side that counts nothing is none: weights are 0 where a prior is.
    if not two_sided(vulnerable[weights > 0]):
        return {"auc": None, "average_precision": None}
    auc = roc_auc_score(vulnerable, scores, sample_weight=weights)
    average = average_precision_score(vulnerable, scores, sample_weight=weights)
    return {"auc": float(auc), "average_precision": float(average)}
