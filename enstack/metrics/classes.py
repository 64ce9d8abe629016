"""Figures of one class a function, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from enstack.errors import DataError
from enstack.metrics.flags import (
    two_sided,
)


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """How often each class was taken for each: (k, k) int64, rows true, columns predicted."""
    cells = confusion_cells(labels, predictions, n_classes)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f1_from_confusion(confusion: np.ndarray) -> np.ndarray:
    """Macro-F1 of confusion matrices (..., k, k): shape (...,).

    Averages over the classes that occur in labels or predictions; 0 where no class does.
    """
    confusion = np.asarray(confusion)
    _, _, f1, occurs = class_figures(confusion)
    return ratio(f1.sum(axis=-1), occurs.sum(axis=-1))


def confusion_cells(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """The cell (n,) of the confusion matrix, read row by row, that each row falls into."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) != len(predictions) or not len(labels):
        raise DataError(
            f"Labels and predictions must be as many and at least one, "
            f"found {len(labels):,} labels and {len(predictions):,} predictions."
        )
    for what, values in (("Labels", labels), ("Predictions", predictions)):
        if values.min() < 0 or values.max() >= n_classes:
            raise DataError(
                f"{what} must be classes from 0 to {n_classes - 1}, "
                f"found {values.min()} to {values.max()}."
            )
    return np.asarray(labels.astype(np.int64) * n_classes + predictions.astype(np.int64))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where there is nothing below."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    quotient: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotient


def class_figures(
    confusion: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall, F1 of each class (..., k), and whether the class occurs at all."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    f1 = ratio(2 * right, support + predicted)
    return ratio(right, predicted), ratio(right, support), f1, support + predicted > 0


def macro_and_weighted(confusion: np.ndarray) -> dict[str, float]:
    """Macro and weighted precision, recall and F1."""
    *figures, occurs = class_figures(confusion)
    support = confusion.sum(axis=1)
    names = ("precision", "recall", "f1")
    pairs = list(zip(names, figures, strict=True))
    return {f"macro_{name}": float(values[occurs].mean()) for name, values in pairs} | {
        f"weighted_{name}": float(np.average(values, weights=support)) for name, values in pairs
    }


def per_class_figures(
    confusion: np.ndarray, aucs: Sequence[float | None], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Support, precision, recall, F1 and AUC of each class, as JSON values; aucs: (k,)."""
    precision, recall, f1, _ = class_figures(confusion)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        {
            "class": name,
            "support": int(support[index]),
            "predicted": int(predicted[index]),
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "auc": aucs[index],
        }
        for index, name in enumerate(class_names)
    ]


def one_vs_rest_aucs(labels: np.ndarray, probabilities: np.ndarray) -> list[float | None]:
    """One class against the rest, for each class; None where there is no such class or no rest."""
    return [
        float(roc_auc_score(labels == index, column)) if two_sided(labels == index) else None
        for index, column in enumerate(probabilities.T)
    ]


def multiclass_mcc(confusion: np.ndarray) -> float:
    """Matthews' correlation for several classes (Gorodkin 2004, R_K); 0 where it is undefined."""
    counts = confusion.astype(np.float64)
    support, predicted, n_rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * n_rows - support @ predicted
    spread = (n_rows**2 - support @ support) * (n_rows**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0
