"""Which functions select a base model, and which ones meta-classifiers are fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from enstack.data.functions import VulnerabilityData
from enstack.data.subsets import stratified_parts
from enstack.errors import DataError


@dataclass(frozen=True)
class SplitPlan:
    """Rows by their part in the run; no row both selects a base model and fits a meta-classifier.

    selection: rows of the validation split that choose the best epoch. meta_rows: rows of
    meta_split on which meta-classifiers are fitted. fold_of: (n_train,) for out-of-fold, else None.
    """

    selection: np.ndarray
    meta_split: str
    meta_rows: np.ndarray
    fold_of: np.ndarray | None

    def summary(self, meta_features: str, seed: int) -> dict[str, Any]:
        """What data.json records, so that the split can be made again."""
        return {
            "meta_features": meta_features,
            "seed": seed,
            "selection": {"split": "validation", "functions": len(self.selection)},
            "stacking": {"split": self.meta_split, "functions": len(self.meta_rows)},
            "folds": None if self.fold_of is None else np.bincount(self.fold_of).tolist(),
        }


def plan_splits(data: VulnerabilityData, *, meta_features: str, folds: int, seed: int) -> SplitPlan:
    """Divide the rows, seeded and stratified.

    holdout: one half of the validation split selects, the other fits the meta-classifiers.
    out_of_fold: the validation split selects; meta-features of the training split come from base
    models that did not train on the row (Wolpert 1992, stacked generalization).
    """
    validation, train = data.splits["validation"], data.splits["train"]
    if meta_features == "out_of_fold":
        fold_of = stratified_parts(data.task.strata(train.labels), folds, seed)
        _require_rows("train", len(train), 2 * folds)
        every = np.arange(len(validation))
        return SplitPlan(every, "train", np.arange(len(train)), fold_of)
    _require_rows("validation", len(validation), 4)
    # Not every row for both: on those that chose its epoch a base model looks better than it is.
    half = stratified_parts(data.task.strata(validation.labels), 2, seed)
    # Said before the base models are trained, not when hours later the stack can't be fitted.
    data.task.require_two_sides(
        validation.labels[half == 1],
        "The half of validation that meta-classifiers are fitted on",
        "Use more data, a larger subset, or meta_features=out_of_fold.",
    )
    return SplitPlan(np.flatnonzero(half == 0), "validation", np.flatnonzero(half == 1), None)


def _require_rows(split: str, n_rows: int, needed: int) -> None:
    if n_rows < needed:
        raise DataError(
            f"The {split} split must hold at least {needed} functions to be divided for stacking, "
            f"found {n_rows}. Use more data, or a larger subset."
        )
