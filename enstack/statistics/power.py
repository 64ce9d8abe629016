"""How small a difference a test set could have shown."""

from __future__ import annotations

from scipy.stats import norm


def smallest_shown(standard_error: float, power: float = 0.8, level: float = 0.05) -> float | None:
    """The true difference that a two-sided test at this level would show with this power.

    standard_error: of the difference as measured, so of how often these two models disagree. None
    where it is 0: they never disagree, and rows that are alike under both show nothing.
    """
    if not standard_error:
        return None
    return float((norm.ppf(1 - level / 2) + norm.ppf(power)) * standard_error)
