"""Pure functions of labels and probabilities: one evaluation, and how far chance moves it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from enstack.errors import DataError
from enstack.multilabel import choose_thresholds, evaluate_flags, hits, resampled_figures, two_sided

__all__ = [
    "accuracy_and_macro_f1",
    "at_frequencies",
    "bootstrap",
    "confusion_matrix",
    "decide",
    "evaluate",
    "flags_at_frequencies",
    "intervals",
    "log_loss",
    "macro_f1_from_confusion",
    "reliability",
    "thresholds_for",
]

# Rows drawn at once while resampling: bounds the memory to some tens of MB.
DRAWN_AT_ONCE = 1 << 20


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
    _require_probabilities(labels, probabilities, labels.shape[1])
    return choose_thresholds(labels, probabilities)


def accuracy_and_macro_f1(
    labels: np.ndarray, decisions: np.ndarray, n_classes: int
) -> tuple[float, float]:
    """The two figures by which models are compared; labels and decisions: (n,) or (n, k) bool."""
    every_row = np.arange(len(labels))[None]
    accuracy, macro_f1 = _measure(labels, decisions, n_classes)(every_row)
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
    _require_probabilities(labels, probabilities, len(class_names))
    if thresholds is not None:
        return evaluate_flags(labels, probabilities, thresholds, class_names)
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
    error: the mean of |accuracy - confidence| over the rows (Guo et al. 2017, section 2). Of flags
    (n, k) bool, each probability is a confidence of its own, and right where the flag is there.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim == 2:
        confidence, right = probabilities.ravel().astype(np.float64), labels.ravel()
    else:
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
    return {"ece": float(apart / len(right)), "bins": bins}


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


def flags_at_frequencies(
    flags: np.ndarray, decisions: np.ndarray, frequencies: np.ndarray
) -> dict[str, Any]:
    """Figures of flags as at_frequencies has them, each flag by itself against the rest.

    flags, decisions: (n, k) bool; frequencies: (k,), the share of functions that has the flag.
    Macro figures average over the flags that are not `missing` and occur. accuracy is None: the
    frequencies of single flags do not tell how often all are right at once.
    """
    precision, f1, missing, occurs = [], [], [], []
    for place, share in enumerate(frequencies):
        counts = confusion_matrix(flags[:, place], decisions[:, place], 2)
        found = at_frequencies(counts, np.array([1 - share, share]))
        precision.append(found["precision"][1])
        f1.append(found["f1"][1])
        missing += [place] if 1 in found["missing"] else []
        occurs.append(bool(counts[1].any() or (counts[0, 1] and not share)))
    return {
        "accuracy": None,
        "macro_precision": float(np.mean(np.array(precision)[occurs])) if any(occurs) else 0.0,
        "macro_f1": float(np.mean(np.array(f1)[occurs])) if any(occurs) else 0.0,
        "precision": precision,
        "f1": f1,
        "missing": missing,
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

    labels and every predictions[name]: (n,) int, or (n, k) bool flags. Returns {name: {"accuracy",
    "macro_f1"}}, each (n_resamples,). All models see the same resamples, so differences are paired;
    which rows are drawn depends on n and seed alone, so another model changes nothing. Method:
    Efron's nonparametric bootstrap.
    """
    measures = {name: _measure(labels, found, n_classes) for name, found in predictions.items()}
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in measures}
    for drawn in _drawn_rows(len(labels), seed, n_resamples):
        for name, measure in measures.items():
            blocks[name].append(measure(drawn))
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


def _measure(
    labels: np.ndarray, predictions: np.ndarray, n_classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of drawn rows (resamples, n) that gives accuracy and macro-F1 (2, resamples)."""
    if np.ndim(labels) == 2:
        return functools.partial(resampled_figures, hits(labels, predictions))
    return functools.partial(_resampled_classes, _cells(labels, predictions, n_classes), n_classes)


def _resampled_classes(cells: np.ndarray, n_classes: int, drawn: np.ndarray) -> np.ndarray:
    """Accuracy and macro-F1 (2, resamples) of drawn rows (resamples, n); cells: (n,)."""
    cell = cells[drawn]
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
        float(roc_auc_score(labels == index, column)) if two_sided(labels == index) else None
        for index, column in enumerate(probabilities.T)
    ]


def _mcc(confusion: np.ndarray) -> float:
    """Matthews' correlation for several classes (Gorodkin 2004, R_K); 0 where it is undefined."""
    counts = confusion.astype(np.float64)
    support, predicted, n_rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * n_rows - support @ predicted
    spread = (n_rows**2 - support @ support) * (n_rows**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0
