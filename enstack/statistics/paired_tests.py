"""Whether two models differ on the same rows: McNemar's test, DeLong's, and many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm, rankdata
from scipy.stats import t as student

from enstack.errors import DataError
from enstack.metrics.flags import two_sided
from enstack.statistics.bootstrap import ROUNDING, unmoved_error

__all__ = ["delong", "holm", "mcnemar"]


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of two models being right equally often.

    only_first, only_second: rows that only the first, or only the second, has right.
    """
    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def delong(
    has_class: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray | None = None,
) -> tuple[float, float, float, float]:
    """AUC of the first scores less that of the second: difference, low, high (95 %), and p.

    has_class: (n,) bool; scores: (n,); clusters: (n,) int, the same for rows that depend on each
    other. Where one side has a single cluster, nothing can be told: from -1 to 1, p 1. Method:
    DeLong et al. 1988, by ranks as in Sun and Xu 2014; with clusters, Obuchowski 1997. Raises
    DataError where all rows are of one side.
    """
    if not two_sided(has_class):
        raise DataError("An AUC needs rows with and without the class, found one side alone.")
    # Of each row with the class, the share of rows without it that it stands above; and reversed.
    of_having = _above(has_class, first) - _above(has_class, second)
    of_lacking = _above(~has_class, -first) - _above(~has_class, -second)
    apart = float(of_having.mean())
    each_row = np.arange(len(first))  # a cluster of its own
    _, numbers = np.unique(each_row if clusters is None else clusters, return_inverse=True)
    having, lacking = numbers[has_class], numbers[~has_class]
    n_units = min(len(np.unique(having)), len(np.unique(lacking)))
    if n_units == 1:
        return apart, -1.0, 1.0, 1.0
    size = numbers.max() + 1
    sums = np.array(
        [
            np.bincount(of_side, weights=values - apart, minlength=size) / len(values)
            for of_side, values in ((having, of_having), (lacking, of_lacking))
        ]
    )
    error = float(np.sqrt(_variance(sums, having, lacking)))
    if error > ROUNDING:
        half, p = float(norm.ppf(0.975) * error), float(2 * norm.sf(abs(apart) / error))
        return apart, apart - half, apart + half, p
    if abs(apart) < ROUNDING:  # the two order every pair alike
        return apart, apart, apart, 1.0
    # One orders all pairs right and the other none, or leaves all of them undecided.
    error, degrees = unmoved_error(apart, n_units), n_units - 1
    half = float(student.ppf(0.975, degrees) * error)
    p = float(2 * student.sf(abs(apart) / error, degrees))
    return apart, max(apart - half, -1.0), min(apart + half, 1.0), p


def holm(ps: Sequence[float]) -> list[float]:
    """The p of many tests (m,), so adjusted that one of them is wrong no more often than each says.

    Method: Holm 1979. In the order they came.
    """
    order = np.argsort(ps, kind="stable")
    stepwise = np.asarray(ps, dtype=np.float64)[order] * np.arange(len(ps), 0, -1)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(stepwise))
    return [float(p) for p in adjusted]


def _above(chosen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each chosen row, the share of the others that its score is above; ties count half."""
    among_all, among_chosen = rankdata(scores)[chosen], rankdata(scores[chosen])
    share: np.ndarray = (among_all - among_chosen) / (~chosen).sum()
    return share


def _variance(sums: np.ndarray, having: np.ndarray, lacking: np.ndarray) -> float:
    """Of a mean over clusters with both sides' sums (2, m); of each side, the clusters of rows."""
    freedom = [len(np.unique(of_side)) for of_side in (having, lacking)]
    of_sides = sum(
        n / (n - 1) * (of_side**2).sum() for n, of_side in zip(freedom, sums, strict=True)
    )
    # A cluster with rows of both sides moves them together.
    m = len(np.unique(np.concatenate([having, lacking])))
    return max(0.0, float(of_sides + 2 * m / (m - 1) * (sums[0] * sums[1]).sum()))
