"""Stacks: what they are fitted on, what they refuse, what they give, what is in their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from enstack.config import META_CLASSIFIERS
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.meta_classifiers import make_meta_classifier
from enstack.stacking.meta_features import (
    BaseModelProbabilities,
    mean_vote,
    meta_features,
    refuse_leaks,
)
from enstack.stacking.stack import (
    MetaClassifier,
    fit_meta_classifier,
    load_meta_classifier,
    save_meta_classifier,
)

NAMES = ("a", "b", "c", "d", "e")
each_meta_classifier = pytest.mark.parametrize("name", META_CLASSIFIERS)


def make_models(
    labels: Sequence[int], k: int, *, names: Sequence[str] = ("codebert", "unixcoder")
) -> list[BaseModelProbabilities]:
    random = np.random.RandomState(5)
    ids = np.array([f"validation/{row}" for row in range(len(labels))])
    models = []
    for name in names:
        logits = random.normal(size=(len(labels), k))
        logits[np.arange(len(labels)), labels] += 2.0
        shares = np.exp(logits)
        shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        models.append(BaseModelProbabilities(name, ids, shares, np.zeros(len(labels), bool)))
    return models


def balanced(n: int, k: int) -> np.ndarray:
    return np.random.RandomState(1).permutation(np.arange(n) % k)


def fit(name: str, labels: Any, k: int, seed: int = 42) -> MetaClassifier:
    labels = np.asarray(labels)
    models = make_models(labels, k)
    return fit_meta_classifier(name, models, labels, task=OneClass(NAMES[:k]), seed=seed)


def test_meta_features_are_the_probabilities_side_by_side_in_the_order_of_the_models():
    first, second = make_models([0, 1, 2], 3)
    found = meta_features([first, second])
    np.testing.assert_array_equal(found, np.hstack([first.probabilities, second.probabilities]))
    assert found.dtype == np.float64


def test_of_two_classes_each_model_gives_only_the_second_column():
    models = make_models([0, 1, 1], 2, names=("a", "b", "c"))
    expected = np.stack([model.probabilities[:, 1] for model in models], axis=1)
    np.testing.assert_array_equal(meta_features(models), expected)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 9))
def test_meta_features_have_a_row_for_each_function(m: int, k: int, n: int):
    models = make_models([0] * n, k, names=[f"model-{number}" for number in range(m)])
    assert meta_features(models).shape == (n, m if k == 2 else m * k)


def test_the_mean_vote_is_the_mean_of_the_probabilities():
    first, second = make_models([0, 1, 2], 3)
    found = mean_vote([first, second])
    np.testing.assert_allclose(found, (first.probabilities + second.probabilities) / 2, rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("combine", [meta_features, mean_vote])
def test_base_models_in_another_order_of_functions_are_refused(combine: Any):
    first, second = make_models([0, 1, 2], 3)
    ids = first.ids[[0, 2, 1]]
    with pytest.raises(
        DataError, match=r"row 1 is validation/1 for codebert, validation/2 for unixcoder \(2 such"
    ):
        combine([first, dataclasses.replace(second, ids=ids)])


def test_base_models_with_another_number_of_functions_are_refused():
    first = make_models([0, 1, 2], 3)[0]
    second = make_models([0, 1], 3)[1]
    with pytest.raises(DataError, match="codebert holds 3, unixcoder 2"):
        meta_features([first, second])


def test_base_models_with_another_number_of_classes_are_refused():
    first, second = make_models([0, 1, 2], 3)[0], make_models([0, 1, 2], 4)[1]
    with pytest.raises(DataError, match="as many classes, found"):
        mean_vote([first, second])


def test_a_stack_of_no_base_models_is_refused():
    with pytest.raises(DataError, match="at least one base model"):
        meta_features([])


@pytest.mark.parametrize("part", ["probabilities", "seen"])
def test_rows_that_do_not_fit_the_ids_are_refused(part: str):
    model = make_models([0, 1, 2], 3)[0]
    short = dataclasses.replace(model, **{part: getattr(model, part)[:2]})
    with pytest.raises(DataError, match="codebert must hold one row of probabilities"):
        meta_features([short])


def test_probabilities_that_are_not_finite_are_refused():
    first, second = make_models([0, 1, 2], 3)
    second.probabilities[2, 1] = np.nan
    with pytest.raises(DataError, match=r"unixcoder has NaN .* 1 of 3 rows, first validation/2"):
        meta_features([first, second])


def test_a_row_that_a_base_model_has_seen_is_refused_by_name_count_and_id():
    first, second = make_models([0, 1, 2, 0], 3)
    second.seen[[1, 3]] = True
    with pytest.raises(
        DataError, match="unixcoder was trained or selected on 2 of 4, first validation/1"
    ):
        refuse_leaks([first, second])


def test_rows_that_no_base_model_has_seen_are_fine():
    refuse_leaks(make_models([0, 1, 2], 3))


def test_no_meta_classifier_is_fitted_on_a_leak():
    labels = balanced(30, 3)
    models = make_models(labels, 3)
    models[0].seen[7] = True
    with pytest.raises(DataError, match=r"no base model has seen: codebert .* first validation/7"):
        fit_meta_classifier("lr", models, labels, task=OneClass(NAMES[:3]), seed=1)


@each_meta_classifier
@pytest.mark.parametrize("k", [2, 5])
def test_each_meta_classifier_learns_from_agreeing_base_models(name: str, k: int):
    labels = balanced(200, k)
    unseen = balanced(90, k)[::-1]
    found = fit(name, labels, k).predict_proba(make_models(unseen, k), OneClass(NAMES[:k]))
    assert (found.shape, found.dtype) == ((90, k), np.float32)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found.argmax(axis=1) == unseen).mean() > 0.75


@each_meta_classifier
def test_a_seed_repeats_a_meta_classifier(name: str):
    labels = balanced(80, 3)
    models = make_models(labels, 3)
    task = OneClass(NAMES[:3])
    first, again = (fit(name, labels, 3).predict_proba(models, task) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@each_meta_classifier
def test_a_class_absent_from_the_fitted_rows_gets_probability_zero(name: str):
    labels = np.array([0, 2, 4])[balanced(60, 3)]
    found = fit(name, labels, 5).predict_proba(make_models(labels, 5), OneClass(NAMES[:5]))
    assert (found[:, [1, 3]] == 0).all()
    assert (found.argmax(axis=1) == labels).mean() > 0.75


@each_meta_classifier
def test_a_class_with_a_single_row_can_be_fitted(name: str):
    labels = np.append(balanced(60, 3), 3)
    found = fit(name, labels, 4).predict_proba(make_models(labels, 4), OneClass(NAMES[:4]))
    assert (found[:, 3] > 0).any()
    assert np.isfinite(found).all()


@each_meta_classifier
@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0, 0, 0, 0, 3], [1, 0, 1, 0, 2, 2]])
def test_a_handful_of_rows_can_be_fitted(name: str, labels: list[int]):
    found = fit(name, labels, 4).predict_proba(make_models(labels, 4), OneClass(NAMES[:4]))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("counts", "parts"), [([1, 9], 2), ([3, 9], 3), ([50, 9], 5)])
def test_the_svm_is_calibrated_in_as_many_parts_as_the_smallest_class_allows(
    counts: list[int], parts: int
):
    svm = make_meta_classifier("svm", seed=42, labels=np.repeat([0, 1], counts))
    assert svm.cv.n_splits == parts


def test_the_settings_are_those_of_the_paper():
    made = {
        name: make_meta_classifier(name, seed=42, labels=balanced(50, 5))
        for name in META_CLASSIFIERS
    }
    lr, svm, rf, xgboost = (made[name] for name in ("lr", "svm", "rf", "xgboost"))
    assert (lr.estimator.solver, lr.estimator.max_iter) == ("liblinear", 200)
    assert (svm.estimator.kernel, svm.cv.random_state) == ("rbf", 42)
    assert (rf.n_estimators, rf.max_depth, rf.random_state) == (200, 10, 42)
    settings = ("n_estimators", "learning_rate", "max_depth", "eval_metric", "random_state")
    assert [getattr(xgboost, name) for name in settings] == [100, 0.1, 6, "mlogloss", 42]


def test_an_unknown_meta_classifier_is_refused():
    with pytest.raises(ConfigError, match="some of lr, svm, rf, xgboost, found 'knn'"):
        fit("knn", balanced(30, 3), 3)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([1, 1, 1], r"at least two classes from 0 to 2, found \[1\]"),
        ([0, 1, 3], r"from 0 to 2, found \[0, 1, 3\]"),
        ([0, -1, 1], r"from 0 to 2, found \[-1, 0, 1\]"),
        ([0, 1], "found 2 labels for probabilities of shape"),
    ],
)
def test_labels_that_can_not_be_fitted_are_refused(labels: list[int], match: str):
    models = make_models([0, 1, 2], 3)
    with pytest.raises(DataError, match=match):
        fit_meta_classifier("lr", models, np.array(labels), task=OneClass(NAMES[:3]), seed=1)


def test_probabilities_of_another_number_of_classes_than_asked_for_are_refused():
    labels = balanced(30, 3)
    with pytest.raises(DataError, match="4 classes, found"):
        fit_meta_classifier("lr", make_models(labels, 3), labels, task=OneClass(NAMES[:4]), seed=1)


def test_base_models_in_another_order_than_fitted_are_refused():
    labels = balanced(30, 3)
    models = make_models(labels, 3)
    with pytest.raises(
        DataError, match=r"fitted on codebert, unixcoder; .* found unixcoder, codebert"
    ):
        fit("lr", labels, 3).predict_proba(models[::-1], OneClass(NAMES[:3]))


def test_probabilities_of_another_number_of_classes_than_fitted_are_refused():
    with pytest.raises(DataError, match="fitted on 6 meta-features, found 8"):
        fit("lr", balanced(30, 3), 3).predict_proba(make_models([0, 1], 4), OneClass(NAMES[:4]))


@each_meta_classifier
@pytest.mark.parametrize("k", [2, 3])
def test_a_stored_meta_classifier_gives_the_same_probabilities(name: str, k: int, tmp_path: Path):
    labels = balanced(60, k)
    models = make_models(labels, k)
    fitted = fit(name, labels, k)
    save_meta_classifier(tmp_path / "fitted.skops", fitted)
    loaded = load_meta_classifier(tmp_path / "fitted.skops")
    found, expected = (one.predict_proba(models, OneClass(NAMES[:k])) for one in (loaded, fitted))
    np.testing.assert_array_equal(found, expected)
    assert (loaded.name, loaded.base_models) == (name, ("codebert", "unixcoder"))


@each_meta_classifier
def test_a_loaded_meta_classifier_can_be_stored_again(name: str, tmp_path: Path):
    labels = balanced(60, 3)
    save_meta_classifier(tmp_path / "first.skops", fit(name, labels, 3))
    save_meta_classifier(tmp_path / "again.skops", load_meta_classifier(tmp_path / "first.skops"))
    task = OneClass(NAMES[:3])
    first, again = (
        load_meta_classifier(tmp_path / file).predict_proba(make_models(labels, 3), task)
        for file in ("first.skops", "again.skops")
    )
    np.testing.assert_array_equal(first, again)


def test_a_file_with_a_foreign_type_is_refused_and_named(tmp_path: Path):
    path = tmp_path / "foreign.skops"
    skops.io.dump({"estimator": FunctionTransformer(func=Path)}, path)
    with pytest.raises(CheckpointError, match=r"^\S+ must hold only .* pathlib\S*Path: it was not"):
        load_meta_classifier(path)


@pytest.mark.parametrize("content", [LogisticRegression(), {"name": "lr"}, [1, 2]])
def test_a_skops_file_of_something_else_is_refused(content: Any, tmp_path: Path):
    skops.io.dump(content, tmp_path / "other.skops")
    with pytest.raises(CheckpointError, match="saved by enstack, it is not one"):
        load_meta_classifier(tmp_path / "other.skops")


@pytest.mark.parametrize("n_bytes", [0, 100, 20_000])
def test_a_file_cut_short_is_refused(n_bytes: int, tmp_path: Path):
    path = tmp_path / "cut.skops"
    save_meta_classifier(path, fit("rf", balanced(60, 3), 3))
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(CheckpointError, match=r"can't be read \((BadZipFile|ValueError)"):
        load_meta_classifier(path)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"can't be read \(FileNotFoundError"):
        load_meta_classifier(tmp_path / "absent.skops")


def test_damaged_trees_are_refused(tmp_path: Path):
    path = tmp_path / "damaged.skops"
    save_meta_classifier(path, fit("xgboost", balanced(60, 3), 3))
    content = skops.io.load(path)
    content["estimator"] = b"{" + content["estimator"][1:50]
    skops.io.dump(content, path)
    with pytest.raises(CheckpointError, match=r"can't be read \(XGBoostError"):
        load_meta_classifier(path)


def test_a_meta_classifier_that_gives_other_probabilities_than_when_saved_is_refused(
    tmp_path: Path,
):
    path = tmp_path / "drifted.skops"
    save_meta_classifier(path, fit("lr", balanced(60, 3), 3))
    content = skops.io.load(path)
    content["estimator"].estimators_[0].intercept_ += 0.1
    skops.io.dump(content, path)
    with pytest.raises(
        CheckpointError, match=r"when it was saved: they differ by 0\.\d+\.\nIt was saved under"
    ):
        load_meta_classifier(path)


def test_a_meta_classifier_of_a_newer_version_names_both_versions(tmp_path: Path):
    path = tmp_path / "newer.skops"
    save_meta_classifier(path, fit("lr", balanced(60, 3), 3))
    content = skops.io.load(path)
    del content["estimator"].estimators_[0].coef_
    skops.io.dump({**content, "made_with": "scikit-learn 99"}, path)
    with pytest.raises(
        CheckpointError, match=r"Error: .*\nIt was saved under scikit-learn 99, her"
    ):
        load_meta_classifier(path)


def flags_of_rows(n: int) -> np.ndarray:
    """Two flags that vary, one that only one row has, one that none has, one that all have."""
    flags = np.random.RandomState(3).random_sample((n, 5)) < 0.4
    flags[:, 2] = np.arange(n) == 7
    flags[:, 3], flags[:, 4] = False, True
    return flags


@each_meta_classifier
def test_a_stack_of_flags_is_a_binary_meta_classifier_for_each(name: str, tmp_path: Path):
    flags = flags_of_rows(60)
    models = make_models(flags.argmax(axis=1), 5)
    stack = fit_meta_classifier(name, models, flags, task=SeveralFlags(NAMES), seed=42)
    found = stack.predict_proba(models, SeveralFlags(NAMES))
    for place in (0, 1, 2):
        alone = fit_meta_classifier(
            name, models, flags[:, place].astype(int), task=OneClass(NAMES), seed=42
        ).predict_proba(models, OneClass(NAMES))
        np.testing.assert_array_equal(found[:, place], alone[:, 1])
    np.testing.assert_array_equal(found[:, 3:], np.tile([0, 1], (60, 1)))
    save_meta_classifier(tmp_path / "stack.skops", stack)
    again = load_meta_classifier(tmp_path / "stack.skops")
    np.testing.assert_allclose(again.predict_proba(models, SeveralFlags(NAMES)), found, atol=1e-6)


def test_flags_from_which_nothing_can_be_learned_are_refused():
    models = make_models([0, 1, 2], 5)
    alike = np.zeros((3, 5), dtype=bool)
    with pytest.raises(DataError, match="must have a flag that others lack"):
        fit_meta_classifier("lr", models, alike, task=SeveralFlags(NAMES), seed=1)
    with pytest.raises(DataError, match="one label per function"):
        fit_meta_classifier("lr", models, np.zeros((3, 4), bool), task=SeveralFlags(NAMES), seed=1)


def test_a_stack_of_flags_fitted_on_rows_that_a_base_model_has_seen_is_refused():
    flags = flags_of_rows(20)
    models = make_models(flags.argmax(axis=1), 5)
    leaky = dataclasses.replace(models[0], seen=np.arange(20) == 4)
    with pytest.raises(DataError, match="no base model has seen"):
        fit_meta_classifier("lr", [leaky, models[1]], flags, task=SeveralFlags(NAMES), seed=1)
