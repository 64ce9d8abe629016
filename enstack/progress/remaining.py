"""Time left of a whole run, by the pace of the epochs that this session has trained."""

from __future__ import annotations

import time

from enstack.progress.bars import Bar
from enstack.progress.say import about
from enstack.progress.screen import Level, TrainingView

__all__ = ["Remaining", "left_sentence"]

# A smaller part of an epoch than this says little of its pace.
ENOUGH = 0.01


def left_sentence(seconds: float) -> str:
    """How long the whole run will still take, and until when."""
    until = time.strftime("%H:%M %Z", time.localtime(time.time() + seconds))
    return f"⏱️ {about(seconds).capitalize()} left for the whole run, until about {until}"


class Remaining:
    """Looks at the bars of a run, and reckons how long all that is still to train will take.

    What was trained in an earlier session, and what it took, is no part of the pace.
    """

    def __init__(self) -> None:
        self._bars: dict[Level, Bar] = {}
        self._batches = 0  # of an epoch of the training in work
        self._seconds, self._epochs = 0.0, 0.0  # of the trainings that have ended
        self._training: Bar | None = None
        self._began: tuple[float, float] | None = None  # when, and at which epoch
        self._at = 0.0  # epochs of the training in work that are done, with a part of the last
        self._ended_in_part, self._part = 0, 0

    def open(self, bar: Bar) -> None:
        """A bar begins; that of epochs is a base model's training, or that of one of its folds."""
        self._bars[bar.level] = bar
        if bar.level == "epoch":
            self._training, self._began, self._at = bar, None, 0.0

    def watch(self, view: TrainingView) -> None:
        """A training begins, which tells how many batches its epochs have."""
        self._batches = view.batches

    def close(self, bar: Bar) -> None:
        """A bar ends; with that of epochs the training has, at its last epoch or sooner."""
        if bar.level != "epoch":
            return
        if self._began is not None:
            self._seconds += time.perf_counter() - self._began[0]
            self._epochs += bar.done - self._began[1]
        self._ended_in_part += bar.total
        self._training, self._began, self._at = None, None, 0.0

    def seconds(self) -> float | None:
        """Seconds until all parts are trained; None where the pace is not known, or no run is."""
        self._look()
        pipeline, pace = self._bars.get("pipeline"), self._pace()
        if pipeline is None or pace is None or pipeline.done >= len(pipeline.parts):
            return None
        parts, done = pipeline.parts, pipeline.done
        if done != self._part:
            self._part, self._ended_in_part = done, 0
        here = max(0.0, parts[done].epochs - self._ended_in_part - self._at)
        later = sum(part.epochs for part in parts[done + 1 :])
        return (here + later) * pace if here + later else None

    def _look(self) -> None:
        """See how far the training in work is."""
        batch, batches = self._bars.get("batch"), self._batches
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

    def _pace(self) -> float | None:
        """Seconds of an epoch, in the training in work or else in those before it."""
        if self._began is not None and self._at - self._began[1] > ENOUGH:
            since, at = self._began
            return (time.perf_counter() - since) / (self._at - at)
        return self._seconds / self._epochs if self._epochs > 0 else None
