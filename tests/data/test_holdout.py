from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import plan_splits
from enstack.errors import DataError


def test_holdout_divides_the_validation_split_with_nothing_in_common(
    toy_data: VulnerabilityData,
) -> None:
    plan = plan_splits(toy_data, meta_features="holdout", folds=5, seed=1)
    both = np.concatenate([plan.selection, plan.meta_rows])
    assert sorted(both) == list(range(len(toy_data.splits["validation"])))
    assert plan.meta_split == "validation"
    again = plan_splits(toy_data, meta_features="holdout", folds=5, seed=1)
    assert np.array_equal(plan.selection, again.selection)


def test_out_of_fold_uses_the_training_split_for_stacking_and_all_of_validation_to_select(
    toy_data: VulnerabilityData,
) -> None:
    plan = plan_splits(toy_data, meta_features="out_of_fold", folds=3, seed=1)
    assert len(plan.selection) == len(toy_data.splits["validation"])
    assert plan.fold_of is not None
    assert set(plan.fold_of) == {0, 1, 2}
    assert plan.summary("out_of_fold", 1)["folds"] == [14, 14, 14]


def test_too_few_functions_to_divide_are_refused(toy_data: VulnerabilityData) -> None:
    few = {name: split.take(np.arange(3)) for name, split in toy_data.splits.items()}
    data = VulnerabilityData(few, toy_data.class_names, "cwe_or_clean", "rule")
    with pytest.raises(DataError, match=r"validation split must hold at least 4 .* found 3"):
        plan_splits(data, meta_features="holdout", folds=5, seed=1)
    with pytest.raises(DataError, match=r"train split must hold at least 10 .* found 3"):
        plan_splits(data, meta_features="out_of_fold", folds=5, seed=1)


@pytest.mark.parametrize(
    ("label_mode", "labels", "message"),
    [
        (
            "cwe_or_clean",
            np.zeros(20, dtype=np.int64),
            "at least two classes, all of its 10 functions are CWE-119",
        ),
        (
            "multilabel",
            np.zeros((20, 6), dtype=bool),
            "with and without a flag, all of its 10 functions are alike",
        ),
    ],
)
def test_validation_functions_that_no_stack_can_be_fitted_on_are_refused_before_any_training(
    toy_data: VulnerabilityData, label_mode: str, labels: np.ndarray, message: str
) -> None:
    validation = dataclasses.replace(toy_data.splits["validation"], labels=labels)
    splits = {**toy_data.splits, "validation": validation}
    data = dataclasses.replace(toy_data, splits=splits, label_mode=label_mode)
    with pytest.raises(DataError, match=f"half of validation .* {message}.*out_of_fold"):
        plan_splits(data, meta_features="holdout", folds=5, seed=1)
    by_class = dataclasses.replace(data, label_mode="cwe_or_clean")
    plan_splits(by_class, meta_features="out_of_fold", folds=3, seed=1)
