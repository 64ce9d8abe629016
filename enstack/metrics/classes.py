"""Figures of one class a function, of one evaluation: scikit-learn's.

Labels and predictions are (n,) int, classes from 0 to n_classes - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from enstack.errors import DataError
from enstack.metrics.counts import ratio
from enstack.metrics.flags import FIGURES, mcc, two_sided


def evaluate_classes(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Every figure of one model on rows of one class each, as JSON values.

    probabilities: (n, k), the class of a row is the first highest. Macro figures average over the
    classes that rows have, as scikit-learn's with labels=np.unique(labels): by itself it adds those
    that were predicted alone, other ones for other models. A ratio with nothing below it is 0. auc
    and average_precision (the area under precision over recall): one class against the rest,
    averaged over the classes for which it is defined; None where there are
    none. Raises DataError for labels that are no classes.
    """
    predictions, every_class = probabilities.argmax(axis=1), np.arange(len(class_names))
    require_classes(labels, predictions, len(class_names))
    # All classes are named: without that, one that no row has would lose its line of the figures.
    confusion = confusion_matrix(labels, predictions, labels=every_class)
    *figures, _ = precision_recall_fscore_support(
        labels, predictions, labels=every_class, zero_division=0
    )
    # Counted here: where a class has no row, scikit-learn gives its support as floats.
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    by_name = dict(zip(FIGURES, figures, strict=True))
    # A class that no row has would count as an F1 of 0; who is given it wrongly lacks its own.
    occurs = support > 0
    aucs = one_vs_rest_aucs(labels, probabilities)
    average_precisions = one_vs_rest_average_precisions(labels, probabilities)
    mccs = mcc_of_confusion(one_vs_rest(confusion))
    columns = {"support": support, "predicted": predicted, **by_name, "mcc": mccs}
    per_class = [
        {
            "class": name,
            **{key: values[row].item() for key, values in columns.items()},
            "auc": aucs[row],
            "average_precision": average_precisions[row],
        }
        for row, name in enumerate(class_names)
    ]
    return {
        "n": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        **{f"macro_{name}": float(values[occurs].mean()) for name, values in by_name.items()},
        **{
            f"weighted_{name}": float(np.average(values, weights=support))
            for name, values in by_name.items()
        },
        "mcc": mcc(labels, predictions),
        "macro_mcc": float(mccs[occurs].mean()),
        "auc": mean_of_defined(aucs),
        "average_precision": mean_of_defined(average_precisions),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def one_vs_rest_aucs(labels: np.ndarray, probabilities: np.ndarray) -> list[float | None]:
    """One class against the rest, for each class; None where there is no such class or no rest."""
    return [
        # Not multi_class="ovr", which is NaN as soon as one class has no row, or raises.
        float(roc_auc_score(labels == index, column)) if two_sided(labels == index) else None
        for index, column in enumerate(probabilities.T)
    ]


def one_vs_rest_average_precisions(
    labels: np.ndarray, probabilities: np.ndarray
) -> list[float | None]:
    """The area under precision over recall of each class; None as of one_vs_rest_aucs."""
    return [
        float(average_precision_score(labels == index, column))
        if two_sided(labels == index)
        else None
        for index, column in enumerate(probabilities.T)
    ]


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """The mean of those that are not None; None where all are."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def require_classes(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> None:
    """Raise DataError unless labels and predictions are as many, and all of them classes."""
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


def figures_of_confusion(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and F1 of each class (..., k), and whether any row has the class.

    confusion: (..., k, k) counts, or weights, which no function of scikit-learn takes.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    occurs: np.ndarray = support > 0
    return ratio(right, predicted), ratio(2 * right, support + predicted), occurs


def one_vs_rest(confusion: np.ndarray) -> np.ndarray:
    """Of a confusion matrix (k, k), each class against the rest: (k, 2, 2), the class second."""
    hit = np.diagonal(confusion)
    missed, wrong = confusion.sum(axis=1) - hit, confusion.sum(axis=0) - hit
    rest = confusion.sum() - hit - missed - wrong
    return np.stack([rest, wrong, missed, hit], axis=-1).reshape(-1, 2, 2)


def mcc_of_confusion(confusion: np.ndarray) -> np.ndarray:
    """Matthews' correlation (Gorodkin 2004, R_K) of counts or weights (..., k, k): shape (...,).

    0 where a side never changes, as of flags.mcc.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    # As shares: the products of a million rows would lose digits.
    counts = counts / np.maximum(counts.sum(axis=(-2, -1), keepdims=True), np.finfo(float).tiny)
    true, given = counts.sum(axis=-1), counts.sum(axis=-2)
    together = np.trace(counts, axis1=-2, axis2=-1) - (true * given).sum(axis=-1)
    spread = (1 - (true**2).sum(axis=-1)) * (1 - (given**2).sum(axis=-1))
    # Of one class alone, 1 less the square of 1 is hardly ever 0 to the last bit.
    constant = ((true > 0).sum(axis=-1) < 2) | ((given > 0).sum(axis=-1) < 2)
    found = ratio(np.where(constant, 0, together), np.where(constant, 1, np.sqrt(np.abs(spread))))
    within: np.ndarray = np.clip(found, -1, 1)  # rounding must not make more than perfect of it
    return within
