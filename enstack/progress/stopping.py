"""Ctrl-C, SIGTERM and SIGHUP: in training a wish that is granted at the next batch boundary."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any

from enstack.console import put_sentences
from enstack.errors import Interrupted

NOTE = "\n🛑 Stopping at the next batch boundary, then saving; Ctrl-C now stops without a save.\n"
# Ctrl-C; what ends a service or a batch job; what a closed terminal or a dropped connection sends.
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OnSignal = Callable[[int, FrameType | None], None]


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
    """Take signals for a wish while the block runs; a Ctrl-C after one stops at once, unsaved."""
    stop = StopRequest()

    def on_signal(number: int, frame: FrameType | None) -> None:
        # A person has had enough. Machines send the others in twos: a closing terminal, SIGHUP and
        # SIGHUP; service managers, SIGTERM and SIGHUP; timeout(1), SIGTERM and SIGTERM.
        if stop.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not stop.requested:
            stop.ask()
            _note(NOTE)

    with _caught(on_signal, STOPPING_SIGNALS):
        yield stop


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, where nothing else was made of them."""
    came = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal came
        # The second of two must not break off what the first has begun.
        if not came:
            came = True
            raise KeyboardInterrupt

    # A script's own way with them stands, and so does that of a block around this one.
    asked = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    with _caught(on_signal, asked):
        yield


@contextlib.contextmanager
def _caught(on_signal: OnSignal, numbers: Sequence[int]) -> Iterator[None]:
    """Catch signals while the block runs, but for those that whoever started us has ignored."""
    # Python delivers signals to the main thread only; elsewhere there is nothing to catch.
    in_main_thread = threading.current_thread() is threading.main_thread()
    # None: set by foreign code in C, which alone could put it back.
    left_alone = (signal.SIG_IGN, None)
    caught = [n for n in numbers if in_main_thread and signal.getsignal(n) not in left_alone]
    before: dict[int, Any] = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(text: str) -> None:
    """Write to standard error from within a signal: a print could tear the one it interrupted."""
    # Where it was closed when we were started, the number may stand for any file opened since.
    if sys.__stderr__ is not None:
        # The terminal may be gone: a failed note must not stop the stop.
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.__stderr__.fileno(), text.encode(sys.__stderr__.encoding, "replace"))


class _EndOfScript:
    """What Python calls when nobody has caught an error: a stop that was asked for is none."""

    def __init__(self, otherwise: Callable[..., Any]) -> None:
        self.otherwise = otherwise

    def __call__(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Interrupted):
            self.otherwise(kind, error, trace)
            return
        put_sentences(str(error), sys.stderr)
        # Raised here, it is what the process ends with; any other way the status would be 1.
        raise SystemExit(error.exit_status)


def end_scripts_when_interrupted() -> None:
    """Let an Interrupted that a script does not catch end it with a line and that exit status."""
    if not isinstance(sys.excepthook, _EndOfScript):
        sys.excepthook = _EndOfScript(sys.excepthook)


def leave_signals_to_the_parent(_worker: int) -> None:
    """Let a DataLoader worker live through Ctrl-C, so that the batch in work can be finished."""
    # A terminal, timeout(1) and others send them to every process of the group: a worker that died
    # of SIGTERM would end the training with it, unsaved.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # torch ends a worker that hangs by SIGTERM; the handler that a fork inherits only notes it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
