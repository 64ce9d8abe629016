"""A model that does not tell functions apart, in words for console, panel and report."""

from __future__ import annotations

# Class weights and learning rate are a run's own: another run_dir is for another value.
WHAT_HELPS = (
    "What helps: more epochs or more functions; in another run_dir class_weights=balanced, or "
    "another learning_rate."
)


def no_better_than_chance(mcc: float | None) -> bool:
    """Whether Matthews' correlation prints as 0.00."""
    return mcc is not None and abs(mcc) < 0.005


def chance_text(
    name: str, mcc: float | None, split: str, only_answer: str | None = None
) -> str | None:
    """What is to be said of a base model's figures on a split; None where it has learned something.

    only_answer: what it says of every function there, if it is always the same.
    """
    if not no_better_than_chance(mcc):
        return None
    same = f"says {only_answer} of every function" if only_answer else "is no better than chance"
    return f"{name} {same} on {split} (MCC {mcc:.2f}). {WHAT_HELPS}"
