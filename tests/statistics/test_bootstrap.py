"""Intervals of figures and of differences: as wide as chance, the same for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.statistics import cells
from enstack.statistics.bootstrap import LARGEST, Difference, difference, intervals

TASK = OneClass(("a", "b", "c", "d"))


def draw(n: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two models that are right that often, apart from each other."""
    random = np.random.RandomState(seed)
    labels = random.randint(4, size=n)
    first, second = (
        np.where(random.random_sample(n) < right, labels, random.randint(4, size=n))
        for _ in range(2)
    )
    return labels, first, second


def test_an_accuracy_interval_is_as_wide_as_the_binomial_one():
    labels, predicted, _ = draw(2000, 0.6, 0)
    accuracy = float(np.mean(predicted == labels))
    low, high = intervals(labels, {"x": predicted}, TASK, seed=0)["x"]["accuracy"]
    width = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(labels))
    assert high - low == pytest.approx(width, rel=0.1)
    assert low < accuracy < high


def test_an_interval_holds_the_macro_f1():
    labels, predicted, _ = draw(500, 0.6, 0)
    low, high = intervals(labels, {"x": predicted}, TASK, seed=0)["x"]["macro_f1"]
    assert low < TASK.accuracy_and_macro_f1(labels, predicted)[1] < high


def test_another_model_beside_it_changes_no_interval_and_no_models_have_none():
    labels, predicted, _ = draw(300, 0.6, 0)
    alone = intervals(labels, {"x": predicted}, TASK, seed=1)
    assert intervals(labels, {"y": labels, "x": predicted}, TASK, seed=1)["x"] == alone["x"]
    assert intervals(labels, {}, TASK, seed=0) == {}


def test_rows_in_pairs_make_an_interval_wider_by_the_root_of_two():
    labels, predicted, _ = draw(1000, 0.6, 0)
    twice, pairs = np.tile(labels, 2), np.tile(np.arange(1000), 2)
    said = {"x": np.tile(predicted, 2)}

    def width(clusters: np.ndarray | None) -> float:
        low, high = intervals(twice, said, TASK, clusters=clusters, seed=0)["x"]["accuracy"]
        return high - low

    assert width(pairs) / width(None) == pytest.approx(np.sqrt(2), rel=0.06)


@pytest.mark.parametrize("measure", cells.MEASURES)
def test_a_difference_is_that_of_the_figures_and_turns_with_the_models(measure: str):
    labels, first, second = draw(400, 0.6, 3)
    there = difference(cells.paired(TASK, labels, first, second), measure, seed=1)
    back = difference(cells.paired(TASK, labels, second, first), measure, seed=1)
    accuracy, macro_f1 = np.subtract(
        TASK.accuracy_and_macro_f1(labels, first), TASK.accuracy_and_macro_f1(labels, second)
    )
    mcc = TASK.mcc(labels, first) - TASK.mcc(labels, second)
    expected = {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": mcc}[measure]
    assert there.value == pytest.approx(expected, abs=1e-12)
    assert there.low < there.value < there.high
    assert back.value == pytest.approx(-there.value)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.01)


def test_the_better_model_is_told_and_equal_ones_are_not():
    labels, first, second = draw(1000, 0.6, 3)
    third = np.where(np.random.RandomState(9).random_sample(1000) < 0.3, labels, second)
    better = difference(cells.paired(TASK, labels, third, second), "macro_f1", seed=1)
    assert better.low > 0
    assert better.p < 0.01
    equal = difference(cells.paired(TASK, labels, first, second), "macro_f1", seed=1)
    assert equal.low < 0 < equal.high
    assert equal.p > 0.05


def test_the_interval_and_the_p_of_a_difference_say_the_same():
    for seed in range(40):
        labels, first, second = draw(60, 0.6, seed)
        found = difference(cells.paired(TASK, labels, first, second), "macro_f1", seed=1)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0), seed


