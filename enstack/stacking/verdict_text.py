"""The verdict in words: one sentence, and what its reader has to know beside it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from enstack.counting import counted, joined
from enstack.stacking.baselines import WORDS
from enstack.stacking.leaps import Leap
from enstack.stacking.titles import title
from enstack.stacking.verdict import VerdictFigures
from enstack.statistics.bootstrap import LARGEST, MACRO_F1S, Difference
from enstack.statistics.cells import ENOUGH_FUNCTIONS, MACRO_F1_OF_ENOUGH

__all__ = [
    "LARGEST",
    "MACRO_F1S",
    "MEASURE_TITLES",
    "Verdict",
    "in_words",
    "leap_text",
    "signed",
    "two_measures",
]

MEASURE_TITLES = {
    "macro_f1": "macro-F1",
    MACRO_F1_OF_ENOUGH: f"macro-F1 ({ENOUGH_FUNCTIONS}+)",
    "accuracy": "accuracy",
    "mcc": "MCC",
}


@dataclass(frozen=True, kw_only=True)
class Verdict(VerdictFigures):
    """What a run shows of its stack, as verdict.json holds it."""

    sentence: str
    caveats: list[str]

    def __str__(self) -> str:
        return self.sentence


def in_words(figures: VerdictFigures) -> Verdict:
    """The verdict: its figures, one sentence, and what the sentence's reader must not miss."""
    if figures.leaps:
        # What rests on labels that a model has seen shows nothing.
        figures = dataclasses.replace(figures, outcome="not shown")
    return Verdict(**vars(figures), sentence=_sentence(figures), caveats=_caveats(figures))


def signed(value: float) -> str:
    """A difference to three places, with its sign."""
    return f"{'+' if value >= 0 else '−'}{abs(value):.3f}"


def two_measures(verdict: Verdict) -> str:
    """That a leaderboard's macro-F1 is another one than the verdict's; empty where it is not."""
    if verdict.declared.measure != MACRO_F1_OF_ENOUGH:
        return ""
    enough = counted(ENOUGH_FUNCTIONS, "test function")
    classes = joined(verdict.declared.counted_classes)
    return (
        "The macro-F1 of this table is over every class; "
        f"{MEASURE_TITLES[MACRO_F1_OF_ENOUGH]}, which the verdict is about, over those with "
        f"{enough} or more: {classes}."
    )


def _sentence(verdict: VerdictFigures) -> str:
    """What the run shows, for somebody who reads one sentence."""
    ours, theirs, words = verdict.candidate_title, verdict.against_title, verdict.word_counts
    measured = (
        f"{MEASURE_TITLES[verdict.declared.measure]} {signed(verdict.difference.value)} "
        f"(95 % interval {_ends(verdict.difference)}) on {counted(verdict.n, 'test function')}"
    )
    told = f"{measured}; {_could(verdict)}."
    other = words if verdict.declared.against != WORDS else None
    if verdict.leaps:
        names = joined([leap.title for leap in verdict.leaps])
        return (
            f"Not shown that stacking pays: {names} may have seen the labels of test; {ours} "
            f"against {theirs}, {told}"
        )
    if not verdict.labels_differ:
        # Whoever says the one label most often is ahead here, and that is no gain.
        return (
            "Not shown that stacking pays: all test functions have the same label; "
            f"{ours} against {theirs}, {measured}."
        )
    if verdict.outcome == "better":
        beaten = ", and word counts too" if other else ""
        return f"Stacking is better: {ours} beats {theirs}{beaten}; {told}"
    if verdict.outcome == "worse":
        return f"Stacking is worse: {ours} loses to {theirs}{_beside(other)}; {told}"
    if verdict.difference.low > 0 and words is not None:
        return (
            f"Not shown that stacking pays: {ours} beats {theirs}, but not word counts "
            f"({signed(words.value)}, {_ends(words)}); {told}"
        )
    return f"Not shown that stacking pays: {ours} against {theirs}{_beside(other)}, {told}"


def _caveats(verdict: VerdictFigures) -> list[str]:
    """Sentences that a reader of the verdict must not miss; most runs have none."""
    return [
        *_same_labels(verdict),
        *_ahead(verdict),
        *_other_way(verdict),
        *_small_classes(verdict),
        *_without_near(verdict),
        *_collapsed(verdict.collapsed),
        *_collapsed_combinations(verdict),
        *map(leap_text, verdict.leaps),
        *_declared_late(verdict),
    ]


def leap_text(leap: Leap) -> str:
    """What is said of a base model that is far better on test than where stacks are fitted."""
    return (
        f"{leap.title} is far better on test than on the functions that stacks are fitted on: "
        f"accuracy {leap.on_test:.3f} after {leap.before:.3f}, word counts "
        f"{leap.words_on_test:.3f} after {leap.words_before:.3f} "
        f"({leap.standard_errors:.1f} standard errors). Chance does not do that; a model that has "
        "seen test's labels does. Find out how it was made before any figure here is believed."
    )


