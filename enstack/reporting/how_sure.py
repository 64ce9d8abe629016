"""How sure a verdict is, in plain words: what other functions and other seeds may change."""

from __future__ import annotations

from collections import Counter

from enstack.reporting.seeds import Seeds
from enstack.stacking.verdict_text import LARGEST, Verdict

__all__ = ["how_sure"]


def how_sure(verdict: Verdict | None, seeds: Seeds | None = None) -> str | None:
    """What the figures in the verdict's sentence mean; None where nothing can be believed."""
    if verdict is None or verdict.leaps or not verdict.labels_differ:
        return None
    return f"{_of_functions(verdict)} {_of_trainings(seeds)}"


def _of_functions(verdict: Verdict) -> str:
    one, shown = verdict.difference, verdict.smallest_shown
    if shown is None:
        return "Other test functions may tell the two apart."
    if one.low > 0 or one.high < 0:
        return (
            f"The whole interval lies {'above' if one.low > 0 else 'below'} 0: that is hardly the "
            "luck of these test functions."
        )
    if shown >= LARGEST[verdict.declared.measure]:
        return "Not at all: so few test functions tell nothing."
    return (
        "Not very: the interval holds 0. That no difference is shown does not mean that there is "
        "none."
    )


def _of_trainings(seeds: Seeds | None) -> str:
    if seeds is None or len(seeds.verdicts) < 2:
        return "Another seed may come out otherwise."
    n = Counter(one.outcome for one in seeds.verdicts)
    return (
        f"Each of {n.total()} seeds had a comparison of its own: {n['better']} better, "
        f"{n['not shown']} not shown, {n['worse']} worse."
    )
