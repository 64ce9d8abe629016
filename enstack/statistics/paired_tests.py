"""Whether two models differ on the same rows: McNemar's test, DeLong's, and many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm, rankdata

from enstack.errors import DataError
from enstack.metrics.flags import two_sided

__all__ = ["delong", "holm", "mcnemar"]


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of two models being right equally often.

    only_first, only_second: rows that only the first, or only the second, has right.
    """
    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def delong(
    has_class: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float, float, float]:
    """AUC of the first scores less that of the second: difference, low, high (95 %), and p.

    has_class: (n,) bool; scores: (n,). Where one side has a single row, nothing can be told: from
    -1 to 1, p 1. Method: DeLong et al. 1988, by ranks as in Sun and Xu 2014. Raises DataError
    where all rows are of one side.
    """
    if not two_sided(has_class):
        raise DataError("An AUC needs rows with and without the class, found one side alone.")
    # Of each row with the class, the share of rows without it that it stands above; and reversed.
    of_having = _above(has_class, first) - _above(has_class, second)
    of_lacking = _above(~has_class, -first) - _above(~has_class, -second)
    apart = float(of_having.mean())
    if min(len(of_having), len(of_lacking)) == 1:
        return apart, -1.0, 1.0, 1.0
    error = np.sqrt(
        of_having.var(ddof=1) / len(of_having) + of_lacking.var(ddof=1) / len(of_lacking)
    )
    if not error:  # the two order every pair alike, or one of them all and the other none
        return apart, apart, apart, 1.0 if not apart else 0.0
    half = float(norm.ppf(0.975) * error)
    return apart, apart - half, apart + half, float(2 * norm.sf(abs(apart) / error))


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
