"""Vulnerable or not, alert budgets, curves: against scikit-learn, by hand, and with weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from enstack.metrics.curves import MOST_POINTS, precision_recall_points, risk_coverage
from enstack.metrics.detection import alert_budgets, detection, vd_s
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags

CWE = ("CWE-119", "CWE-120", "CWE-other")


@st.composite
def ranked_rows(draw: Any, most: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether a row is vulnerable, whether it is said to be, scores with ties."""
    n, seed = draw(st.integers(1, most)), draw(st.integers(0, 2**32 - 1))
    random = np.random.RandomState(seed)
    vulnerable = random.random_sample(n) < draw(st.sampled_from([0.1, 0.5]))
    scores = random.randint(0, draw(st.sampled_from([2, 8, 1000])), n) / 7
    return vulnerable, scores > np.median(scores), scores


@settings(deadline=None)
@given(ranked_rows(), st.integers(1, 4))
def test_figures_of_vulnerable_or_not_equal_those_of_scikit_learn(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], weight: int
):
    vulnerable, said, scores = rows
    # Rows that count twice are rows that are there twice.
    times = np.where(vulnerable, weight, 1)
    found = detection(vulnerable, said, scores, times.astype(float))
    truth, answers, order = (np.repeat(values, times) for values in rows)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        truth, answers, average="binary", zero_division=0
    )
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx(
        (precision, recall, f1)
    )
    assert found["share"] == pytest.approx(truth.mean())
    assert (found["n"], found["vulnerable"], found["alerts"]) == (
        len(vulnerable),
        vulnerable.sum(),
        said.sum(),
    )
    if len(set(truth)) == len(set(answers)) == 2:
        assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(truth, answers))
    if len(set(truth)) < 2:
        assert found["auc"] is found["average_precision"] is found["vd_s"] is None
        return
    assert found["auc"] == pytest.approx(reference.roc_auc_score(truth, order))
    assert found["average_precision"] == pytest.approx(
        reference.average_precision_score(truth, order)
    )


@settings(deadline=None)
@given(ranked_rows())
def test_vd_s_is_the_least_that_any_threshold_misses_within_the_false_positive_rate(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
):
    vulnerable, _, scores = rows
    if len(set(vulnerable)) < 2:
        assert vd_s(vulnerable, scores) is None
        return
    missed = [
        (scores[vulnerable] < threshold).mean()
        for threshold in (*scores, np.inf)
        if (scores[~vulnerable] >= threshold).mean() <= 0.005
    ]
    assert vd_s(vulnerable, scores) == pytest.approx(min(missed))


def test_vd_s_lets_one_in_two_hundred_pass_and_not_two():
    scores = np.arange(401.0)[::-1]
    vulnerable = np.zeros(401, dtype=bool)
    vulnerable[[0, 3]] = True  # 2 of 399 others stand above the second: more than .5 %
    assert vd_s(vulnerable, scores) == 0.5
    vulnerable[[3, 2]] = False, True
    assert vd_s(vulnerable, scores) == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([100, 250, 1000]))
def test_a_budget_without_ties_looks_at_the_rows_with_the_highest_scores(seed: int, n: int):
    random = np.random.RandomState(seed)
    vulnerable, scores = random.random_sample(n) < 0.3, random.permutation(n).astype(float)
    vulnerable[0] = True
    order = np.argsort(-scores)
    for found in alert_budgets(vulnerable, scores, np.ones(n)):
        alerts = n * found["per_1000"] / 1000
        assert found["alerts"] == alerts
        if alerts == int(alerts) and alerts >= 1:
            looked_at = vulnerable[order[: int(alerts)]]
            assert found["precision"] == pytest.approx(looked_at.mean())
            assert found["recall"] == pytest.approx(looked_at.sum() / vulnerable.sum())


def test_a_budget_among_equal_scores_finds_what_a_draw_by_lot_would():
    vulnerable = np.array([True] * 30 + [False] * 70)
    found = alert_budgets(vulnerable, np.zeros(100), np.ones(100))
    assert [budget["precision"] for budget in found] == pytest.approx([0.3, 0.3, 0.3])
    assert [budget["recall"] for budget in found] == pytest.approx([0.01, 0.05, 0.1])


def test_a_budget_below_one_alert_has_no_precision():
    found = alert_budgets(np.array([True, False]), np.array([1.0, 0.0]), np.ones(2))
    assert [(budget["alerts"], budget["precision"]) for budget in found] == [
        (0.02, None),
        (0.1, None),
        (0.2, None),
    ]


