"""One row for every model on the test split: base models, votes, stacks and plain baselines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from enstack.metrics.bootstrap import intervals
from enstack.metrics.label_task import decide, evaluate

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
    class_names: tuple[str, ...],
    thresholds: Mapping[str, np.ndarray] | None = None,
    *,
    seed: int,
) -> pd.DataFrame:
    """Figures of every model, best macro-F1 first, with 95 % bootstrap intervals.

    labels: (n,), or (n, k) bool flags; probabilities: "kind:name" -> (n, n_classes). thresholds: of
    each model's flags (k,), None for classes. All models are resampled with the same rows, so their
    intervals can be compared.
    """
    of_flags = thresholds or {}
    predictions = {key: decide(found, of_flags.get(key)) for key, found in probabilities.items()}
    bounds = intervals(labels, predictions, len(class_names), seed=seed)
    rows = [
        _row(key, evaluate(labels, found, class_names, of_flags.get(key)), bounds[key])
        for key, found in probabilities.items()
    ]
    board = pd.DataFrame(rows)
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
