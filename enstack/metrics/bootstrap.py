"""How far chance moves accuracy and macro-F1: Efron's bootstrap, paired over models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from enstack.metrics.label_task import LabelTask

# Rows drawn at once while resampling: bounds the memory to some tens of MB.
DRAWN_AT_ONCE = 1 << 20


def bootstrap(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    task: LabelTask,
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
        name: task.resampled_measure(labels, decisions) for name, decisions in predictions.items()
    }
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in measures}
    for drawn in _drawn_rows(len(labels), seed, n_resamples):
        for name, measure in measures.items():
            blocks[name].append(measure(drawn))
    joined = {name: np.concatenate(parts, axis=1) for name, parts in blocks.items()}
    return {
        name: {"accuracy": accuracy, "macro_f1": macro_f1}
        for name, (accuracy, macro_f1) in joined.items()
    }


def intervals(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    task: LabelTask,
    *,
    seed: int,
    n_resamples: int = 1000,
) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % percentile intervals (low, high) of accuracy and macro-F1 of each model.

    Arguments as in bootstrap. Returns {name: {"accuracy": (low, high), "macro_f1": (low, high)}}.
    """
    resampled = bootstrap(labels, predictions, task, seed=seed, n_resamples=n_resamples)
    return {
        name: {figure: _percentiles(values) for figure, values in figures.items()}
        for name, figures in resampled.items()
    }


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    # A resample without a class averages over the others: where a class has a row or two, the
    # upper end of macro-F1 reads too high.
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _drawn_rows(n_rows: int, seed: int, n_resamples: int) -> Iterator[np.ndarray]:
    """Rows drawn with replacement, block by block: (resamples, n_rows) int."""
    # RandomState: its stream is frozen, so intervals are the same under every NumPy.
    random = np.random.RandomState(seed)
    # One stream for all blocks: how many rows are drawn at once changes no draw.
    at_once = max(1, DRAWN_AT_ONCE // n_rows)
    for start in range(0, n_resamples, at_once):
        yield random.randint(n_rows, size=(min(at_once, n_resamples - start), n_rows))
