"""Time left of a whole run, by the pace of the epochs that this session has trained."""

from __future__ import annotations

import time
from collections.abc import Sequence

from enstack.progress.bars import Bar
from enstack.progress.screen import Part

# A smaller part of an epoch than this says little of its pace.
ENOUGH = 0.01


class Remaining:
    """Looks at the bars of a run, and reckons how long all that is still to train will take.

    What was trained in an earlier session, and what it took, is no part of the pace.
    """

    def __init__(self) -> None:
        self._seconds, self._epochs = 0.0, 0.0  # of the trainings that have ended
        self._training: Bar | None = None
        self._began: tuple[float, float] | None = None  # when, and at which epoch
        self._at = 0.0  # epochs of the training in work that are done, with a part of the last
        self._ended_in_part, self._part = 0, 0

    def begin(self, epochs: Bar) -> None:
        """A training begins: a base model's, or that of one of its folds."""
        self._training, self._began, self._at = epochs, None, 0.0

    def end(self) -> None:
        """The training has ended, at its last epoch or sooner."""
        if self._training is not None and self._began is not None:
            self._seconds += time.perf_counter() - self._began[0]
            self._epochs += self._training.done - self._began[1]
        self._ended_in_part += self._training.total if self._training else 0
        self._training, self._began, self._at = None, None, 0.0

    def look(self, batch: Bar | None, batches: int) -> None:
        """See how far the training in work is. batch: the bar of batches; batches: of an epoch."""
        # Bars of validation and of tokens have no examples a second: they do not move the epoch.
        if self._training is None or batch is None or not batch.examples or not batches:
            return
        # A resumed epoch's bar has only the batches that are left.
        share = 1 - (batch.total - batch.done) / batches
        # Between two epochs the batch bar is still the old one.
        full = self._training.done + share
        self._at = min(full, self._at + 1) if self._began else full
        if self._began is None:
            self._began = time.perf_counter(), self._at

    def seconds(self, parts: Sequence[Part], done: int) -> float | None:
        """Seconds until all parts are trained; None where the pace is not known yet.

        done: parts that are finished.
        """
        if done != self._part:
            self._part, self._ended_in_part = done, 0
        pace = self._pace()
        if pace is None or done >= len(parts):
            return None
        here = max(0.0, parts[done].epochs - self._ended_in_part - self._at)
        later = sum(part.epochs for part in parts[done + 1 :])
        return (here + later) * pace if here + later else None

    def _pace(self) -> float | None:
        """Seconds of an epoch, in the training in work or else in those before it."""
        if self._began is not None and self._at - self._began[1] > ENOUGH:
            since, at = self._began
            return (time.perf_counter() - since) / (self._at - at)
        return self._seconds / self._epochs if self._epochs > 0 else None
