"""One row for every model on the test split: base models, votes, stacks and plain baselines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from enstack.metrics.label_task import LabelTask
from enstack.statistics.bootstrap import intervals

FIGURES = (
    "macro_precision",
    "macro_recall",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
    "auc",
    "mcc",
)


def leaderboard(
    labels: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    task: LabelTask,
    thresholds: Mapping[str, np.ndarray | None],
    *,
    clusters: np.ndarray | None = None,
    seed: int,
) -> pd.DataFrame:
    """Figures of every model, best macro-F1 first, with 95 % bootstrap intervals.

    labels: (n,), or (n, k) bool flags; probabilities: "kind:name" -> (n, k). thresholds: by the
    same keys, of each model's flags (k,), None for classes. clusters: (n,) int, the same for
    functions that near-duplicates link: these are resampled together.
    """
    predictions = {
        key: task.decide(values, thresholds[key]) for key, values in probabilities.items()
    }
    bounds = intervals(labels, predictions, task, clusters=clusters, seed=seed)
    rows = [
        _row(key, task.evaluate(labels, values, thresholds[key]), bounds[key])
        for key, values in probabilities.items()
    ]
    board = pd.DataFrame(rows)
    # Stable: of models alike, the simpler one stands first, as the probabilities do.
    return board.sort_values("macro_f1", ascending=False, kind="stable").reset_index(drop=True)


def _row(
    key: str, figures: dict[str, object], bounds: dict[str, tuple[float, float]]
) -> dict[str, object]:
    kind, _, name = key.partition(":")
    row: dict[str, object] = {"kind": kind, "name": name, "n": figures["n"]}
    for figure in ("accuracy", "macro_f1"):
        low, high = bounds[figure]
        row |= {figure: figures[figure], f"{figure}_low": low, f"{figure}_high": high}
    return row | {figure: figures[figure] for figure in FIGURES}
