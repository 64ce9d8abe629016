"""Figures: against scikit-learn's own, on odd rows, and resampled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from enstack.errors import DataError
from enstack.metrics import counts
from enstack.metrics.classes import mcc_of_confusion
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.reweighting import (
    average_precision_at_frequencies,
    confusion_at_frequencies,
)
from enstack.metrics.several_flags import SeveralFlags

NAMES = ("a", "b", "c", "d")
TASK = OneClass(NAMES)
rows_of_classes = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)
)


def draw(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(seed)
    labels = random.randint(k, size=n)
    logits = random.normal(size=(n, k))
    logits[np.arange(n), labels] += 1.0
    shares = np.exp(logits)
    return labels, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def one_hot(predictions: Any, k: int = 4) -> np.ndarray:
    return np.eye(k, dtype=np.float32)[np.asarray(predictions)]


def macro_f1_of(confusion: np.ndarray) -> float:
    labels, predictions = (
        np.repeat(side.ravel(), confusion.ravel()) for side in np.indices(confusion.shape)
    )
    return float(
        reference.f1_score(
            labels, predictions, average="macro", labels=np.unique(labels), zero_division=0
        )
    )


@settings(deadline=None)
@given(rows_of_classes)
def test_averages_and_classes_equal_those_of_scikit_learn(rows: tuple[list[int], list[int]]):
    labels, predictions = rows
    found = TASK.evaluate(np.array(labels), one_hot(predictions))
    for average in ("macro", "weighted"):
        expected = reference.precision_recall_fscore_support(
            labels, predictions, average=average, labels=np.unique(labels), zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert found[f"{average}_{name}"] == pytest.approx(value)
    by_class = reference.precision_recall_fscore_support(
        labels, predictions, labels=range(4), zero_division=0
    )
    columns = zip(("precision", "recall", "f1", "support"), by_class, strict=True)
    for name, values in columns:
        assert [row[name] for row in found["per_class"]] == pytest.approx(values)
    assert found["accuracy"] == pytest.approx(np.mean(np.equal(labels, predictions)))
    expected_confusion = reference.confusion_matrix(labels, predictions, labels=range(4))
    assert found["confusion"] == expected_confusion.tolist()
    assert all(type(row["support"]) is type(row["predicted"]) is int for row in found["per_class"])
    assert [row["predicted"] for row in found["per_class"]] == list(expected_confusion.sum(axis=0))


@settings(deadline=None)
@given(rows_of_classes, st.integers(0, 3))
def test_a_class_that_test_lacks_divides_no_model_by_another_number_than_its_neighbours(
    rows: tuple[list[int], list[int]], lacking: int
):
    labels, predictions = map(np.array, rows)
    labels = np.where(labels == lacking, (lacking + 1) % 4, labels)
    for made in (predictions, np.where(predictions == lacking, labels, predictions)):
        of_each = reference.f1_score(labels, made, labels=range(4), average=None, zero_division=0)
        expected = np.mean(of_each[np.unique(labels)])
        found = TASK.evaluate(labels, one_hot(made))
        assert found["macro_f1"] == pytest.approx(expected)
        assert TASK.accuracy_and_macro_f1(labels, made)[1] == pytest.approx(expected)
        at = confusion_at_frequencies(
            np.array(found["confusion"]), np.bincount(labels, minlength=4)
        )
        assert at["macro_f1"] == pytest.approx(expected)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_mcc_and_auc_equal_those_of_scikit_learn(k: int):
    labels, probabilities = draw(500, k)
    found = OneClass(tuple(map(str, range(k)))).evaluate(labels, probabilities)
    predictions = probabilities.argmax(axis=1)
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(labels, predictions))
    if k == 2:
        expected = reference.roc_auc_score(labels, probabilities[:, 1])
    else:
        expected = np.mean(
            [reference.roc_auc_score(labels == c, probabilities[:, c]) for c in range(k)]
        )
        whole = probabilities.astype(np.float64)
        whole /= whole.sum(axis=1, keepdims=True)
        assert found["auc"] == pytest.approx(
            reference.roc_auc_score(labels, whole, multi_class="ovr")
        )
    assert found["auc"] == pytest.approx(expected)


def test_the_mcc_of_a_perfect_model_is_1_and_no_more():
    for n in range(2, 60):
        labels = np.random.RandomState(n).choice(3, p=(0.6, 0.3, 0.1), size=n)
        counts = TASK.counts_of_rows(labels, labels).sum(axis=0)
        for perfect in (TASK.mcc_of_counts(counts), TASK.evaluate(labels, one_hot(labels))["mcc"]):
            assert perfect in (0, pytest.approx(1))
            assert perfect <= 1, n


@settings(deadline=None)
@given(rows_of_classes, st.integers(0, 100))
def test_mcc_and_average_precision_of_each_class_equal_those_of_scikit_learn(
    rows: tuple[list[int], list[int]], seed: int
):
    labels, ties = np.array(rows[0]), np.random.RandomState(seed).randint(1, 6, (len(rows[0]), 4))
    probabilities = ties / ties.sum(axis=1, keepdims=True)
    predictions = probabilities.argmax(axis=1)
    found = TASK.evaluate(labels, probabilities)
    mccs, averages = [], []
    for index, row in enumerate(found["per_class"]):
        has, given = labels == index, predictions == index
        two_sided = has.any() and given.any() and not has.all() and not given.all()
        expected = reference.matthews_corrcoef(has, given) if two_sided else 0
        assert row["mcc"] == pytest.approx(expected, abs=1e-12)
        mccs += [expected] if has.any() else []
        if has.any() and not has.all():
            averages.append(reference.average_precision_score(has, probabilities[:, index]))
            assert row["average_precision"] == pytest.approx(averages[-1])
        else:
            assert row["average_precision"] is None
    assert found["macro_mcc"] == pytest.approx(np.mean(mccs), abs=1e-12)
    if averages:
        assert found["average_precision"] == pytest.approx(np.mean(averages))
    else:
        assert found["average_precision"] is None


@settings(deadline=None)
@given(rows_of_classes)
def test_mcc_of_counts_is_that_of_the_rows(rows: tuple[list[int], list[int]]):
    labels, predictions = map(np.array, rows)
    confusion = reference.confusion_matrix(labels, predictions, labels=range(4))
    assert mcc_of_confusion(confusion) == pytest.approx(TASK.mcc(labels, predictions), abs=1e-12)
    assert mcc_of_confusion(confusion * 10**9) == pytest.approx(mcc_of_confusion(confusion))


@pytest.mark.parametrize("task", [TASK, SeveralFlags(NAMES)])
def test_figures_at_other_frequencies_are_those_of_rows_that_come_so_often(task: LabelTask):
    random = np.random.RandomState(5)
    labels: Any = np.repeat(np.arange(4), [30, 30, 30, 0])
    times = np.array([1, 2, 3, 0])
    frequencies = times / 6
    probabilities = random.random_sample((90, 4))
    decisions = probabilities.argmax(axis=1)
    if task.has_thresholds:
        labels, decisions = np.eye(4, dtype=bool)[labels], probabilities > 0.5
        frequencies = np.array([0.5, 1 / 3, 1 / 5, 0])  # against the rest, which has 60 rows
    weights = task.row_weights(labels, frequencies)
    has_class = task.has_class(labels)
    found = average_precision_at_frequencies(has_class, probabilities, weights)
    mccs, averages = [], []
    for place in range(4):
        has = has_class[:, place]
        if task.has_thresholds:
            of_rows = np.where(has, (2, 1, 1, 0)[place], (1, 1, 2, 1)[place])
        else:
            of_rows = times[labels]
        if place < 3:
            averages.append(
                reference.average_precision_score(
                    np.repeat(has, of_rows), np.repeat(probabilities[:, place], of_rows)
                )
            )
        if task.has_thresholds and place < 3:
            mccs.append(
                reference.matthews_corrcoef(
                    np.repeat(has, of_rows), np.repeat(decisions[:, place], of_rows)
                )
            )
    assert found == pytest.approx(np.mean(averages))
    at = task.at_frequencies(labels, decisions, frequencies)
    if not task.has_thresholds:
        repeated = np.repeat(labels, times[labels]), np.repeat(decisions, times[labels])
        assert at["mcc"] == pytest.approx(reference.matthews_corrcoef(*repeated))
    else:
        # The flag that no row has is left out, whether it is given or not.
        assert at["mcc"] == pytest.approx(np.mean(mccs))


def test_an_absent_class_has_no_auc_and_is_left_out_of_the_mean():
    labels, probabilities = draw(200, 4)
    rows = labels != 2
    found = TASK.evaluate(labels[rows], probabilities[rows])
    aucs = [row["auc"] for row in found["per_class"]]
    assert aucs[2] is None
    assert found["auc"] == pytest.approx(np.mean([aucs[0], aucs[1], aucs[3]]))


def test_rows_of_a_single_class_have_no_auc_and_mcc_zero():
    found = TASK.evaluate(np.array([1, 1]), one_hot([1, 1]))
    assert (found["auc"], found["mcc"], found["accuracy"], found["macro_f1"]) == (None, 0, 1, 1)


def test_an_evaluation_is_plain_json():
    found = TASK.evaluate(*draw(50, 4))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_confusion_matrix_has_true_classes_in_its_rows_and_a_line_for_every_class():
    found = TASK.evaluate(np.array([0, 0, 2]), one_hot([1, 1, 2]))
    assert found["confusion"] == [[0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_macro_figures_average_over_the_classes_that_rows_have():
    found = TASK.evaluate(np.array([0, 0, 0, 0]), one_hot([0, 0, 0, 1]))
    # "a" has precision 1, recall 3/4; "b" is only predicted: that costs "a" its recall.
    assert found["macro_precision"] == pytest.approx(1)
    assert found["macro_recall"] == pytest.approx(3 / 4)
    assert found["macro_f1"] == pytest.approx(6 / 7)
    assert [row["class"] for row in found["per_class"]] == list(NAMES)


@settings(deadline=None)
@given(rows_of_classes)
def test_figures_of_counted_rows_are_those_of_an_evaluation(rows: tuple[list[int], list[int]]):
    labels, predictions = map(np.array, rows)
    found = TASK.evaluate(labels, one_hot(predictions))
    both = TASK.accuracy_and_macro_f1(labels, predictions)
    assert both == pytest.approx((found["accuracy"], found["macro_f1"]), abs=1e-12)
    summed = TASK.counts_of_rows(labels, predictions).sum(axis=0)
    assert float(TASK.mcc_of_counts(summed)) == pytest.approx(found["mcc"], abs=1e-12)


@settings(deadline=None)
@given(rows_of_classes, st.lists(st.booleans(), min_size=4, max_size=4))
def test_macro_f1_over_chosen_classes_averages_over_those_of_them_that_rows_have(
    rows: tuple[list[int], list[int]], chosen: list[bool]
):
    labels, predictions = map(np.array, rows)
    each = reference.f1_score(labels, predictions, labels=range(4), average=None, zero_division=0)
    counting = [c for c in range(4) if chosen[c] and c in {*labels}]
    summed = TASK.counts_of_rows(labels, predictions).sum(axis=0)
    expected = np.mean([each[c] for c in counting]) if counting else 0
    assert float(counts.macro_f1(summed, np.array(chosen))) == pytest.approx(expected)


def test_many_sums_have_their_figures_at_once():
    labels, probabilities = draw(300, 4)
    each = TASK.counts_of_rows(labels, probabilities.argmax(axis=1))
    many = np.stack([each[:10].sum(axis=0), each.sum(axis=0)])
    for figure in (counts.accuracy, counts.macro_f1, TASK.mcc_of_counts):
        np.testing.assert_array_equal(figure(many), [figure(many[0]), figure(many[1])])


def test_figures_of_no_rows_are_zero():
    nothing = np.zeros(2 + 3 * 4)
    figures = (counts.accuracy, counts.macro_f1, TASK.mcc_of_counts)
    assert [float(figure(nothing)) for figure in figures] == [0, 0, 0]


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"one row per label .*\(3, 4\), found \(2, 4\)"):
        TASK.evaluate(np.array([0, 1, 2]), one_hot([0, 1]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_are_refused(value: float):
    probabilities = one_hot([0, 1, 2])
    probabilities[1, 3] = value
    with pytest.raises(
        DataError, match="finite, found NaN or infinity in 1 of 3 rows, first row 1"
    ):
        TASK.evaluate(np.array([0, 1, 2]), probabilities)


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="at least one, found 0 labels"):
        TASK.evaluate(np.array([], dtype=np.int64), np.zeros((0, 4)))


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_refused(label: int):
    with pytest.raises(DataError, match="Labels must be classes from 0 to 3"):
        TASK.evaluate(np.array([0, label]), one_hot([0, 1]))


def test_a_prediction_that_is_no_class_is_refused():
    with pytest.raises(DataError, match="Predictions must be classes from 0 to 3, found 0 to 4"):
        TASK.accuracy_and_macro_f1(np.array([0, 1]), np.array([0, 4]))


def test_calibration_error_is_the_mean_distance_of_confidence_and_truth():
    probabilities = np.array([[0.95, 0.05]] * 10 + [[0.65, 0.35]] * 10)
    labels = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
    found = TASK.reliability(labels, probabilities)
    assert [part["n"] for part in found["bins"]] == [10, 10]
    assert [part["accuracy"] for part in found["bins"]] == pytest.approx([0.3, 0.9])
    assert [part["confidence"] for part in found["bins"]] == pytest.approx([0.65, 0.95])
    assert found["ece"] == pytest.approx((0.35 + 0.05) / 2)


def test_a_model_that_is_as_right_as_it_claims_has_no_calibration_error():
    random = np.random.default_rng(0)
    claimed = random.uniform(0.5, 1, 200_000)
    labels = (random.uniform(size=len(claimed)) > claimed).astype(np.int64)
    probabilities = np.stack([claimed, 1 - claimed], axis=1)
    assert TASK.reliability(labels, probabilities)["ece"] < 0.01
    certain = np.stack([np.ones(len(labels)), np.zeros(len(labels))], axis=1)
    assert TASK.reliability(labels, certain)["ece"] == pytest.approx(labels.mean())


@given(st.integers(0, 10_000))
def test_figures_at_other_frequencies_are_those_of_rows_drawn_that_often(seed: int):
    random = np.random.default_rng(seed)
    confusion = random.integers(0, 20, (4, 4)) + np.eye(4, dtype=int)
    times = random.integers(1, 9, 4)  # how often each row of a class is there
    repeated = confusion * times[:, None]
    found = confusion_at_frequencies(confusion, repeated.sum(axis=1))
    assert found["accuracy"] == pytest.approx(np.trace(repeated) / repeated.sum())
    assert found["macro_f1"] == pytest.approx(macro_f1_of(repeated))
    right, predicted = np.diagonal(repeated), repeated.sum(axis=0)
    assert found["precision"] == pytest.approx(list(right / predicted))
    assert found["missing"] == []


def test_at_its_own_frequencies_nothing_moves_and_a_class_without_rows_is_told():
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    own = confusion_at_frequencies(confusion, np.array([10, 10, 0]))
    assert own["macro_f1"] == pytest.approx(macro_f1_of(confusion))
    other = confusion_at_frequencies(confusion, np.array([10, 990, 500]))
    assert other["missing"] == [2]
    assert other["precision"][0] == pytest.approx(8 / (8 + 99))
    with pytest.raises(DataError, match="above 0 for a class that has rows"):
        confusion_at_frequencies(confusion, np.array([0, 0, 3]))
