"""How long the loop waits for its data, and the line of advice when that is too long."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from enstack.progress.say import say
from enstack.rounding import percent

DATA_SHARE_LIMIT = 0.10
WARM_UP_BATCHES = 20  # the first batches open files and start workers: they judge nothing
DATA_ADVICE = "💡 The model waits {share} of the time for data: {why}."
ADVICE_AFTER = 20.0  # seconds of training after which the share is worth a line

Item = TypeVar("Item")


class DataWait:
    """Measures which share of the time the loop waits for its next batch.

    why: what the waiting comes from and what to do, for the line of advice.
    """

    def __init__(self, why: str = "see num_workers and local_dir") -> None:
        self.why = why
        self.waited, self.batches = 0.0, 0
        self.started = time.perf_counter()

    def watch(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield the batches, timing each wait; the first ones are not counted."""
        iterator = iter(batches)
        # No for loop: the time that next() takes is what is measured.
        while True:
            before = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.batches += 1
            if self.batches > WARM_UP_BATCHES:
                self.waited += time.perf_counter() - before
            else:
                # Started again by each, so that the share is of the time since the warm-up.
                self.started = time.perf_counter()
            yield batch

    def share(self) -> float:
        """Time waited over time passed, 0 to 1."""
        passed = self._passed()
        return self.waited / passed if self.batches > WARM_UP_BATCHES and passed > 0 else 0.0

    def postfix(self) -> dict[str, float]:
        """What belongs behind the bar: nothing, or `data` when the share is too high."""
        share = self.share()
        return {"data": share} if share > DATA_SHARE_LIMIT else {}

    def settled(self) -> bool:
        """Whether enough time has passed for the share to mean something."""
        return self._passed() > ADVICE_AFTER

    def advise(self) -> bool:
        """Say why the loop waits and what to do, when it waits too much; whether that was said."""
        share = self.share()
        if share > DATA_SHARE_LIMIT:
            say(DATA_ADVICE.format(share=percent(share, 0), why=self.why))
        return share > DATA_SHARE_LIMIT

    def _passed(self) -> float:
        return time.perf_counter() - self.started
