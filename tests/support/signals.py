"""Signals as they were, whatever a test or a library has done with them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_as_they_were() -> Iterator[None]:
    """Put handlers back, and take away the descriptor that signals wake a loop by.

    A client that fails while its kernel starts leaves both: a dozen tests after it would fail, for
    nobody reads that descriptor any more.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
