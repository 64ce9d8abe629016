"""Figures of several flags a function: thresholds, and one evaluation.

Flags are (n, k) bool, probabilities (n, k) of each flag by itself, thresholds (k,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    hamming_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

__all__ = [
    "FIGURES",
    "best_thresholds",
    "confusion_of_flags",
    "evaluate_flags",
    "mcc",
    "mean_mcc",
    "two_sided",
]

FIGURES = ("precision", "recall", "f1")
WITHOUT_CHOICE = 0.5  # where all rows are alike there is nothing to choose a threshold by


def best_thresholds(flags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The threshold (k,) float64 of each flag, from which on it counts as predicted.

    It has the best F1 on these rows; of several, it is the highest. None that gives the flag to
    every row is taken: it is the best for a model that knows nothing (Lipton et al. 2014,
    thresholding to maximize F1). 0.5 where no row has the flag or all have it, or where
    the model says the same of all.
    """
    return np.array(
        [
            _best_threshold(has_flag, column)
            for has_flag, column in zip(flags.T, probabilities.T, strict=True)
        ]
    )


def evaluate_flags(
    flags: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Every figure of one model on rows with flags, as JSON values.

    accuracy: the share of rows with every flag right. Macro figures average over the flags that
    some row has, weighted ones by the rows that have the flag; micro_f1 counts all
    decisions together, hamming_loss is the share of them that is wrong. auc and average_precision
    are means over the flags that some rows have and others do not; None where there are none.
    confusion: see confusion_of_flags.
    """
    predicted = probabilities >= thresholds
    per_class = _per_flag(flags, probabilities, predicted, thresholds, names)
    occurs = [row for row in per_class if row["support"]]
    return {
        "n": len(flags),
        "accuracy": float((predicted == flags).all(axis=1).mean()),
        **{f"macro_{name}": _mean(occurs, name) for name in FIGURES},
        **{f"weighted_{name}": _weighted(per_class, name) for name in FIGURES},
        "mcc": mean_mcc(flags, predicted),
        "macro_mcc": mean_mcc(flags, predicted),  # the same: a row with flags has no other
        "auc": _mean_or_none(per_class, "auc"),
        "average_precision": _mean_or_none(per_class, "average_precision"),
        "micro_f1": float(f1_score(flags, predicted, average="micro", zero_division=0)),
        "hamming_loss": float(hamming_loss(flags, predicted)),
        "per_class": per_class,
        "confusion": confusion_of_flags(flags, predicted).tolist(),
    }


def confusion_of_flags(flags: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Of the rows with each flag, how many were given each flag: (k + 1, k + 1) int64.

    The last row and column are the rows without any flag. A row with several flags counts in
    several cells, so the cells of a line may add up to more than its rows.
    """
    # scikit-learn's multilabel matrices are one a flag: which is taken for which, they don't tell.
    together: np.ndarray = _with_none(flags).T @ _with_none(predicted)
    return together


def two_sided(positive: np.ndarray) -> bool:
    """Whether some rows are positive and others are not."""
    return bool(positive.any() and not positive.all())


def mcc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Matthews' correlation (Gorodkin 2004, R_K); 0 where a side never changes: undefined.

    labels, predictions: (n,) int, or bool of one flag.
    """
    # scikit-learn says 0 of these too, but warns where both never change.
    if len(np.unique(labels)) < 2 or len(np.unique(predictions)) < 2:
        return 0.0
    return float(matthews_corrcoef(labels, predictions))


def mean_mcc(flags: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews' correlation of each flag that some row has, and their mean."""
    occurs = np.flatnonzero(flags.any(axis=0))
    each = [mcc(flags[:, place], predicted[:, place]) for place in occurs]
    return float(np.mean(each)) if each else 0.0


def _best_threshold(has_flag: np.ndarray, probabilities: np.ndarray) -> float:
    # Only probabilities that occur: a threshold between two of them decides nothing else.
    thresholds, place = np.unique(probabilities, return_inverse=True)
    if not two_sided(has_flag) or len(thresholds) == 1:
        return WITHOUT_CHOICE
    # Counted from the highest down: the rows that each threshold gives the flag, rightly or not.
    given = np.bincount(place)[::-1].cumsum()[::-1]
    right = np.bincount(place, weights=has_flag)[::-1].cumsum()[::-1]
    # The lowest would give the flag to every row.
    thresholds, given, right = thresholds[1:], given[1:], right[1:]
    # Quotients of whole numbers: equal ones are equal to the last bit.
    f1 = 2 * right / (given + has_flag.sum())
    return float(thresholds[np.flatnonzero(f1 == f1.max())[-1]])


def _per_flag(
    flags: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    thresholds: np.ndarray,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    precision, recall, f1, support = precision_recall_fscore_support(
        flags, predicted, average=None, zero_division=0
    )
    return [
        {
            "class": name,
            "support": int(support[place]),
            "predicted": int(predicted[:, place].sum()),
            "precision": float(precision[place]),
            "recall": float(recall[place]),
            "f1": float(f1[place]),
            "mcc": mcc(flags[:, place], predicted[:, place]),
            "threshold": float(thresholds[place]),
            **_ranking(flags[:, place], probabilities[:, place]),
        }
        for place, name in enumerate(names)
    ]


def _ranking(has_flag: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """How well the probabilities of one flag order the rows, whatever the threshold."""
    if not two_sided(has_flag):
        return {"auc": None, "average_precision": None}
    return {
        "auc": float(roc_auc_score(has_flag, probabilities)),
        "average_precision": float(average_precision_score(has_flag, probabilities)),
    }


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows])) if rows else 0.0


def _weighted(rows: Sequence[dict[str, Any]], name: str) -> float:
    # np.average raises where all weights are 0, as without any flag in these rows.
    support = [row["support"] for row in rows]
    return float(np.average([row[name] for row in rows], weights=support)) if sum(support) else 0.0


def _mean_or_none(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    defined = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(defined)) if defined else None


def _with_none(flags: np.ndarray) -> np.ndarray:
    return np.hstack([flags, ~flags.any(axis=1, keepdims=True)]).astype(np.int64)
