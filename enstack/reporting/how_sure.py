"""How sure a verdict is, in plain words: what the difference may be, and what is missed."""

from __future__ import annotations

from enstack.counting import counted
from enstack.stacking.verdict_text import LARGEST, Verdict, signed

__all__ = ["how_sure"]


def how_sure(verdict: Verdict) -> str | None:
    """A sentence or two; None where nothing can be believed, or nothing is there to tell apart."""
    if verdict.leaps or not verdict.labels_differ:
        return None
    if verdict.smallest_shown is None:
        return "The two say the same of every test function: nothing tells them apart."
    one = verdict.difference
    between = f"from {signed(one.low)} to {signed(one.high)}"
    if verdict.outcome != "not shown" or one.low > 0:
        return (
            f"On functions like these the difference is {between}, with 95 % confidence: all of it "
            f"lies {'above' if one.low > 0 else 'below'} 0."
        )
    return (
        f"On functions like these the difference may be anything {between}, with 95 % confidence. "
        f"{_missed(verdict)}"
    )


def _missed(verdict: Verdict) -> str:
    """What so small a test set does not show; smallest_shown is shown by 80 % of such sets."""
    shown = verdict.smallest_shown
    if shown is None or shown >= LARGEST[verdict.declared.measure]:
        return (
            f"{counted(verdict.n, 'test function')} can show no difference, however large: test on "
            "more."
        )
    return (
        f"A true difference of {shown:.3f} would have been shown by 4 of 5 test sets like this, "
        "a smaller one by fewer: that none is shown does not mean that there is none."
    )
