"""A model that does not tell functions apart, in words for console, panel and report."""

from __future__ import annotations

from collections.abc import Mapping

# Class weights and learning rate are a run's own: another run_dir is for another value.
WHAT_HELPS = (
    "What helps: more epochs or more functions; in another run_dir class_weights=balanced, or "
    "another learning_rate."
)

# Of a model that this run did not train.
WHAT_HELPS_ADDED = (
    "It was trained elsewhere: have it trained anew there, or move its folder out of added "
    "before the next stacking."
)


def no_better_than_chance(mcc: float | None) -> bool:
    """Whether Matthews' correlation prints as 0.00."""
    return mcc is not None and abs(mcc) < 0.005


def chance_text(
    name: str, figures: Mapping[str, tuple[float | None, str | None]], what_helps: str = WHAT_HELPS
) -> str | None:
    """The one sentence on a base model that has learned nothing, and what helps; None where it has.

    figures: by split, the MCC, and what it says of every function there, if always the same.
    """
    places: dict[str, list[str]] = {}
    for split, (mcc, answer) in figures.items():
        if no_better_than_chance(mcc):
            how = f"says {answer} of every function" if answer else "is no better than chance"
            places.setdefault(how, []).append(split)
    if not places:
        return None
    told = ", and ".join(f"{how} on {' and '.join(splits)}" for how, splits in places.items())
    return f"{name} {told} (MCC 0.00). {what_helps}"
