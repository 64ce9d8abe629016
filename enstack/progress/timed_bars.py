"""The bars of a run on a console, which tell how long all that is left of it will take."""

from __future__ import annotations

import time

from enstack.progress.bars import Bar
from enstack.progress.remaining import Remaining, left_sentence
from enstack.progress.say import duration, say
from enstack.progress.screen import TrainingView

EVERY = 1.0  # seconds between two estimates
LEAST = 60.0  # seconds: who waits shorter needs no plan


class TimedBars:
    """A screen that leaves the bars to draw themselves, and adds the time that the run has left.

    It stands behind the figures of a training's bar, where the terminal is wide enough for it, and
    in a line of its own after each epoch.
    """

    def __init__(self) -> None:
        self._remaining, self._next = Remaining(), 0.0

    def open(self, bar: Bar) -> bool:
        """A bar begins, and draws itself."""
        self._remaining.open(bar)
        return False

    def redraw(self, bar: Bar) -> bool:
        """A bar has moved, and draws itself."""
        if bar.level == "epoch":
            # A training that only begins has changed nothing since the last line.
            if bar.done and (left := self._left()):
                say(left_sentence(left))
        elif bar.examples and time.perf_counter() >= self._next:
            self._next = time.perf_counter() + EVERY
            left = self._left()
            bar.extra = f"run={duration(left)}" if left else ""
        return False

    def close(self, bar: Bar) -> None:
        """A bar ends."""
        self._remaining.close(bar)

    def watch(self, view: TrainingView) -> None:
        """A base model's training begins."""
        self._remaining.watch(view)

    def warn(self, text: str) -> None:
        """It was said, and stays where it stands."""

    def _left(self) -> float | None:
        left = self._remaining.seconds()
        return left if left and left >= LEAST else None
