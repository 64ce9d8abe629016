"""What a reader must know before trusting a run's figures, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from enstack.counting import counted, joined, some_of
from enstack.data.made_up import MADE_UP_NOTE, says_made_up
from enstack.metrics.chance import WHAT_HELPS, WHAT_HELPS_ADDED
from enstack.reporting.background import Alert
from enstack.reporting.figures import SMALL_CLASS
from enstack.rounding import percent
from enstack.stacking.leaps import Leap

__all__ = ["alerts_of"]

NAMED = 8  # small classes at most, after the first
MUCH_CUT = 0.2  # of the functions of a split that are longer than a base model reads


def alerts_of(
    data: dict[str, Any],
    settings: dict[str, Any],
    per_class: Sequence[dict[str, Any]],
    n_near: int,
    n: int,
    leaps: Sequence[Leap] = (),
    collapsed: Sequence[str] = (),
) -> list[Alert]:
    """The alerts of a run, the gravest first.

    per_class: the chosen model's figures; n_near: of n test functions, those with a near-duplicate
    in train; leaps: base models that are far better on test than before; collapsed: of each that
    has learned nothing, a sentence as chance_text gives it.
    """
    return [
        *_made_up(data, settings),
        *_better_on_test(leaps),
        *_collapsed(collapsed),
        *_contamination(n_near, n),
        *_cut(data, settings),
        *_never_seen(data),
        *_absent_classes(per_class),
        *_small_classes(per_class),
    ]


def _made_up(data: dict[str, Any], settings: dict[str, Any]) -> Iterator[Alert]:
    if says_made_up(settings.get("data_dir"), data["notes"]):
        yield Alert("made_up", MADE_UP_NOTE, "Run it on real data before anything is decided.")


def _better_on_test(leaps: Sequence[Leap]) -> Iterator[Alert]:
    for leap in leaps:
        yield Alert(
            "better_on_test",
            f"{leap.title} is right of {percent(leap.on_test)} of the test functions, and of "
            f"{percent(leap.before)} of those that stacks are fitted on; word counts of "
            f"{percent(leap.words_on_test)} and {percent(leap.words_before)}. That is "
            f"{leap.standard_errors:.1f} standard errors: no chance, but what a model does that "
            "has seen test's labels.",
            f"Find out how {leap.title} was made, or stack without it, before any figure here is "
            "believed.",
        )


def _collapsed(told: Sequence[str]) -> Iterator[Alert]:
    for sentence in told:
        helps = next(one for one in (WHAT_HELPS, WHAT_HELPS_ADDED) if sentence.endswith(one))
        yield Alert("collapsed", sentence.removesuffix(f" {helps}"), helps)


def _contamination(n_near: int, n: int) -> Iterator[Alert]:
    if n_near:
        yield Alert(
            "contamination",
            f"{n_near:,} of {counted(n, 'test function')} ({percent(n_near / n)}) "
            f"{'has' if n_near == 1 else 'have'} a near-duplicate in train, which a model may "
            "have learned by heart.",
            'Read "Without near-duplicates" below, or train in another run_dir with '
            "drop_near_duplicates=0.7.",
        )


def _cut(data: dict[str, Any], settings: dict[str, Any]) -> Iterator[Alert]:
    for name, cut in data["truncated"].items():
        n, n_cut = data["functions"].get("test", 0), cut.get("test", 0)
        if n and n_cut / n > MUCH_CUT:
            yield Alert(
                "cut",
                f"{name} read only the beginning of {n_cut:,} of {counted(n, 'test function')} "
                f"({percent(n_cut / n)}), as max_length is {settings.get('max_length', 'short')}.",
                "Train in another run_dir with a greater max_length, as far as the model has "
                "positions, or with a model that reads more.",
            )


def _never_seen(data: dict[str, Any]) -> Iterator[Alert]:
    """Classes that no model, or no stack, can have learned to give."""
    in_train = _without_functions(data, "train")
    if in_train:
        yield Alert(
            "small_class",
            f"No train function has {some_of(in_train)}: no model here can answer so.",
            "Train on functions of every class.",
        )
    in_validation = [
        name for name in _without_functions(data, "validation") if name not in in_train
    ]
    if in_validation and data["holdout"] and not data["holdout"].get("folds"):
        yield Alert(
            "small_class",
            f"No validation function has {some_of(in_validation)}: no stack can have learned to "
            "answer so.",
            "Put some into validation, or run in another run_dir with meta_features=out_of_fold.",
        )


def _without_functions(data: dict[str, Any], split: str) -> list[str]:
    return [name for name, n in data["counts"].get(split, {}).items() if not n]


def _absent_classes(per_class: Sequence[dict[str, Any]]) -> Iterator[Alert]:
    absent = [entry["class"] for entry in per_class if not entry["support"]]
    if absent:
        yield Alert(
            "small_class",
            f"No test function has {some_of(absent)}: nothing here tells how such functions are "
            "judged, and macro-F1 leaves them out.",
            "Test on functions of every class.",
        )


def _small_classes(per_class: Sequence[dict[str, Any]]) -> Iterator[Alert]:
    few = [entry for entry in per_class if 0 < entry["support"] < SMALL_CLASS]
    if not few:
        return
    first, *others = few
    named = [
        f"{first['class']} has {counted(first['support'], 'test function')}",
        *(f"{entry['class']} {entry['support']:,}" for entry in others[:NAMED]),
    ]
    if len(others) > NAMED:
        named.append(f"{counted(len(others) - NAMED, 'more class', 'more classes')} as few")
    its = "their" if others else "its"
    yield Alert(
        "small_class",
        f"{joined(named)}, under {SMALL_CLASS}: {its} figures prove little, yet macro-F1 counts "
        "every class alike.",
        f"Test on more functions of {'them' if others else 'it'}, or rest no decision on "
        f"{'them' if others else 'it'}.",
    )
