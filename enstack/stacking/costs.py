"""What each model of a leaderboard costs: the seconds that it learned and predicted for."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Clock", "Clocks"]


@dataclass
class Clock:
    """The seconds that one model has learned and predicted for so far."""

    learning: float = 0.0
    predicting: float = 0.0

    @contextlib.contextmanager
    def learns(self) -> Iterator[None]:
        """Count the block's seconds as learning."""
        began = time.perf_counter()
        yield
        self.learning += time.perf_counter() - began

    @contextlib.contextmanager
    def predicts(self) -> Iterator[None]:
        """Count the block's seconds as predicting."""
        began = time.perf_counter()
        yield
        self.predicting += time.perf_counter() - began


class Clocks(defaultdict[str, Clock]):
    """A clock for every model, by "kind:name"."""

    def __init__(self) -> None:
        super().__init__(Clock)
