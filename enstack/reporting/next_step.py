"""What to do after a verdict, in a sentence or two, for somebody who has to decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from enstack.counting import joined
from enstack.reporting.costs import amount
from enstack.stacking.baselines import WORDS
from enstack.stacking.costs import Cost
from enstack.stacking.titles import title
from enstack.stacking.verdict_text import LARGEST, Verdict

__all__ = ["next_step"]

ON_REAL_DATA = (
    "Use none of these models. Let data_dir name real functions, run again, and read here which "
    "model to use."
)


def next_step(
    verdict: Verdict | None,
    made_up: bool = False,
    costs: Mapping[str, Cost] | None = None,
    at_chance: Collection[str] = (),
) -> str | None:
    """What a verdict asks for: the stack, or the simpler model; and what would settle it.

    made_up: whether the functions are; costs: by the keys of the leaderboard's rows; at_chance:
    keys of those that are no better than chance. None where there is no verdict on real functions.
    """
    if made_up:
        return ON_REAL_DATA
    return _by_verdict(verdict, costs or {}, at_chance) if verdict else None


def _by_verdict(verdict: Verdict, costs: Mapping[str, Cost], at_chance: Collection[str]) -> str:
    if not verdict.labels_differ:
        return "Test on functions of every class: nothing can be chosen by these."
    if verdict.leaps:
        names = joined([leap.title for leap in verdict.leaps])
        return f"Find out how {names} came about, or do without, before anything is used."
    to_use = _to_use(verdict, costs, at_chance)
    if not verdict.collapsed:
        return to_use
    # Something is of use meanwhile as a rule: another base model, or word counts.
    without = "" if _all_collapsed(verdict) else " or do without"
    return (
        f"Train {joined(verdict.collapsed)} anew{without}, and judge stacking then: what helps "
        f"stands below. Until that is done: {to_use}"
    )


def _all_collapsed(verdict: Verdict) -> bool:
    """Whether no base model has learned anything."""
    asked = [verdict.declared.against, *(one.second for one in verdict.explored)]
    bases = {title(key) for key in asked if key.startswith("base:")}
    return bases <= set(verdict.collapsed)


def _to_use(verdict: Verdict, costs: Mapping[str, Cost], at_chance: Collection[str]) -> str:
    """The stack where it is better and nothing simpler is ahead, else the simpler model."""
    if verdict.outcome == "better" and verdict.ahead is not None:
        return (
            f"Compare {verdict.candidate_title} and {title(verdict.ahead.second)} on other "
            "functions: the simpler one is ahead on these, which must not choose."
        )
    if verdict.outcome == "better":
        return (
            f"Use {verdict.candidate_title}, if {_price(verdict, costs)}; and measure it on "
            "functions from elsewhere before anybody relies on it."
            f"{_loaded(verdict.declared.candidate)}"
        )
    simpler = _simpler(verdict)
    if simpler in at_chance:
        return (
            f"Use none of these models: {title(simpler)} is no better than chance, and nothing "
            "here shows a gain over it."
        )
    return (
        f"Use {title(simpler)}: it is simpler, and nothing here shows a gain over it."
        f"{_loaded(simpler)}{_more(verdict)}"
    )


def _price(verdict: Verdict, costs: Mapping[str, Cost]) -> str:
    """What a gain costs at each use; training is paid once."""
    pair = verdict.declared.candidate, verdict.declared.against
    ours, theirs = (costs[key].seconds_per_1000 if key in costs else None for key in pair)
    if ours is None or theirs is None:
        return "its cost in the leaderboard can be borne"
    return f"the gain is worth {amount(ours)} s for 1,000 functions instead of {amount(theirs)}"


def _simpler(verdict: Verdict) -> str:
    """The key of the alternative; of word counts, where the combination does not beat those."""
    words, against = verdict.word_counts, verdict.declared.against
    if words is None or words.low > 0:
        return against
    # Of the two that are not beaten, the one that the combination is further behind.
    ahead = verdict.difference.low > 0 or words.value < min(0, verdict.difference.value)
    return WORDS if ahead else against


def _loaded(key: str) -> str:
    """How it is had: what `load` takes by itself may be another one."""
    return f' In Python it is enstack.load(run_dir, "{key}"), in a scan --name "{key}".'


def _more(verdict: Verdict) -> str:
    """How many test functions would show half of what these could: errors fall with the root."""
    shown = verdict.smallest_shown
    words = verdict.word_counts
    if verdict.outcome == "worse" or (words is not None and words.high < 0):
        return ""  # what is known to be worse needs no more functions
    if shown is None:
        return ""
    if shown >= LARGEST[verdict.declared.measure]:
        return " Test on more functions: so few can show no gain."
    if shown / 2 >= verdict.difference.high:
        return ""  # so large a gain is unlikely already: the interval ends below it
    return (
        f" To show a gain of {shown / 2:.3f}, half of what these test functions could have shown, "
        f"takes about four times as many: {4 * verdict.n:,}."
    )
