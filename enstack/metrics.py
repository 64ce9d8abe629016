"""Pure functions of labels and probabilities: one evaluation, and how far chance moves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from enstack.errors import DataError

__all__ = [
    "at_frequencies",
    "bootstrap",
    "confusion_matrix",
    "evaluate",
    "intervals",
    "macro_f1_from_confusion",
    "reliability",
]

# Rows drawn at once while resampling: bounds the memory to some tens of MB.
DRAWN_AT_ONCE = 1 << 20


def evaluate(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Every figure of one model on labelled rows, as JSON values.

    labels: (n,) int; probabilities: (n, k), the class of a row is the first highest. Macro figures
    average over the classes that occur in labels or predictions, as scikit-learn does, and a ratio
    with nothing below it is 0. auc: one class against the rest, averaged over the classes for
    which it is defined; None where there are none. Raises DataError for rows that do not fit.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    _require_probabilities(labels, probabilities, len(class_names))
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(class_names))
    per_class = _per_class(confusion, _aucs(labels, probabilities), class_names)
    aucs = [row["auc"] for row in per_class if row["auc"] is not None]
    return {
        "n": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        **_averages(confusion),
        "mcc": _mcc(confusion),
        "auc": float(np.mean(aucs)) if aucs else None,
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, *, n_bins: int = 10
) -> dict[str, Any]:
    """How far a model's confidence can be believed: each bin's mean confidence and accuracy.

    labels: (n,) int; probabilities: (n, k). Confidence is the highest probability of a row; the
    bins cut 0 to 1 into equal parts, and empty ones are left out. `ece` is the expected calibration
    error: the mean of |accuracy - confidence| over the rows (Guo et al. 2017, section 2).
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    bins = [
        {
            "n": int((place == number).sum()),
            "confidence": float(confidence[place == number].mean()),
            "accuracy": float(right[place == number].mean()),
        }
        for number in np.unique(place)
    ]
    apart = sum(part["n"] * abs(part["accuracy"] - part["confidence"]) for part in bins)
    return {"ece": float(apart / len(labels)), "bins": bins}


def at_frequencies(confusion: np.ndarray, frequencies: np.ndarray) -> dict[str, Any]:
    """Figures as they would be if the classes came with these frequencies.

    confusion: (k, k), rows true; frequencies: (k,) >= 0, of any scale. Each row is weighted by its
    class's share among the frequencies over its share here, so recall stays and precision moves
    (importance weighting under a prior shift; Saerens et al. 2002, section 2). A class that has
    a frequency and no rows here can't be weighted: it is left out, and told in `missing`.
    """
    counts, wanted = np.asarray(confusion, dtype=np.float64), np.asarray(frequencies, np.float64)
    support = counts.sum(axis=1)
    weighted = counts * _ratio(wanted * (support > 0), support)[:, None]
    if not weighted.any():
        raise DataError("Frequencies must be above 0 for a class that has rows, found none.")
    precision, _, f1, _ = _class_figures(weighted)
    occurs = (weighted.sum(axis=0) + weighted.sum(axis=1)) > 0
    return {
        "accuracy": float(np.trace(weighted) / weighted.sum()),
        "macro_precision": float(precision[occurs].mean()),
        "macro_f1": float(f1[occurs].mean()),
        "precision": precision.tolist(),
        "f1": f1.tolist(),
        "missing": np.flatnonzero((wanted > 0) & (support == 0)).tolist(),
    }


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """How often each class was taken for each: (k, k) int64, rows true, columns predicted."""
    cells = _cells(labels, predictions, n_classes)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f1_from_confusion(confusion: np.ndarray) -> np.ndarray:
    """Macro-F1 of confusion matrices (..., k, k): shape (...,).

    Averages over the classes that occur in labels or predictions; 0 where no class does.
    """
    confusion = np.asarray(confusion)
    _, _, f1, occurs = _class_figures(confusion)
    return _ratio(f1.sum(axis=-1), occurs.sum(axis=-1))


