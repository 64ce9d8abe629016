"""A block in which nothing is said of its progress: no lines, no bars."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from enstack.console import put
from enstack.progress.bars import Bar
from enstack.progress.screen import TrainingView, shown_on


class NoScreen:
    """Takes the bars over and shows none."""

    def open(self, bar: Bar) -> bool:
        """It counts as shown."""
        return True

    def redraw(self, bar: Bar) -> bool:
        """It counts as shown."""
        return True

    def close(self, bar: Bar) -> None:
        """Nothing ends."""

    def watch(self, view: TrainingView) -> None:
        """Nothing is watched."""

    def warn(self, text: str) -> None:
        """A warning is no progress."""
        put(text, sys.stderr)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let the block say nothing; errors are raised as ever."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
        shown_on(NoScreen()),
    ):
        yield
