"""Early stopping: whether no epoch has helped for too long, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence

from enstack.counting import counted


def is_tired(stale_epochs: int, patience: int) -> bool:
    """Whether no epoch was better for as many epochs as are waited for; patience 0: never."""
    return bool(patience) and stale_epochs >= patience


def stopped_early(
    complete: int | None, stale_epochs: int | None, epochs: object, patience: object
) -> str | None:
    """How a training that ended after so many complete epochs stopped early; None where it did not.

    stale_epochs: those since the best one. epochs, patience: what was asked for, where known.
    """
    if complete is None or stale_epochs is None:
        return None
    if not isinstance(epochs, int) or not isinstance(patience, int):
        return None
    if complete >= epochs or not is_tired(stale_epochs, patience):
        return None
    return f"stopped early after epoch {complete}: no better for {counted(stale_epochs, 'epoch')}"


def stale_epochs(best: Sequence[bool]) -> int:
    """Epochs since the last that was the best so far; best: whether each was, in their order."""
    return next((n for n, one in enumerate(reversed(best)) if one), len(best))
