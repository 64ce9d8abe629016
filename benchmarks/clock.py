"""Seconds from the end of one step to the end of another."""

from __future__ import annotations

import time

import torch

from benchmarks.flops import wait_for


class Clock:
    """Times steps `first` + 1 to `last`; those before load kernels and make AdamW's moments."""

    def __init__(self, first: int, last: int, device: torch.device) -> None:
        self.first, self.last, self.device = first, last, device
        self._ended, self._started, self.seconds = 0, 0.0, 0.0

    def step_ended(self) -> bool:
        """Count a step; whether it was the last."""
        self._ended += 1
        if self._ended in (self.first, self.last):
            wait_for(self.device)
            now = time.perf_counter()
            self.seconds, self._started = now - self._started, now
        return self._ended == self.last
