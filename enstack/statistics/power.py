"""How small a difference a test set could have shown."""

from __future__ import annotations

from scipy.stats import norm

from enstack.statistics.bootstrap import Difference


def smallest_shown(found: Difference, power: float = 0.8) -> float | None:
    """The true difference whose 95 % interval would leave out 0 with this power.

    found: a difference as measured, so how often these two models disagree. None where its standard
    error is 0: they never disagree, and rows that are alike under both show nothing.
    """
    if not found.standard_error:
        return None
    # On one side the interval may end where figures do.
    half = max(found.high - found.value, found.value - found.low)
    return float(half + norm.ppf(power) * found.standard_error)