def _collapsed(names: list[str]) -> list[str]:
    """In one sentence, for where one has collapsed the others often have too."""
    if not names:
        return []
    one = len(names) == 1
    return [
        f"{joined(names)} {'does' if one else 'do'} not tell functions apart "
        f"({'its' if one else 'their'} MCC on test is 0.00): train {'it' if one else 'them'} anew "
        "before a stack is judged."
    ]


def _collapsed_combinations(verdict: VerdictFigures) -> list[str]:
    if not verdict.collapsed_combinations:
        return []
    names = joined(verdict.collapsed_combinations)
    return [
        f"No better than chance on test (MCC 0.00): {names}. Nothing is combined there that is "
        "worth it."
    ]


def _ends(one: Difference) -> str:
    return f"{signed(one.low)} to {signed(one.high)}"


def _beside(words: Difference | None) -> str:
    """That word counts are shown to be better, where the comparison was declared with another."""
    if words is None or words.high >= 0:
        return ""
    return f", and it loses to word counts ({signed(words.value)}, {_ends(words)})"


def _could(verdict: VerdictFigures) -> str:
    if verdict.smallest_shown is None:
        return "they decide every function alike"
    if verdict.smallest_shown >= LARGEST[verdict.declared.measure]:
        return f"{counted(verdict.n, 'function')} can show no difference at all"
    return (
        f"so many functions show a true difference of {verdict.smallest_shown:.3f} four times in "
        "five, and a smaller one less often"
    )


def _same_labels(verdict: VerdictFigures) -> list[str]:
    if verdict.labels_differ:
        return []
    return [
        "All test functions have the same label: nothing here says whether a model tells "
        "functions apart. Test on functions of every class."
    ]


def _ahead(verdict: VerdictFigures) -> list[str]:
    """Of a better stack: the simpler model that is above it on test, which may not choose."""
    one = verdict.ahead
    if one is None:
        return []
    return [
        f"{title(one.second)} is simpler and ahead of {verdict.candidate_title} on test "
        f"({signed(-one.difference.value)}, {signed(-one.difference.high)} to "
        f"{signed(-one.difference.low)}): explored, not declared. Compare these two on other "
        "functions before the stack is used."
    ]


def _other_way(verdict: VerdictFigures) -> list[str]:
    others = {"Accuracy": verdict.accuracy, "MCC": verdict.mcc}
    # Of a verdict by macro-F1, the classes that it does not count are told apart from this.
    if verdict.declared.measure not in MACRO_F1S:
        others["Macro-F1"] = verdict.all_classes
    return [
        f"{name} points the other way: {signed(one.value)} ({_ends(one)})."
        for name, one in others.items()
        if one.value * verdict.difference.value < 0
    ]


def _small_classes(verdict: VerdictFigures) -> list[str]:
    within = verdict.difference.low <= verdict.all_classes.value <= verdict.difference.high
    same = within and _side(verdict.all_classes) == _side(verdict.difference)
    if not verdict.small_classes or verdict.declared.measure not in MACRO_F1S or same:
        return []
    return [
        f"With {' and '.join(verdict.small_classes)}, of fewer than {ENOUGH_FUNCTIONS} test "
        f"functions, it would read {signed(verdict.all_classes.value)} "
        f"({_ends(verdict.all_classes)}): so few functions must not carry a verdict."
    ]


def _without_near(verdict: VerdictFigures) -> list[str]:
    """Where functions that are like training functions make the difference."""
    apart = verdict.without_near_duplicates
    if apart is None or _side(apart.difference) == _side(verdict.difference):
        return []
    return [
        f"On the {counted(apart.n, 'test function')} without a near-duplicate in train it would "
        f"read {signed(apart.difference.value)} ({_ends(apart.difference)}): explored, not "
        "declared."
    ]


def _side(one: Difference) -> int:
    """On which side of 0 an interval lies; 0 where it holds it."""
    return int(one.low > 0) - int(one.high < 0)


def _declared_late(verdict: VerdictFigures) -> list[str]:
    if not verdict.declared.before:
        return []
    earlier = list(dict.fromkeys(map(_declared, verdict.declared.before)))
    more = f" and {len(earlier) - 2} more" if len(earlier) > 2 else ""
    return [
        "This comparison was declared after test figures of this run had been written: take it as "
        f"explored, and confirm it on other data. Declared earlier: {'; '.join(earlier[:2])}{more}."
    ]


def _declared(one: dict[str, Any]) -> str:
    """An earlier comparison in a few words; it may be an older program's."""
    measure = MEASURE_TITLES.get(str(one.get("measure")), "another measure")
    if not one.get("candidate") or not one.get("against"):
        return measure
    return f"{measure} of {title(one['candidate'])} against {title(one['against'])}"
