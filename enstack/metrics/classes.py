"""Figures of one class a function, of one evaluation: scikit-learn's.

Labels and predictions are (n,) int, classes from 0 to n_classes - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from enstack.errors import DataError
from enstack.metrics.counts import ratio
from enstack.metrics.flags import FIGURES, mcc, two_sided


def evaluate_classes(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Every figure of one model on rows of one class each, as JSON values.

    probabilities: (n, k), the class of a row is the first highest. Macro figures average over the
    classes that occur in labels or predictions, as scikit-learn does by itself, and a ratio with
    nothing below it is 0. auc: one class against the rest, averaged over the classes for which it
    is defined; None where there are none. Raises DataError for labels that are no classes.
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
    # A class that nobody has and nobody is given would count as an F1 of 0.
    occurs = support + predicted > 0
    aucs = one_vs_rest_aucs(labels, probabilities)
    columns = {"support": support, "predicted": predicted, **by_name}
    per_class = [
        {"class": name, **{key: values[row].item() for key, values in columns.items()}, "auc": auc}
        for row, (name, auc) in enumerate(zip(class_names, aucs, strict=True))
    ]
    defined = [auc for auc in aucs if auc is not None]
    return {
        "n": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        **{f"macro_{name}": float(values[occurs].mean()) for name, values in by_name.items()},
        **{
            f"weighted_{name}": float(np.average(values, weights=support))
            for name, values in by_name.items()
        },
        "mcc": mcc(labels, predictions),
        "auc": float(np.mean(defined)) if defined else None,
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
    """Precision and F1 of each class (..., k), and whether the class occurs at all.

    confusion: (..., k, k) counts, or weights, which no function of scikit-learn takes.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    occurs: np.ndarray = support + predicted > 0
    return ratio(right, predicted), ratio(2 * right, support + predicted), occurs
