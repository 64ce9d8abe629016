"""Paired tests: equal to those of statsmodels and to what their definitions say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from enstack.errors import DataError
from enstack.statistics.bootstrap import Difference
from enstack.statistics.paired_tests import delong, holm, mcnemar
from enstack.statistics.power import smallest_shown


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_that_of_statsmodels(only_first: int, only_second: int):
    oracle = pytest.importorskip("statsmodels.stats.contingency_tables")
    expected = oracle.mcnemar([[5, only_first], [only_second, 5]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(min(1, expected))


def test_mcnemar_by_hand():
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(4, 4) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_equals_that_of_statsmodels(ps: list[float]):
    oracle = pytest.importorskip("statsmodels.stats.multitest")
    assert holm(ps) == pytest.approx(oracle.multipletests(ps, method="holm")[1], abs=1e-12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def scored(n: int, seed: int, digits: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A class and two models' scores of it, in part of the same noise; few digits make ties."""
    random = np.random.RandomState(seed)
    has_class = random.random_sample(n) < 0.4
    shared = random.normal(size=n)
    first, second = (
        np.round(has_class * gain + shared + random.normal(size=n), digits) for gain in (1.2, 0.8)
    )
    return has_class, first, second


def delong_by_definition(
    has_class: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """The difference of the AUCs and its p, pair by pair (DeLong et al. 1988, section 3)."""
    having, lacking = np.flatnonzero(has_class), np.flatnonzero(~has_class)
    wins = np.array(
        [
            [[(s[i] > s[j]) + 0.5 * (s[i] == s[j]) for j in lacking] for i in having]
            for s in (first, second)
        ]
    )
    covariance = np.cov(wins.mean(axis=2)) / len(having) + np.cov(wins.mean(axis=1)) / len(lacking)
    apart = wins[0].mean() - wins[1].mean()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return float(apart), float(2 * norm.sf(abs(apart) / np.sqrt(variance)))


@pytest.mark.parametrize(("seed", "digits"), itertools.product(range(4), (9, 0)))
def test_delong_is_what_its_definition_says_pair_by_pair(seed: int, digits: int):
    has_class, first, second = scored(60, seed, digits)
    apart, low, high, p = delong(has_class, first, second)
    assert (apart, p) == pytest.approx(delong_by_definition(has_class, first, second))
    assert (low + high) / 2 == pytest.approx(apart)
    aucs = roc_auc_score(has_class, first), roc_auc_score(has_class, second)
    assert apart == pytest.approx(aucs[0] - aucs[1])


def test_delong_equals_the_stored_p_of_mlstatkit():
    """From MLstatkit 0.1.91: Delong_test(has_class, first, second) of scored(200, 1)."""
    assert delong(*scored(200, 1))[3] == pytest.approx(0.0006475405509854158, rel=1e-9)


def clustered_by_definition(
    has_class: np.ndarray, first: np.ndarray, second: np.ndarray, clusters: np.ndarray
) -> float:
    """The standard error of the AUCs' difference, cluster by cluster (Obuchowski 1997)."""
    having, lacking = np.flatnonzero(has_class), np.flatnonzero(~has_class)

    def wins(scores: np.ndarray, i: int, j: int) -> float:
        return float((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))

    apart = np.array([[wins(first, i, j) - wins(second, i, j) for j in lacking] for i in having])
    of_having, of_lacking = apart.mean(axis=1) - apart.mean(), apart.mean(axis=0) - apart.mean()
    names = np.unique(clusters)
    x = np.array([of_having[clusters[having] == name].sum() for name in names])
    y = np.array([of_lacking[clusters[lacking] == name].sum() for name in names])
    n_x, n_y, n = len(set(clusters[having])), len(set(clusters[lacking])), len(names)
    s_x = n_x / ((n_x - 1) * len(having)) * (x**2).sum()
    s_y = n_y / ((n_y - 1) * len(lacking)) * (y**2).sum()
    s_xy = n / (n - 1) * (x * y).sum()
    variance = s_x / len(having) + s_y / len(lacking) + 2 * s_xy / (len(having) * len(lacking))
    return float(np.sqrt(variance))


@pytest.mark.parametrize("seed", range(4))
def test_delong_with_clusters_is_what_obuchowski_defines(seed: int):
    has_class, first, second = scored(60, seed, 1)
    clusters = np.random.RandomState(seed).randint(0, 25, size=60)
    apart, low, high, _ = delong(has_class, first, second, clusters)
    error = clustered_by_definition(has_class, first, second, clusters)
    assert (high - low) / 2 == pytest.approx(norm.ppf(0.975) * error)
    assert apart == pytest.approx(delong(has_class, first, second)[0])


def test_copies_of_every_row_make_delong_no_surer_where_clusters_name_them():
    has_class, first, second = scored(60, 3)
    three_times = [np.repeat(values, 3) for values in (has_class, first, second)]
    once = delong(has_class, first, second)
    assert delong(*three_times, np.repeat(np.arange(60), 3)) == pytest.approx(once)
    assert delong(*three_times)[3] < once[3]


def test_delong_of_scores_that_order_all_alike_knows_no_difference():
    has_class, first, _ = scored(50, 0)
    assert delong(has_class, first, 2 * first + 1) == (0, 0, 0, 1)


def test_delong_of_scores_that_order_all_right_beside_none_at_all_needs_six_rows_of_a_side():
    for n in range(2, 12):
        has_class = np.arange(2 * n) < n
        for other in (~has_class, np.zeros(2 * n)):
            apart, low, high, p = delong(has_class, has_class.astype(float), other.astype(float))
            assert (low > 0) == (p < 0.05) == (n >= 6), n
            assert low <= apart <= high <= 1


def test_delong_of_one_row_of_a_side_tells_nothing():
    has_class = np.arange(10) == 3
    apart, low, high, p = delong(has_class, np.arange(10.0), np.arange(10.0)[::-1])
    assert (low, high, p) == (-1, 1, 1)
    assert apart == pytest.approx(3 / 9 - 6 / 9)
    with pytest.raises(DataError, match="with and without the class, found one side alone"):
        delong(np.ones(3, dtype=bool), np.arange(3.0), np.arange(3.0))


def test_a_true_difference_as_small_as_could_be_shown_is_shown_four_times_in_five():
    error = 0.02
    half = norm.ppf(0.975) * error
    wide = Difference(0.0, -half, half, 1.0, error)
    seen = smallest_shown(wide) + error * np.random.RandomState(0).normal(size=40_000)
    assert np.mean(seen > norm.ppf(0.975) * error) == pytest.approx(0.8, abs=0.01)
    assert smallest_shown(Difference(0.0, 0.0, 0.0, 1.0, 0.0)) is None
    assert smallest_shown(wide, power=0.5) == pytest.approx(norm.ppf(0.975) * error)
