"""Thresholds with a promise: it holds as often as is said, and none is made in vain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from enstack.metrics.abstention import _holm, guaranteed_threshold, guarantees


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores from 0 to 1, and answers that are right more often where the score is higher."""
    random = np.random.RandomState(seed)
    scores = random.random_sample(n)
    return scores, random.random_sample(n) < 0.6 + 0.4 * np.sqrt(scores)


def precision_from(threshold: float) -> float:
    """What of `drawn` is right from a threshold on, over all rows that there could be."""
    return 0.6 + 0.4 * (2 / 3) * (1 - threshold**1.5) / (1 - threshold)


def test_the_promise_is_broken_less_often_than_is_said():
    chosen = [guaranteed_threshold(*drawn(seed, 1500), 0.9) for seed in range(400)]
    kept = [precision_from(limit) >= 0.9 for limit in chosen if limit is not None]
    broken = len(chosen) - sum(kept) - chosen.count(None)
    # At most a tenth; of 400, more than 58 would be one time in a thousand.
    assert broken <= 58
    # And it is no promise of nothing: most find a threshold. 80 % could be answered at best.
    assert len(kept) > 380
    assert np.median([limit for limit in chosen if limit is not None]) < 0.45


def test_a_promise_by_rows_that_are_copies_of_each_other_holds_where_these_are_told() -> None:
    of, broken = np.repeat(np.arange(300), 10), {"told": 0, "not told": 0}
    for seed in range(60):
        scores, right = (values[of] for values in drawn(seed, 300))
        for name, clusters in (("told", of), ("not told", None)):
            limit = guaranteed_threshold(scores, right, 0.9, clusters)
            broken[name] += limit is not None and precision_from(limit) < 0.9
    assert broken["told"] <= 6
    assert broken["not told"] > 6, "more than the tenth that may be"


def test_rows_that_stand_for_themselves_are_clusters_of_one() -> None:
    scores, right = drawn(3, 800)
    alone = guaranteed_threshold(scores, right, 0.9, np.arange(800))
    assert alone == guaranteed_threshold(scores, right, 0.9)


def test_rows_by_hand_have_the_threshold_of_the_exact_test():
    # 100 rows: the surest 60 all right, then every second wrong.
    scores = np.linspace(1, 0.01, 100)
    right = np.array([True] * 60 + [False, True] * 20)
    p_values = {
        rows: binomtest(int(right[:rows].sum()), rows, 0.9, alternative="greater").pvalue
        for rows in range(5, 101, 5)
    }
    # Holm: the smallest of 20 below .1 / 20, the next below .1 / 19, and so on.
    rejected, left = [], 20
    for rows in sorted(p_values, key=p_values.__getitem__):
        if p_values[rows] > 0.1 / left:
            break
        rejected.append(rows)
        left -= 1
    assert rejected, "the surest 60 must be believed"
    found = guaranteed_threshold(scores, right, 0.9)
    assert found == pytest.approx(scores[max(rejected) - 1])


def test_where_nothing_can_be_promised_there_is_no_threshold():
    scores, right = np.linspace(0, 1, 20), np.ones(20, dtype=bool)
    # All of 20 right: one time in eight that is luck, where nine of ten are.
    assert guaranteed_threshold(scores, right, 0.9) is None
    assert guaranteed_threshold(*drawn(0, 5000), 0.999) is None
    assert guaranteed_threshold(np.array([]), np.array([], dtype=bool), 0.9) is None
    assert guaranteed_threshold(np.zeros(500), np.arange(500) < 300, 0.9) is None


def test_a_model_that_is_always_right_is_believed_in_all_it_says():
    scores = np.random.RandomState(0).random_sample(2000)
    assert guaranteed_threshold(scores, np.ones(2000, dtype=bool), 0.95) == scores.min()
    tied = guaranteed_threshold(np.full(2000, 0.7), np.ones(2000, dtype=bool), 0.95)
    assert tied == 0.7, "equal scores are answered together"


def test_each_precision_that_may_be_asked_for_has_its_line():
    found = guarantees(*drawn(1, 3000))
    assert [(line["target"], line["confidence"], line["n"]) for line in found] == [
        (target, 0.9, 3000) for target in (0.8, 0.9, 0.95)
    ]
    answered = [line["answered"] for line in found]
    assert answered == sorted(answered, reverse=True), "the more is asked, the less is answered"
    assert answered[-1] > 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from([0.05, 0.1]))
def test_holm_rejects_what_mapie_does(p_values: list[float], level: float):
    oracle = pytest.importorskip("mapie.risk_control.fwer_control")
    expected = oracle.control_fwer(np.array(p_values), level, "bonferroni_holm")
    assert np.flatnonzero(_holm(np.array(p_values), level)).tolist() == expected.tolist()


def test_a_threshold_is_never_above_the_one_that_mapie_promises_the_same_of():
    oracle = pytest.importorskip("mapie.risk_control")
    scores, right = drawn(2, 2000)
    ranked = np.sort(scores)[::-1]
    tried = ranked[np.arange(1, 21) * 100 - 1]
    controller = oracle.BinaryClassificationController(
        lambda rows: np.column_stack([1 - rows[:, 0], rows[:, 0]]),
        oracle.precision,
        target_level=0.9,
        confidence_level=0.9,
        list_predict_params=tried,
    )
    controller.calibrate(scores[:, None], right.astype(int))
    found = guaranteed_threshold(scores, right, 0.9)
    # Its test is Hoeffding's and Bentkus', an upper bound of the exact one: never bolder.
    assert found is not None
    assert found <= min(controller.valid_predict_params)
    assert found in tried
