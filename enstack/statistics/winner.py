"""The figure of the best of many models, corrected for having been chosen by that figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.statistics.cells import group_alike, measured

N_RESAMPLES = 500


def corrected(
    task: LabelTask,
    labels: np.ndarray,
    decisions: Mapping[str, np.ndarray],
    measure: str,
    *,
    classes: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """The best model's key, its figure as_measured, and corrected.

    decisions: of each model on the same rows, the simplest first: of equal ones the first is best.
    measure, classes, clusters: as in bootstrap.difference. Corrected is the mean figure of models
    chosen on resamples, each on the rows (or clusters) that its resample left out. Method:
    bootstrap-bias-corrected selection, Tsamardinos et al. 2018; its cost grows with the rows that
    the models do not all judge alike.
    """
    first, kind = group_alike(task, labels, *decisions.values())
    drawn = _drawn_and_left_out(kind, clusters, seed, n_resamples)
    figures = []
    for made in decisions.values():
        counts = task.counts_of_rows(labels[first], made[first]).astype(np.float32)
        sums = [(times @ counts).astype(np.float64) for times in drawn]
        figures.append([measured(task, counted, measure, classes) for counted in sums])
    whole, inside, outside = (np.stack(part) for part in zip(*figures, strict=True))
    chosen = inside.argmax(axis=0)
    best = int(whole.argmax())
    return {
        "key": list(decisions)[best],
        "as_measured": float(whole[best]),
        "corrected": float(outside[chosen, np.arange(len(chosen))].mean()),
    }


def _drawn_and_left_out(
    kind: np.ndarray, clusters: np.ndarray | None, seed: int, n_resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each kind of row comes: in all (u,), in each resample (b, u), in what it left out.

    kind: (n,) int of each row. A resample that leaves nothing out is not among the b; where there
    is no other, all rows are both.
    """
    rows = np.arange(len(kind)) if clusters is None else clusters
    _, unit = np.unique(rows, return_inverse=True)
    n_units, n_kinds = int(unit.max()) + 1, int(kind.max()) + 1
    random = np.random.RandomState(seed)
    inside, outside = [], []
    for _ in range(n_resamples):
        times = np.bincount(random.randint(n_units, size=n_units), minlength=n_units)[unit]
        if times.all():
            continue
        # float32 halves the memory, and holds whole numbers to 16 million exactly.
        inside.append(np.bincount(kind, times, n_kinds).astype(np.float32))
        outside.append(np.bincount(kind[times == 0], minlength=n_kinds).astype(np.float32))
    whole = np.bincount(kind).astype(np.float32)
    return whole, np.stack(inside or [whole]), np.stack(outside or [whole])
