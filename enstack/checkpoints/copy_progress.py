"""How far a copy to slow storage has come, and the bar that shows it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from enstack.progress.bars import Bar

MIB = 2**20


class TransferProgress:
    """How far a copy has come, in bytes: every one is written, and then read back.

    number: counts the copies that differ in their files; furthest: the most bytes that any attempt
    at this one has moved, so that a bar never runs backwards.
    """

    def __init__(self) -> None:
        self.number = self.total = self.done = self.furthest = 0
        self._listed: list[dict[str, Any]] = []
        self._owed = False
        self.answered()

    def plan(self, listed: list[dict[str, Any]]) -> None:
        """Begin with these files; another attempt at the same ones is the same copy."""
        if listed != self._listed:
            self.number, self.furthest, self._listed = self.number + 1, 0, listed
        self.total = 2 * sum(file["bytes"] for files in listed for file in files.values())
        self.done = 0

    def moved(self, size: int) -> None:
        """Count bytes that were written or read back."""
        self.done += size
        self.furthest = max(self.furthest, min(self.done, self.total))
        self.answered()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Slow storage owes answers while the block runs; between two attempts it owes none."""
        self.answered()
        self._owed = True
        try:
            yield
        finally:
            self._owed = False

    def answered(self) -> None:
        """Slow storage has given a sign of life."""
        # Not time.time(): a clock that is set meanwhile would look like silence.
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds for which it has owed an answer, or a part of one."""
        return time.monotonic() - self._heard if self._owed else 0.0

    def share(self) -> float:
        """Of all bytes to be moved, 0 to 1."""
        return self.done / self.total if self.total else 0.0


class CopyBar:
    """The bar that is drawn while the end of a run waits for the copy, once there is one."""

    def __init__(self) -> None:
        self._number, self._drawn = -1, contextlib.ExitStack()

    def __enter__(self) -> CopyBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.close()

    def draw(self, transfer: TransferProgress) -> None:
        """Show how far it is; a new copy gets a new bar."""
        # Such a copy is over before one could read a bar.
        if transfer.total < MIB:
            return
        if transfer.number != self._number:
            self._drawn.close()
            self._bar = Bar(transfer.total // MIB, "Copying to run_dir", unit="MiB")
            self._drawn.enter_context(self._bar)
            self._number = transfer.number
        self._bar.advance(max(0, min(transfer.furthest // MIB, self._bar.total) - self._bar.done))

    def finish(self, transfer: TransferProgress) -> None:
        """Show where it ended, if it was shown at all."""
        if self._number >= 0:
            self.draw(transfer)
