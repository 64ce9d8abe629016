"""Figures of flags: equal to scikit-learn's, thresholds that no other beats, honest resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from enstack.errors import DataError
from enstack.metrics.flags import best_thresholds, confusion_of_flags
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.ranking import leaderboard

NAMES = ("a", "b", "c")
TASK = SeveralFlags(NAMES)


@st.composite
def rows_of_flags(draw: Any, every_flag: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Flags (n, 3) bool and probabilities (n, 3) float32, with ties among them."""
    n, seed = draw(st.integers(2, 40)), draw(st.integers(0, 2**32 - 1))
    random = np.random.RandomState(seed)
    flags = random.random_sample((n, 3)) < draw(st.sampled_from([0.1, 0.5]))
    if every_flag:
        flags[0], flags[1] = True, False
    probabilities = random.randint(0, 12, (n, 3)).astype(np.float32) / 12
    return flags, probabilities


def f1_at(flags: np.ndarray, probabilities: np.ndarray, threshold: float) -> float:
    given = probabilities >= threshold
    return float(sklearn_metrics.f1_score(flags, given, zero_division=0))


@settings(deadline=None)
@given(rows_of_flags(every_flag=True))
def test_no_threshold_has_a_better_f1_than_the_chosen_one_and_no_higher_one_as_good(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    flags, probabilities = rows
    for place, chosen in enumerate(best_thresholds(flags, probabilities)):
        column = probabilities[:, place]
        best = f1_at(flags[:, place], column, chosen)
        # The lowest gives the flag to every row, which a model that knows nothing would do best by.
        for other in np.unique(column)[1:]:
            assert chosen > column.min()
            found = f1_at(flags[:, place], column, other)
            assert found < best or (found <= best + 1e-12 and other <= chosen)


def test_a_flag_that_no_row_has_gets_a_half() -> None:
    flags = np.array([[True, False], [False, False]])
    probabilities = np.array([[0.75, 0.1], [0.25, 0.2]], dtype=np.float32)
    np.testing.assert_array_equal(best_thresholds(flags, probabilities), [0.75, 0.5])


def test_a_flag_that_every_row_has_or_that_a_model_says_the_same_of_gets_a_half() -> None:
    flags = np.array([[True, True], [True, False], [True, False]])
    probabilities = np.array([[0.75, 0.1], [0.25, 0.1], [0.5, 0.1]], dtype=np.float32)
    np.testing.assert_array_equal(best_thresholds(flags, probabilities), [0.5, 0.5])


def test_classes_have_no_thresholds_and_flags_refuse_nan() -> None:
    assert OneClass(NAMES).choose_thresholds(np.array([0, 1]), np.eye(2)) is None
    with pytest.raises(DataError, match="must be finite"):
        TASK.choose_thresholds(np.array([[True, False, True]]), np.array([[np.nan, 0.5, 0.5]]))


def test_flags_are_never_decided_without_thresholds() -> None:
    flags = np.array([[True, False, True]])
    with pytest.raises(DataError, match="at thresholds, found none: choose them first"):
        TASK.decide(flags.astype(np.float32), None)
    with pytest.raises(DataError, match="at thresholds, found none: choose them first"):
        TASK.evaluate(flags, flags.astype(np.float32))


@settings(deadline=None)
@given(rows_of_flags(every_flag=True))
def test_every_figure_is_the_one_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    flags, probabilities = rows
    thresholds = np.array([0.3, 0.5, 0.7])
    given = probabilities >= thresholds
    found = TASK.evaluate(flags, probabilities, thresholds)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(flags, given),
        "micro_f1": sklearn_metrics.f1_score(flags, given, average="micro", zero_division=0),
        "hamming_loss": sklearn_metrics.hamming_loss(flags, given),
        "auc": sklearn_metrics.roc_auc_score(flags, probabilities, average="macro"),
        "average_precision": sklearn_metrics.average_precision_score(flags, probabilities),
    }
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
            flags, given, average=average, zero_division=0
        )
        expected |= {
            f"{average}_precision": precision,
            f"{average}_recall": recall,
            f"{average}_f1": f1,
        }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert found["n"] == len(flags)


