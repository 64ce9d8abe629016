"""Ctrl-C, SIGTERM and SIGHUP: in training a wish that is granted at the next batch boundary."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from enstack.console import put_sentences
from enstack.errors import Interrupted
from enstack.progress.session_end import is_ending

STOPPING = "\n🛑 Stopping at the next batch boundary, then saving.\n"
AGAIN = "\n🛑 Already stopping; what is done is being saved. A third Ctrl-C ends at once.\n"
AT_ONCE = "\n🛑 Ended at once; what was saved before is kept.\n"
UNHEARD = "\n🛑 {path} gives no answer, and is waited for no longer.\nenstack: {kept}\n"
KEPT = "Interrupted; what was finished or saved before is kept. Run the same again to go on."
# Ctrl-C; what ends a service or a batch job; what a closed terminal or a dropped connection sends.
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # 128 and SIGINT's number, as shells have it
ENOUGH = 3  # Ctrl-Cs
LOOK, PATIENCE = 0.5, 5.0  # seconds: between looks for an unheard signal, and until it is enough


class StopRequest:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self._asked = False

    @property
    def requested(self) -> bool:
        """Whether to stop at the next batch boundary, as also the end of a session wants it."""
        return self._asked or is_ending()

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


class _Signals:
    """The one handler of signals, for all blocks: what came since the outermost one began."""

    def __init__(self) -> None:
        self.stops: list[StopRequest] = []  # of the blocks that take a signal for a wish
        self.came = self.presses = 0
        self.end_process = False  # whether the process is ours to end

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Heed the first; no later one breaks off what that has begun, but for a third Ctrl-C."""
        first = not self.came
        self.came += 1
        # Machines send the others in twos: a closing terminal, SIGHUP and SIGHUP; service managers,
        # SIGTERM and SIGHUP; timeout(1), SIGTERM and SIGTERM. Only a person can have had enough.
        self.presses += number == signal.SIGINT
        if self.presses >= ENOUGH:
            _end_at_once()
        elif not first:
            if self.came == 2 or number == signal.SIGINT:
                _note(AGAIN)
        elif self.stops:
            self.stops[-1].ask()
            _note(STOPPING)
        else:
            # Libraries swallow what is raised while they load; and nothing is at work then.
            if self.end_process and _is_importing(frame):
                _note(f"\nenstack: {KEPT}\n")
                os._exit(INTERRUPTED)
            raise KeyboardInterrupt

    def take(self, numbers: Iterable[int]) -> dict[int, Any]:
        """Hear these, unless whoever started us has ignored them; who heard them before, by number.

        What came is forgotten where this is the outermost block.
        """
        before = {number: signal.getsignal(number) for number in numbers}
        if self not in map(signal.getsignal, STOPPING_SIGNALS):
            self.came = self.presses = 0
        # None: set by foreign code in C, which alone could put it back.
        left_alone = (signal.SIG_IGN, None, self)
        taken = {number: handler for number, handler in before.items() if handler not in left_alone}
        for number in taken:
            signal.signal(number, self)
        return taken


_signals = _Signals()


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take the first signal for a wish while the block runs.

    Raises Interrupted where the block has ended without an error, and has not granted it.
    """
    stop = StopRequest()
    with _heard(STOPPING_SIGNALS):
        # Python delivers signals to the main thread only.
        stops = _signals.stops if _in_main_thread() else []
        stops.append(stop)
        try:
            yield stop
        finally:
            stops.remove(stop)
        if stop.requested:
            raise Interrupted(KEPT)


@contextlib.contextmanager
def passing_stops_on(ask: Callable[[], None]) -> Iterator[None]:
    """Call `ask` for each signal while the block runs: another process decides what comes of it."""
    before: dict[int, Any] = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    for number in before:
        signal.signal(number, lambda _number, _frame: ask())
    # A wish that is passed on is no unheard one, however long torch keeps this thread.
    _signals.stops.append(passed := StopRequest())
    try:
        yield
    finally:
        _signals.stops.remove(passed)
        _give_back(before)


def stop_for_another() -> None:
    """Stop because another process of this run was asked to, unless a signal has come here too."""
    if not _signals.came:
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the first signal end the block as Ctrl-C does, where nothing else was made of it."""
    with _heard(_of_nobody()):
        yield


@contextlib.contextmanager
def process_ended_by_signals() -> Iterator[None]:
    """The same for all that a process has left to do: nothing breaks off its last steps.

    A signal that nothing else was made of is told in a line. One that the process can't hear, for
    it waits for storage that is gone, ends it too.
    """
    _signals.take(_of_nobody())
    _signals.end_process = True
    threading.Thread(target=_end_when_unheard, name="unheard-signals", daemon=True).start()
    try:
        try:
            yield
        finally:
            _signals.end_process = False
            _ignore_signals()
    except KeyboardInterrupt:
        _ignore_signals()
        _note(f"\nenstack: {KEPT}\n")
        raise SystemExit(INTERRUPTED) from None


def _of_nobody() -> list[int]:
    """A script's own way with a signal stands, where nothing is trained."""
    untouched = (signal.SIG_DFL, signal.default_int_handler)
    return [number for number in STOPPING_SIGNALS if signal.getsignal(number) in untouched]


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _heard(numbers: Iterable[int]) -> Iterator[None]:
    """Hear signals while the block runs; then whoever heard them before does so again."""
    before = _signals.take(numbers) if _in_main_thread() else {}
    try:
        yield
    finally:
        try:
            _give_back(before)
        # The first signal of all may come right here. No other one raises.
        except KeyboardInterrupt:
            _give_back(before)
            raise


def _give_back(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _ignore_signals() -> None:
    """Python's own end would put back the system's way with each of our handlers, but not this."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_at_once() -> None:
    """End the process, whatever it is at; where it is not ours, as in a notebook, the work."""
    if hasattr(sys, "ps1"):
        raise KeyboardInterrupt
    _note(AT_ONCE)
    # No waiting for a save, a copy or a thread: whatever was saved is whole, at any instant.
    os._exit(INTERRUPTED)


def _end_when_unheard() -> None:
    """End the process once a signal has waited for long for the main thread to take it.

    A system call on a mount that is gone is broken off by SIGKILL alone: until it returns, no
    handler runs. Whatever only computes takes a signal at once. In training, where little is read
    and much may be unsaved, nothing is ended.
    """
    # Blocked in this thread alone: the system tells of none that a thread would take itself.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    waited = 0.0
    while waited < PATIENCE:
        time.sleep(LOOK)
        unheard = not _signals.stops and signal.sigpending().intersection(STOPPING_SIGNALS)
        waited = waited + LOOK if unheard else 0.0
    _note(UNHEARD.format(path=_path_at_work() or "A file", kept=KEPT))
    os._exit(INTERRUPTED)


def _path_at_work() -> Path | None:
    """The path that the main thread is at work on: that of its innermost call which has one."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, Path):
                return value
        frame = frame.f_back
    return None


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


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
        _ignore_signals()
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
