"""Copies finished checkpoints from the scratch disk to slow storage, in a thread of its own.

This thread alone touches run_dir while a base model is trained, so that a Drive that hangs, fills
up or goes away neither stops the training nor slows it down.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enstack.checkpoints import slots
from enstack.checkpoints.copy_progress import MIB, CopyBar, TransferProgress
from enstack.checkpoints.slots import (
    BEST,
    HISTORY,
    LAST,
    OpenCheckpoint,
    first_problem,
    keep_aside,
)
from enstack.errors import CheckpointError, reason_of
from enstack.rounding import percent
from enstack.storage.links import detach, empty
from enstack.storage.manifest import HashedFolder, read_manifest

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two attempts, doubled from one to the next
LONGEST_WAIT_AT_THE_END = 5.0  # while somebody waits for the copy
QUIET = 15.0  # seconds without an answer that a user hears of
BAR_AFTER = 1.0  # seconds of waiting after which a bar is drawn
PATIENCE = 120.0  # seconds without progress after which the end of a run waits no longer

Errand = Callable[[], None]


class Closed(Exception):  # noqa: N818 - ends a copy in work, and is no error
    """The mirror is being closed."""


class Mirror:
    """Keeps run_dir's folder of a base model as new as the one on the scratch disk.

    scratch, folder: the base model's places. keep: checkpoints kept in run_dir. Whoever moves
    things on the scratch disk holds `moving` meanwhile. Methods may be called from any thread.
    """

    def __init__(self, scratch: Path, folder: Path, keep: int) -> None:
        self.scratch, self.folder, self.keep = scratch, folder, keep
        # A source is opened under it: between a rotation's renames a name may stand for nothing,
        # or for an older checkpoint.
        self.moving = threading.Lock()
        self._changed = threading.Condition()
        self._errands: deque[Errand] = deque()
        # Numbers of requests, not a flag: what is asked for during a copy is copied after it.
        self._wanted = self._done = 0
        self._closing = self._awaited = False
        # What run_dir is known to hold, by name: the files as their manifest lists them.
        self._copied: dict[str, dict[str, Any]] = {}
        self._history: bytes | None = None
        self._transfer = TransferProgress()
        self._error: Exception | None = None
        self._news: deque[str] = deque()  # threads add and take; a deque bears that without a lock
        self._told_of_silence = False
        self.longest = 0.0  # seconds that any copy took, from its first attempt to its arrival
        # A daemon: a Drive that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)

    def start(self) -> None:
        """Begin, with whatever the scratch disk holds that run_dir lacks."""
        self._thread.start()
        self.look()

    def look(self) -> None:
        """Say that there is something new on the scratch disk."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def later(self, errand: Errand) -> None:
        """Have something small written to run_dir, after what was asked for before."""
        self._errands.append(errand)
        self.look()

    def complete(self) -> bool:
        """Whether run_dir has all that was asked for."""
        return self._done == self._wanted

    def status(self) -> str:
        """How the copy stands, in a few words; nothing where all is done."""
        if self.complete():
            return ""
        silence = self._transfer.silence()
        # Before an earlier error: a hang is what it is waited for now.
        if silence > QUIET:
            return f"no answer for {silence:.0f}s"
        if self._error is not None:
            return f"retrying ({reason_of(self._error)})"
        # Less than a mebibyte is there before one could read it.
        if self._transfer.total <= MIB:
            return ""
        return percent(self._transfer.share(), 0).replace(" ", "")  # one word of the bar's

    def news(self) -> list[str]:
        """Lines that a user should read, each of them once."""
        silence = self._transfer.silence()
        if silence > QUIET and not (self._told_of_silence or self.complete()):
            self._told_of_silence = True
            self._news.append(
                f"⚠️  {self.folder} has not answered for {silence:.0f} s. {self._all_is_safe()}."
            )
        return [self._news.popleft() for _ in range(len(self._news))]

    def wait(self, meanwhile: Callable[[float], None] = lambda waited: None) -> bool:
        """Wait, with a bar, until run_dir has all; False where nothing moves for PATIENCE.

        meanwhile: called again and again, with the seconds waited.
        """
        with self._changed:
            self._awaited = True
            self._changed.notify_all()
        place, since = self._place(), time.monotonic()
        begun = since
        with CopyBar() as bar:
            while not self.complete() and self._thread.is_alive():
                with self._changed:
                    self._changed.wait_for(self.complete, timeout=0.1)
                waited = time.monotonic() - begun
                meanwhile(waited)
                if waited > BAR_AFTER:
                    bar.draw(self._transfer)
                if self._place() != place:
                    place, since = self._place(), time.monotonic()
                if time.monotonic() - since > PATIENCE:
                    break
            bar.finish(self._transfer)
        return self.complete()

    def _place(self) -> tuple[int, int, int]:
        """How far the copy has come: another value is progress."""
        return self._done, self._transfer.number, self._transfer.furthest

    def close(self) -> None:
        """Stop after the chunk in work; what is not copied is copied by the next run."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        # A thread that hangs in the system dies with the process.
        self._thread.join(timeout=1.0)

    def trouble(self) -> str:
        """Why the copy does not come on, where it does not."""
        silence = self._transfer.silence()
        if silence > QUIET and not self.complete():
            return f"no answer for {silence:.0f} s"
        return reason_of(self._error) if self._error is not None else ""

    def _all_is_safe(self) -> str:
        training = "" if self._awaited else "Training goes on. "
        return f"{training}What was saved is safe in {self.scratch}"

    def _work(self) -> None:
        wait = FIRST_WAIT
        since: float | None = None
        while (wanted := self._next()) is not None:
            since = time.monotonic() if since is None else since
            try:
                with self._transfer.at_work():
                    self._bring_all()
            except Closed:
                return
            except Exception as error:
                # Whatever it is, the thread must live on: it is told, shown, and tried again.
                self._failed(error)
                self._pause(wait)
                longest = LONGEST_WAIT_AT_THE_END if self._awaited else LONGEST_WAIT
                wait = min(2 * wait, longest)
            else:
                wait = FIRST_WAIT
                self.longest, since = max(self.longest, time.monotonic() - since), None
                self._succeeded(wanted)

    def _next(self) -> int | None:
        """Wait for work; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not self.complete())
            return None if self._closing else self._wanted

    def _pause(self, seconds: float) -> None:
        """Let some time pass; somebody who starts to wait for the copy ends it."""
        with self._changed:
            awaited = self._awaited
            self._changed.wait_for(lambda: self._closing or self._awaited != awaited, seconds)

    def _failed(self, error: Exception) -> None:
        if self._error is None:
            what = "can't be written now" if isinstance(error, OSError) else "lacks a good copy"
            self._news.append(
                f"⚠️  {self.folder} {what} ({reason_of(error)}). {self._all_is_safe()}, and the "
                "copy is tried again."
            )
        # A rotation may have been cut in two: what lies there is looked at anew.
        self._error, self._copied = error, {}

    def _succeeded(self, wanted: int) -> None:
        if self._error is not None or self._told_of_silence:
            self._news.append(f"✅ {self.folder} is written again: all is copied and verified.")
        with self._changed:
            self._error, self._told_of_silence = None, False
            self._done = wanted
            self._changed.notify_all()

    def _bring_all(self) -> None:
        if self._error is not None:
            # What failed after its manifest was written is whole: only its place is missing.
            slots.finish_interrupted_save(self.folder, self.keep, empty)
        damaged: list[CheckpointError] = []
        with self._opened(damaged) as sources:
            missing = {name: s for name, s in sources.items() if not self._has(name, s)}
            self._transfer.plan([source.listed for source in missing.values()])
            for name, source in missing.items():
                try:
                    self._bring(name, source)
                except CheckpointError as error:
                    damaged.append(error)
        self._bring_history()
        while self._errands:
            # Taken off the list only when done, so that one that fails is tried again.
            self._errands[0]()
            self._errands.popleft()
        if damaged:
            # Only now: one that can't be copied holds back nothing else.
            raise damaged[0]

    @contextlib.contextmanager
    def _opened(self, damaged: list[CheckpointError]) -> Iterator[dict[str, OpenCheckpoint]]:
        """What the scratch disk holds, kept open while it is copied; what can't be is named.

        The best model comes first: a checkpoint never speaks of a best epoch that is not there.
        """
        with contextlib.ExitStack() as opened:
            sources: dict[str, OpenCheckpoint] = {}
            with self.moving:
                for name in (BEST, LAST):
                    try:
                        if (self.scratch / name).is_dir():
                            source = OpenCheckpoint(self.scratch / name)
                            sources[name] = opened.enter_context(source)
                    except CheckpointError as error:
                        damaged.append(error)
            yield sources

    def _has(self, name: str, source: OpenCheckpoint) -> bool:
        """Whether run_dir holds this one, whole: it is read once, and then remembered."""
        if name in self._copied:
            return self._copied[name] == source.listed
        target = self.folder / name
        if (read_manifest(target) or {}).get("files") != source.listed:
            return False
        fault = first_problem(target, self._moved)
        if fault is not None:
            then = "it is copied anew from the scratch disk"
            self._news.append(keep_aside(target, fault, then))
            return False
        self._copied[name] = source.listed
        return True

    def _bring(self, name: str, source: OpenCheckpoint) -> None:
        def write_files(new: HashedFolder) -> None:
            source.copy(new, self._moved)

        slots.write(
            self.folder, name, write_files, remove=empty, moved=self._moved, **source.details
        )
        slots.install(self.folder, name, keep=self.keep, remove=empty)
        self._copied[name] = source.listed

    def _moved(self, size: int) -> None:
        if self._closing:
            raise Closed
        self._transfer.moved(size)

    def _bring_history(self) -> None:
        """Write the history in place: a part of one is made whole by the next copy."""
        path, target = self.scratch / HISTORY, self.folder / HISTORY
        history = path.read_bytes() if path.exists() else self._history
        if history != self._history and history is not None:
            detach(target)
            target.write_bytes(history)
            if target.read_bytes() != history:
                raise CheckpointError(f"{target} was not read back as written")
            self._history = history
