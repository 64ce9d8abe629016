"""Signals as they were, whatever a test or a library has done with them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_as_they_were() -> Iterator[None]:
    """Put handlers back, and take away the descriptor that signals wake a loop by.

    Those that whoever started the suite ignores (`nohup`, a job in the background) come through
    within, here and in programs that tests start: an ignored one stays ignored in both.

    A client that fails while its kernel starts leaves both: a dozen tests after it would fail, for
    nobody reads that descriptor any more.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in (number for number, handler in before.items() if handler is signal.SIG_IGN):
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