def test_a_rarer_prior_lowers_precision_at_a_budget_and_leaves_what_is_found_of_each_side():
    random = np.random.RandomState(3)
    vulnerable = np.arange(2000) % 2 == 0
    scores = random.normal(size=2000) + vulnerable
    weights = np.where(vulnerable, 0.1, 1.9)  # 5 % instead of 50 %
    here = detection(vulnerable, scores > 0.5, scores)
    rare = detection(vulnerable, scores > 0.5, scores, weights)
    assert rare["share"] == pytest.approx(0.05)
    assert rare["recall"] == pytest.approx(here["recall"])
    assert (rare["auc"], rare["vd_s"]) == pytest.approx((here["auc"], here["vd_s"]))
    for few, many in zip(rare["budgets"], here["budgets"], strict=True):
        assert few["precision"] < many["precision"]


@pytest.mark.parametrize(
    ("task", "labels", "probabilities", "vulnerable", "scores"),
    [
        (OneClass(("clean", "vulnerable")), [0, 1], [[0.9, 0.1], [0.2, 0.8]], [0, 1], [0.1, 0.8]),
        (
            OneClass((*CWE, "clean")),
            [3, 0],
            [[0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.25, 0.0]],
            [0, 1],
            [0.6, 1.0],
        ),
        (
            SeveralFlags(CWE),
            [[False] * 3, [True, False, True]],
            [[0.5, 0.5, 0.0], [1.0, 0.2, 0.2]],
            [0, 1],
            [0.75, 1.0],
        ),
    ],
)
def test_each_label_mode_says_which_functions_are_vulnerable_and_how_likely(
    task: LabelTask, labels: Any, probabilities: Any, vulnerable: list[int], scores: list[float]
):
    found = task.vulnerable(np.array(labels))
    assert found is not None
    assert found.tolist() == list(map(bool, vulnerable))
    likely = task.vulnerability(np.array(probabilities, dtype=np.float32))
    assert likely is not None
    np.testing.assert_allclose(likely, scores, rtol=1e-6)


def test_classes_without_a_clean_one_have_no_view_of_vulnerable_or_not():
    task = OneClass(CWE)
    assert task.vulnerable(np.array([0, 1])) is None
    assert task.vulnerability(np.full((2, 3), 1 / 3)) is None


@settings(deadline=None)
@given(ranked_rows(most=2000))
def test_points_of_precision_over_recall_are_those_of_scikit_learn_thinned(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
):
    vulnerable, _, scores = rows
    found = precision_recall_points(vulnerable, scores)
    points = list(zip(found["recall"], found["precision"], strict=True))
    if len(set(vulnerable)) < 2:
        assert points == []
        return
    precision, recall, _ = reference.precision_recall_curve(vulnerable, scores)
    every = {(round(r, 5), round(p, 5)) for r, p in zip(recall, precision, strict=True)}
    assert set(points) <= every
    assert len(points) <= MOST_POINTS
    assert found["recall"] == sorted(found["recall"])
    assert points[-1][0] == 1
    # No stretch of recall is left out that the full curve has points in.
    widest = max(np.diff(np.unique(recall))) + 1 / (MOST_POINTS - 2)
    assert max(np.diff([0, *found["recall"]])) <= widest + 2e-5


@settings(deadline=None)
@given(ranked_rows(most=500))
def test_risk_over_coverage_counts_the_errors_among_the_surest(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
):
    _, right, confidence = rows
    found = risk_coverage(confidence, right)
    risks = [(~right[confidence >= limit]).mean() for limit in confidence]
    assert found["aurc"] == pytest.approx(np.mean(risks))
    expected = {
        (round((confidence >= limit).mean(), 5), round(risk, 5))
        for limit, risk in zip(confidence, risks, strict=True)
    }
    points = list(zip(found["coverage"], found["risk"], strict=True))
    assert set(points) <= expected
    assert len(points) <= MOST_POINTS
    assert points[-1] == (1, pytest.approx((~right).mean(), abs=1e-5))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_surest_flags_are_the_farthest_from_their_thresholds(seed: int):
    random = np.random.RandomState(seed)
    task, thresholds = SeveralFlags(CWE), np.array([0.5, 0.1, 0.9])
    said = random.random_sample((20, 3)).astype(np.float32)
    sure = task.confidence(said, thresholds).reshape(20, 3)
    # On the threshold nothing is sure, and 0 and 1 are surer than all between.
    assert task.confidence(thresholds[None], thresholds) == pytest.approx(np.zeros(3))
    surest = task.confidence(np.array([[0.0, 1.0, 0.0]]), thresholds)
    assert (surest >= sure.max(axis=0)).all()
    for place in range(3):
        above = said[:, place] >= thresholds[place]
        order = np.argsort(said[above, place])
        assert (np.diff(sure[above, place][order]) >= 0).all()
