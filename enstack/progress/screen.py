"""A screen, such as a notebook's panel, that takes over the bars while it is shown.

It is the one thing here that is set for the whole process, as standard output is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from enstack.progress.say import say

if TYPE_CHECKING:
    # bars.py imports this module.
    from enstack.progress.bars import Bar

Level = Literal["pipeline", "epoch", "batch"]


@dataclass(frozen=True)
class Part:
    """One part of a bar that has named ones, such as a stage; epochs: that are trained in it."""

    name: str
    epochs: int = 0


@dataclass(frozen=True)
class LastCheckpoint:
    """The newest checkpoint of a base model in training, verified where it was written."""

    position: str
    saved_at: float  # time.time()
    copied: bool  # to run_dir, and verified there
    copying: str  # how the copy stands, in a few words; nothing where it needs none


@dataclass(frozen=True)
class TrainingView:
    """What a screen may look at while a base model is trained; looking changes nothing.

    history: the records of steps and epochs; it grows. batches: of one epoch. epochs: that are
    asked for. last_checkpoint: None where this start has saved nothing yet.
    """

    name: str
    history: list[dict[str, Any]]
    batches: int
    epochs: int
    # Asked at each look, for copies go on in the background.
    last_checkpoint: Callable[[], LastCheckpoint | None]


class Screen(Protocol):
    """What takes over the bars while it is shown."""

    def open(self, bar: Bar) -> bool:
        """A bar begins; False where it has to draw itself."""

    def redraw(self, bar: Bar) -> bool:
        """A bar has moved; False where the screen does not show it, and the bar itself must."""

    def close(self, bar: Bar) -> None:
        """A bar ends."""

    def watch(self, view: TrainingView) -> None:
        """A base model's training begins."""

    def warn(self, text: str) -> None:
        """Keep a warning in view."""


_screen: Screen | None = None


def current_screen() -> Screen | None:
    """The screen that takes the bars over just now, if there is one."""
    return _screen


@contextlib.contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    """Let a screen take over the bars while the block runs."""
    global _screen
    before, _screen = _screen, screen
    try:
        yield
    finally:
        # Also after an error, else later bars would go to a panel that has ended.
        _screen = before


def watch(view: TrainingView) -> None:
    """Offer a training to the screen, if there is one."""
    if _screen is not None:
        _screen.watch(view)


def warn(text: str) -> None:
    """Say a warning that concerns the whole run; a screen keeps it in view."""
    say(text)
    if _screen is not None:
        _screen.warn(text)
