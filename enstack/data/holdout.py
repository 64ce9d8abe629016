"""Which functions select a base model, and which ones meta-classifiers are fitted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enstack.data.functions import VulnerabilityData
from enstack.data.subsets import grouped_parts, stratified_parts
from enstack.errors import DataError
from enstack.storage.files import sha256_json

REFIT = "test and validation are predicted by the base model of all of train, a refit of the folds"


@dataclass(frozen=True)
class Folds:
    """The folds of out-of-fold features.

    fold_of: (n_train,) int64 from 0; kept_together: what no two folds share, and how it was found;
    empty where a run began with folds that heed classes alone.
    """

    fold_of: np.ndarray
    kept_together: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Tells these folds from others."""
        return sha256_json(self.fold_of.tolist())


@dataclass(frozen=True)
class SplitPlan:
    """Rows by their part in the run; no row both selects a base model and fits a meta-classifier.

    selection: rows of the validation split that choose the best epoch. meta_rows: rows of
    meta_split on which meta-classifiers are fitted. folds: for out-of-fold, else None.
    """

    selection: np.ndarray
    meta_split: str
    meta_rows: np.ndarray
    folds: Folds | None

    @property
    def fold_of(self) -> np.ndarray | None:
        """The fold (n_train,) of each training row, for out-of-fold."""
        return None if self.folds is None else self.folds.fold_of

    @property
    def folds_digest(self) -> str | None:
        """What a run records of its folds; None where it divides none, or by classes alone."""
        return self.folds.digest if self.folds is not None and self.folds.kept_together else None

    def summary(self, meta_features: str, seed: int) -> dict[str, Any]:
        """What data.json records, so that the split can be made again."""
        out_of_fold = {} if self.folds is None else self._folds_in_words(self.folds)
        return {
            "meta_features": meta_features,
            "seed": seed,
            "selection": {"split": "validation", "functions": len(self.selection)},
            "stacking": {"split": self.meta_split, "functions": len(self.meta_rows)},
            "folds": None if self.fold_of is None else np.bincount(self.fold_of).tolist(),
            **out_of_fold,
        }

    def _folds_in_words(self, folds: Folds) -> dict[str, Any]:
        return {"kept_together": folds.kept_together or None, "test_predictions": REFIT}


def plan_splits(
    data: VulnerabilityData,
    *,
    meta_features: str,
    folds: int | Folds,
    seed: int,
) -> SplitPlan:
    """Divide the rows, seeded and stratified.

    holdout: one half of the validation split selects, the other fits the meta-classifiers.
    out_of_fold: the validation split selects; meta-features of the training split come from base
    models that did not train on the row (Wolpert 1992, stacked generalization). folds: those that
    a run has, or a number of them, divided by classes alone.
    """
    validation, train = data.splits["validation"], data.splits["train"]
    if meta_features == "out_of_fold":
        if isinstance(folds, int):
            _require_rows("train", len(train), 2 * folds)
            folds = Folds(stratified_parts(data.task.strata(train.labels), folds, seed))
        every = np.arange(len(validation))
        return SplitPlan(every, "train", np.arange(len(train)), folds)
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


def divide_in_folds(
    data: VulnerabilityData, clusters: np.ndarray, n_folds: int, seed: int, how: dict[str, Any]
) -> Folds:
    """Folds of train, stratified, in which no cluster (n_train,) lies in two.

    how: the clusters were found. Raises DataError where a fold would be empty, or would leave
    nothing to learn.
    """
    train = data.splits["train"]
    _require_rows("train", len(train), 2 * n_folds)
    strata = data.task.strata(train.labels)
    fold_of = grouped_parts(strata, clusters, n_folds, seed)
    sizes = np.bincount(clusters)
    for fold in range(n_folds):
        inside = fold_of == fold
        if not inside.any() or not data.task.learnable(train.labels[~inside]):
            raise DataError(
                f"Functions that belong together must lie in one fold, and of {n_folds} folds "
                f"one would be empty or leave one class to train on: the largest of {len(sizes):,} "
                f"clusters holds {sizes.max():,} of {len(train):,} train functions. Use fewer "
                "folds, or meta_features=holdout."
            )
    several = {"clusters": int((sizes > 1).sum()), "largest_cluster": int(sizes.max())}
    return Folds(fold_of, {**how, **several})


def _require_rows(split: str, n_rows: int, needed: int) -> None:
    if n_rows < needed:
        raise DataError(
            f"The {split} split must hold at least {needed} functions to be divided for stacking, "
            f"found {n_rows}. Use more data, or a larger subset."
        )
