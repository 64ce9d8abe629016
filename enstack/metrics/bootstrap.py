"""How far chance moves accuracy and macro-F1: Efron's bootstrap, paired over models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from enstack.metrics.classes import confusion_cells, macro_f1_from_confusion
from enstack.metrics.flags import (
    hits,
    resampled_figures,
)

# Rows drawn at once while resampling: bounds the memory to some tens of MB.
DRAWN_AT_ONCE = 1 << 20


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
    measures = {
        name: resampled_measure(labels, found, n_classes) for name, found in predictions.items()
    }
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


def resampled_measure(
    labels: np.ndarray, predictions: np.ndarray, n_classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of drawn rows (resamples, n) that gives accuracy and macro-F1 (2, resamples)."""
    if np.ndim(labels) == 2:
        return functools.partial(resampled_figures, hits(labels, predictions))
    return functools.partial(
        _resampled_classes, confusion_cells(labels, predictions, n_classes), n_classes
    )


def _resampled_classes(cells: np.ndarray, n_classes: int, drawn: np.ndarray) -> np.ndarray:
    """Accuracy and macro-F1 (2, resamples) of drawn rows (resamples, n); cells: (n,)."""
    cell = cells[drawn]
    n_resamples, n_cells = len(cell), n_classes**2
    apart = cell + np.arange(n_resamples)[:, None] * n_cells
    counts = np.bincount(apart.ravel(), minlength=n_resamples * n_cells)
    confusion = counts.reshape(n_resamples, n_classes, n_classes)
    right = np.trace(confusion, axis1=1, axis2=2)
    return np.stack([right / cell.shape[1], macro_f1_from_confusion(confusion)])
