"""How far chance moves a figure, and a difference of two models: Efron's bootstrap over cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.statistics.cells import Cells, PairedCells, measured, single

N_RESAMPLES = 2000


@dataclass(frozen=True)
class Difference:
    """A measure of the first model less that of the second, and how sure that is.

    low, high: 95 % interval; p: two-sided, of no difference; standard_error: of the value.
    """

    value: float
    low: float
    high: float
    p: float
    standard_error: float


def difference(
    cells: PairedCells,
    measure: str,
    *,
    classes: np.ndarray | None = None,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Difference:
    """How far two models are apart on the same rows.

    measure: "macro_f1", "accuracy" or "mcc"; classes: (k,) bool, over which macro-F1 averages, None
    for all. Both models see the same resamples.
    """
    first, second = measured(cells.task, cells.sums, measure, classes)
    drawn = _drawn(cells, measure, classes, seed, n_resamples)
    apart = drawn[0] - drawn[1]
    low, high = _percentiles(apart)
    beyond = min((apart <= 0).mean(), (apart >= 0).mean())
    return Difference(
        float(first - second), low, high, float(min(1, 2 * beyond)), float(apart.std(ddof=1))
    )


def intervals(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    task: LabelTask,
    *,
    clusters: np.ndarray | None = None,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % intervals (low, high) of accuracy and macro-F1 of each model.

    labels and every predictions[name]: (n,) int, or (n, k) bool flags; clusters: see cells.paired.
    Returns {name: {"accuracy": (low, high), "macro_f1": (low, high)}}. Another model beside it
    changes nothing.
    """
    return {
        name: _intervals(single(task, labels, decisions, clusters), seed, n_resamples)
        for name, decisions in predictions.items()
    }


def _intervals(cells: Cells, seed: int, n_resamples: int) -> dict[str, tuple[float, float]]:
    return {
        measure: _percentiles(_drawn(cells, measure, None, seed, n_resamples)[0])
        for measure in ("accuracy", "macro_f1")
    }


def _drawn(
    cells: Cells, measure: str, classes: np.ndarray | None, seed: int, n_resamples: int
) -> np.ndarray:
    """The measure of each model on each resample: (models, n_resamples)."""
    blocks = cells.resampled(seed=seed, n_resamples=n_resamples)
    return np.concatenate(
        [measured(cells.task, counts, measure, classes) for counts in blocks], axis=-1
    )


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