def bootstrap(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    n_classes: int,
    *,
    seed: int,
    n_resamples: int = 1000,
) -> dict[str, dict[str, np.ndarray]]:
    """Accuracy and macro-F1 of each model on rows drawn with replacement, n of n.

    labels and every predictions[name]: (n,) int. Returns {name: {"accuracy", "macro_f1"}}, each
    (n_resamples,). All models see the same resamples, so differences are paired; which rows are
    drawn depends on n and seed alone, so another model changes nothing. Method: Efron's
    nonparametric bootstrap.
    """
    cells = {name: _cells(labels, found, n_classes) for name, found in predictions.items()}
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in cells}
    for drawn in _drawn_rows(len(labels), seed, n_resamples):
        for name, cell in cells.items():
            blocks[name].append(_resampled_figures(cell[drawn], n_classes))
    joined = {name: np.concatenate(parts, axis=1) for name, parts in blocks.items()}
    return {name: {"accuracy": found[0], "macro_f1": found[1]} for name, found in joined.items()}


def intervals(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    n_classes: int,
    *,
    seed: int,
    n_resamples: int = 1000,
) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % percentile intervals (low, high) of accuracy and macro-F1 of each model.

    Arguments as in bootstrap. Returns {name: {"accuracy": (low, high), "macro_f1": (low, high)}}.
    """
    found = bootstrap(labels, predictions, n_classes, seed=seed, n_resamples=n_resamples)
    return {
        name: {figure: _percentiles(values) for figure, values in figures.items()}
        for name, figures in found.items()
    }


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _drawn_rows(n_rows: int, seed: int, n_resamples: int) -> Iterator[np.ndarray]:
    """Rows drawn with replacement, block by block: (resamples, n_rows) int."""
    # RandomState: its stream is frozen, so intervals are the same under every NumPy.
    random = np.random.RandomState(seed)
    at_once = max(1, DRAWN_AT_ONCE // n_rows)
    for start in range(0, n_resamples, at_once):
        yield random.randint(n_rows, size=(min(at_once, n_resamples - start), n_rows))


def _resampled_figures(cell: np.ndarray, n_classes: int) -> np.ndarray:
    """Accuracy and macro-F1 (2, resamples) from the cells (resamples, n_rows) that were drawn."""
    n_resamples, n_cells = len(cell), n_classes**2
    apart = cell + np.arange(n_resamples)[:, None] * n_cells
    counts = np.bincount(apart.ravel(), minlength=n_resamples * n_cells)
    confusion = counts.reshape(n_resamples, n_classes, n_classes)
    right = np.trace(confusion, axis1=1, axis2=2)
    return np.stack([right / cell.shape[1], macro_f1_from_confusion(confusion)])


def _cells(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
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


def _require_probabilities(labels: np.ndarray, probabilities: np.ndarray, n_classes: int) -> None:
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


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where there is nothing below."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    quotient: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotient


def _class_figures(
    confusion: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall, F1 of each class (..., k), and whether the class occurs at all."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    f1 = _ratio(2 * right, support + predicted)
    return _ratio(right, predicted), _ratio(right, support), f1, support + predicted > 0


def _averages(confusion: np.ndarray) -> dict[str, float]:
    """Macro and weighted precision, recall and F1."""
    *figures, occurs = _class_figures(confusion)
    support = confusion.sum(axis=1)
    names = ("precision", "recall", "f1")
    pairs = list(zip(names, figures, strict=True))
    return {f"macro_{name}": float(values[occurs].mean()) for name, values in pairs} | {
        f"weighted_{name}": float(np.average(values, weights=support)) for name, values in pairs
    }


def _per_class(
    confusion: np.ndarray, aucs: Sequence[float | None], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    precision, recall, f1, _ = _class_figures(confusion)
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


def _aucs(labels: np.ndarray, probabilities: np.ndarray) -> list[float | None]:
    """One class against the rest, for each class; None where there is no such class or no rest."""
    return [
        float(roc_auc_score(labels == index, column)) if _two_sided(labels == index) else None
        for index, column in enumerate(probabilities.T)
    ]


def _two_sided(positive: np.ndarray) -> bool:
    return bool(positive.any() and not positive.all())


def _mcc(confusion: np.ndarray) -> float:
    """Matthews' correlation for several classes (Gorodkin 2004, R_K); 0 where it is undefined."""
    counts = confusion.astype(np.float64)
    support, predicted, n_rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * n_rows - support @ predicted
    spread = (n_rows**2 - support @ support) * (n_rows**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0