@st.composite
def few_rows(draw: Any) -> tuple[LabelTask, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """A task, labels, two models' decisions about 1 to 12 rows, and clusters of them or none."""
    n, random = draw(st.integers(1, 12)), np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    clusters = random.randint(4, size=n) if draw(st.booleans()) else None
    if draw(st.booleans()):
        task = SeveralFlags(("a", "b", "c"))
        return task, *(random.random_sample((3, n, 3)) < draw(st.sampled_from([0, 0.2]))), clusters
    return TASK, *random.randint(4, size=(3, n)), clusters


@given(few_rows())
def test_hardly_any_rows_have_intervals_from_0_to_1_around_their_figures(rows: Any):
    task, labels, first, second, clusters = rows
    found = intervals(labels, {"x": first}, task, clusters=clusters, seed=1, n_resamples=100)["x"]
    figures = dict(
        zip(("accuracy", "macro_f1"), task.accuracy_and_macro_f1(labels, first), strict=True)
    )
    for name, (low, high) in found.items():
        assert 0 <= low <= figures[name] <= high <= 1
    assert found["accuracy"][0] < found["accuracy"][1]
    pair = cells.paired(task, labels, first, second, clusters)
    for measure in cells.MEASURES:
        apart = difference(pair, measure, seed=1, n_resamples=100)
        assert np.isfinite([apart.low, apart.value, apart.high, apart.standard_error]).all()
        assert apart.low <= apart.value <= apart.high
        assert max(-apart.low, apart.high) <= LARGEST[measure]
        assert 0 <= apart.p <= 1


def test_a_model_that_was_never_wrong_is_not_known_to_be_perfect():
    labels = np.arange(40) % 4
    found = intervals(labels, {"x": labels}, TASK, seed=0)["x"]
    # Jeffreys' interval of 40 of 40: from .939 (scipy.stats.beta.ppf(.025, 40.5, .5)).
    assert found["accuracy"] == (pytest.approx(0.939, abs=0.01), 1)
    assert 0.8 < found["macro_f1"][0] < 0.96


def test_models_that_never_disagree_show_nothing():
    labels, first, _ = draw(50, 0.6, 0)
    found = difference(cells.paired(TASK, labels, first, first), "macro_f1", seed=1)
    assert found == Difference(0, 0, 0, 1, 0)


@pytest.mark.parametrize("n", range(1, 40))
def test_rows_of_which_one_model_has_all_and_the_other_none_show_what_the_sign_test_shows(n: int):
    labels = np.arange(n) % 4
    pair = cells.paired(TASK, labels, labels, (labels + 1) % 4)
    found = difference(pair, "accuracy", seed=1, n_resamples=100)
    assert found.value == 1
    assert (found.low > 0) == (binomtest(n, n).pvalue < 0.05) == (found.p < 0.05)
    assert found.high == 1


def test_resamples_that_are_alike_but_for_rounding_tell_no_error():
    """One cluster is the whole of every resample."""
    labels, first, second = draw(300, 0.6, 3)
    third = np.where(np.random.RandomState(9).random_sample(300) < 0.5, labels, second)
    pair = cells.paired(TASK, labels, third, first, np.zeros(300, dtype=np.int64))
    found = difference(pair, "macro_f1", seed=1, n_resamples=100)
    assert found.value > 0.05
    assert found.low < 0 < found.high <= 1
    assert found.p > 0.3


def test_an_accuracy_interval_is_that_of_jeffreys():
    labels, predicted, _ = draw(60, 0.8, 1)
    right = int((labels == predicted).sum())
    found = intervals(labels, {"x": predicted}, TASK, seed=0, n_resamples=40_000)["x"]["accuracy"]
    assert found == pytest.approx(beta.ppf([0.025, 0.975], right + 0.5, 60.5 - right), abs=0.003)


def test_intervals_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch):
    labels, predicted, _ = draw(300, 0.6, 0)
    whole = intervals(labels, {"x": predicted}, TASK, seed=1)
    monkeypatch.setattr("enstack.statistics.cells.DRAWN_AT_ONCE", 700)
    for name, ends in intervals(labels, {"x": predicted}, TASK, seed=1)["x"].items():
        assert ends == pytest.approx(whole["x"][name], abs=1e-12)


def test_a_model_that_says_the_same_of_all_is_known_to_hit_no_other_class():
    random, held = np.random.RandomState(0), 0
    truth = 2 * 0.4 / 1.4 / 5
    for seed in range(200):
        labels = random.choice(5, size=240, p=[0.4, 0.15, 0.15, 0.15, 0.15])
        said = {"majority": np.zeros(240, dtype=np.int64)}
        task = OneClass(tuple("abcde"))
        low, high = intervals(labels, said, task, seed=seed, n_resamples=200)["majority"][
            "macro_f1"
        ]
        assert high - low < 0.03, "four of five classes add nothing to it"
        held += low <= truth <= high
    assert held > 180
