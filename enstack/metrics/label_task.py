"""What differs between one class a function and several flags, told apart by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from enstack.errors import DataError
from enstack.metrics.bootstrap import resampled_measure
from enstack.metrics.classes import (
    confusion_matrix,
    macro_and_weighted,
    multiclass_mcc,
    one_vs_rest_aucs,
    per_class_figures,
)
from enstack.metrics.flags import (
    choose_thresholds,
    evaluate_flags,
)


def decide(probabilities: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
    """What a model says of each row: the first highest class (n,), or the flags (n, k) bool.

    thresholds: (k,) of the flags in label mode multilabel, else None.
    """
    decisions: np.ndarray = (
        probabilities.argmax(axis=1) if thresholds is None else probabilities >= thresholds
    )
    return decisions


def thresholds_for(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
    """The thresholds (k,) that suit flags (n, k) bool best; None for classes (n,), which need none.

    Raises DataError for probabilities that are not finite.
    """
    if labels.ndim == 1:
        return None
    require_probabilities(labels, probabilities, labels.shape[1])
    return choose_thresholds(labels, probabilities)


def accuracy_and_macro_f1(
    labels: np.ndarray, decisions: np.ndarray, n_classes: int
) -> tuple[float, float]:
    """The two figures by which models are compared; labels and decisions: (n,) or (n, k) bool."""
    every_row = np.arange(len(labels))[None]
    accuracy, macro_f1 = resampled_measure(labels, decisions, n_classes)(every_row)
    return float(accuracy[0]), float(macro_f1[0])


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean cross-entropy of classes (n,), or of flags (n, k) bool, each by itself."""
    chances = probabilities.astype(np.float64)
    if labels.ndim == 2:
        of_label = np.where(labels, chances, 1 - chances)
    else:
        of_label = chances[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(of_label, 1e-12, 1)).mean())


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    thresholds: np.ndarray | None = None,
) -> dict[str, Any]:
    """Every figure of one model on labelled rows, as JSON values.

    labels: (n,) int; probabilities: (n, k), the class of a row is the first highest. Macro figures
    average over the classes that occur in labels or predictions, as scikit-learn does, and a ratio
    with nothing below it is 0. auc: one class against the rest, averaged over the classes for
    which it is defined; None where there are none. With thresholds (k,), labels are flags (n, k)
    bool and the figures those of multilabel.evaluate_flags. Raises DataError for rows that do not
    fit.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    require_probabilities(labels, probabilities, len(class_names))
    if thresholds is not None:
        return evaluate_flags(labels, probabilities, thresholds, class_names)
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(class_names))
    per_class = per_class_figures(confusion, one_vs_rest_aucs(labels, probabilities), class_names)
    aucs = [row["auc"] for row in per_class if row["auc"] is not None]
    return {
        "n": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        **macro_and_weighted(confusion),
        "mcc": multiclass_mcc(confusion),
        "auc": float(np.mean(aucs)) if aucs else None,
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def require_probabilities(labels: np.ndarray, probabilities: np.ndarray, n_classes: int) -> None:
    """Raise DataError unless probabilities are finite, a row a label and a column a class."""
    if probabilities.shape != (len(labels), n_classes):
        raise DataError(
            f"Probabilities must have one row per label and one column per class, "
            f"({len(labels)}, {n_classes}), found {probabilities.shape}."
        )
    if not np.isfinite(probabilities).all():
        bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
        raise DataError(
            f"Probabilities must be finite, found NaN or infinity in {len(bad):,} of "
            f"{len(labels):,} rows, first row {bad[0]}: the model diverged or the file is damaged."
        )