def test_macro_figures_leave_out_the_flags_that_never_occur() -> None:
    flags = np.array([[True, False, False], [False, False, False]])
    probabilities = np.array([[0.9, 0.1, 0.9], [0.1, 0.1, 0.1]])
    found = TASK.evaluate(flags, probabilities, np.full(3, 0.5))
    # Of the three, "a" is found, "b" never occurs, "c" is given to a function and no one has it:
    # accuracy tells that, and no model is divided by another number of flags than the next.
    assert found["macro_f1"] == 1
    assert found["accuracy"] == 0.5
    assert (found["auc"], found["per_class"][1]["auc"]) == (1.0, None)


@settings(deadline=None)
@given(rows_of_flags())
def test_figures_of_counted_flags_are_those_of_an_evaluation(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    flags, probabilities = rows
    thresholds = np.full(3, 0.5)
    decisions = TASK.decide(probabilities, thresholds)
    whole = TASK.evaluate(flags, probabilities, thresholds)
    assert TASK.accuracy_and_macro_f1(flags, decisions) == pytest.approx(
        (whole["accuracy"], whole["macro_f1"])
    )
    summed = TASK.counts_of_rows(flags, decisions).sum(axis=0)
    assert float(TASK.mcc_of_counts(summed)) == pytest.approx(whole["mcc"], abs=1e-12)


def test_the_confusion_counts_rows_without_flags_in_a_last_line() -> None:
    flags = np.array([[1, 1], [0, 0], [0, 1]], dtype=bool)
    given = np.array([[1, 0], [0, 1], [0, 0]], dtype=bool)
    expected = [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    np.testing.assert_array_equal(confusion_of_flags(flags, given), expected)


def test_log_loss_of_flags_is_the_mean_of_their_binary_cross_entropies() -> None:
    flags = np.array([[True, False], [False, True]])
    probabilities = np.array([[0.8, 0.4], [0.1, 0.5]], dtype=np.float32)
    expected = np.mean(
        [sklearn_metrics.log_loss(flags[:, i], probabilities[:, i]) for i in range(2)]
    )
    assert TASK.log_loss(flags, probabilities) == pytest.approx(expected, rel=1e-6)


def test_reliability_of_flags_takes_each_probability_by_itself() -> None:
    flags = np.array([[True, False], [False, False]])
    probabilities = np.array([[0.75, 0.25], [0.75, 0.25]])
    found = TASK.reliability(flags, probabilities)
    assert [(b["n"], b["confidence"], b["accuracy"]) for b in found["bins"]] == [
        (2, 0.25, 0.0),
        (2, 0.75, 0.5),
    ]


@settings(deadline=None)
@given(rows_of_flags(every_flag=True), st.integers(1, 5))
def test_weighting_a_flag_is_the_same_as_having_its_rows_so_many_times(
    rows: tuple[np.ndarray, np.ndarray], times: int
) -> None:
    flags, probabilities = rows
    decisions = probabilities >= 0.5
    has = flags[:, :1]
    repeated = np.repeat(np.arange(len(flags)), np.where(has[:, 0], times, 1))
    share = has[repeated].mean()
    found = SeveralFlags(NAMES[:1]).at_frequencies(has, decisions[:, :1], np.array([share]))
    whole = TASK.evaluate(flags[repeated], probabilities[repeated], np.full(3, 0.5))
    expected = whole["per_class"][0]
    assert found["macro_precision"] == pytest.approx(expected["precision"])
    assert found["macro_f1"] == pytest.approx(expected["f1"])
    assert found["accuracy"] is None


def test_a_flag_without_rows_here_is_missing_and_not_averaged() -> None:
    flags = np.array([[True, False], [False, False]])
    found = TASK.at_frequencies(flags, flags, np.array([0.5, 0.1]))
    assert (found["missing"], found["macro_f1"]) == ([1], 1.0)


def test_the_leaderboard_holds_each_model_at_its_own_thresholds() -> None:
    flags = np.array([[True, False, False], [False, True, False]] * 5)
    sure = np.where(flags, 0.9, 0.1)
    shy = np.where(flags, 0.3, 0.1)
    at = {"base:sure": np.full(3, 0.5), "base:shy": np.full(3, 0.2)}
    board = leaderboard(flags, {"base:sure": sure, "base:shy": shy}, TASK, at, seed=1)
    assert (board["accuracy"] == 1).all()
    assert (board["macro_f1_high"] == 1).all()
    at["base:shy"] = np.full(3, 0.5)
    board = leaderboard(flags, {"base:sure": sure, "base:shy": shy}, TASK, at, seed=1)
    assert board.set_index("name").loc["shy", "accuracy"] == 0
