"""Ctrl-C and SIGTERM as a wish that is granted at the next batch boundary."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

NOTE = "\n🛑 Stopping at the next batch boundary, then saving; once more stops without a save.\n"


class StopRequest:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self._asked = False

    @property
    def requested(self) -> bool:
        """Whether to stop at the next batch boundary."""
        return self._asked

    def ask(self) -> None:
        """Ask for a stop at the next batch boundary."""
        self._asked = True


class StopAfter(StopRequest):
    """A stop that comes by itself, when it has been looked for so many times."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def requested(self) -> bool:
        """Whether it is time; every look counts."""
        self.looks -= 1
        return self.looks < 0


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM while the block runs; a second one stops at once, unsaved."""
    stop = StopRequest()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.ask()
        # A print could tear the one that was interrupted; a failed note must not stop the stop.
        with contextlib.suppress(OSError):
            os.write(2, NOTE.encode())

    # Python delivers signals to the main thread only; elsewhere there is nothing to catch.
    in_main_thread = threading.current_thread() is threading.main_thread()
    caught = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
    before: dict[int, Any] = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_the_parent(_worker: int) -> None:
    """Let a DataLoader worker live through Ctrl-C, so that the batch in work can be finished."""
    # A terminal sends Ctrl-C to every process of the group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # torch ends a worker that hangs by SIGTERM; the handler that a fork inherits only notes it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
