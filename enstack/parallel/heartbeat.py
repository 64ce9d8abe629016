"""Whether every process of a group still answers: beats on a shared store, once a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Beat", "Heartbeat"]

INTERVAL = 1.0  # seconds between beats
SILENCE = 30.0  # seconds without a beat, or behind all others, after which a process is lost
SLOWER = 10  # times as long as this process an act may take another one
LOOK = 4.0  # seconds in which a living process beats even on a machine that is busy


@dataclass(frozen=True)
class Beat:
    """What a process tells of itself: a number that rises, the acts it has begun, its wishes.

    stop: whether it was asked to stop. fault: why it can't go on, or nothing.
    """

    number: int = 0
    acts: int = 0
    stop: bool = False
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.acts} {int(self.stop)} {self.fault}"

    @classmethod
    def parse(cls, text: str) -> Beat:
        """What `str` made."""
        number, acts, stop, fault = text.split(" ", 3)
        return cls(int(number), int(acts), stop == "1", fault)


@dataclass
class _Seen:
    """The last beat of another process, when it was new, and since when it lags behind."""

    beat: Beat
    at: float
    behind_since: float


class Heartbeat:
    """Beats while a run lasts, and watches: the first process all others, they the first.

    store: torch's, for this alone. names: of the processes, by rank. trouble: in a sentence, that a
    process is lost; None while all answer.
    """

    def __init__(
        self, store: Any, rank: int, names: list[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._rank, self.names, self._clock = store, rank, names, clock
        self._number = self._acts = 0
        self._began_act = self._last_act_took = 0.0
        self._stop, self._fault = False, ""
        self.trouble: str | None = None
        # Called in the thread that beats, when another process wants a stop.
        self.on_stop: Callable[[], None] = lambda: None
        self._looked_at = clock()
        watched = [0] if rank else range(1, len(names))
        now = clock()
        self._seen = {other: _Seen(Beat(), now, now) for other in watched}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat and to watch."""
        self._thread.start()

    def end(self) -> None:
        """Beat no more; what is missed from now on is nobody's loss."""
        self._ended.set()
        # A thread that returns from torch when Python has ended would abort the process; one that
        # a store keeps for ever does not return.
        if self._thread.is_alive():
            self._thread.join(LOOK)

    def count(self) -> None:
        """Note that this process begins an act of all."""
        now = self._clock()
        self._last_act_took, self._began_act = now - self._began_act, now
        self._acts += 1

    def ask_for_stop(self) -> None:
        """Let the first process know that this one was asked to stop."""
        self._stop = True

    def tell_fault(self, fault: str) -> None:
        """Let the others know at once why this process can't go on."""
        self._fault = " ".join(fault.split())
        with contextlib.suppress(RuntimeError):  # the store may be gone with its process
            self._beat()

    def check(self) -> str | None:
        """The trouble, if there is any: that of a store which keeps the thread waiting, too."""
        silent = self._thread.is_alive() and self._clock() - self._looked_at > SILENCE
        if silent and self.trouble is None:
            self.trouble = self._lost([0], f"has not answered for {SILENCE:.0f} s")
        return self.trouble

    def who_is_gone(self) -> str:
        """Which of the watched processes beats no more, in a sentence; takes some seconds."""
        self._ended.wait(LOOK)
        if self.trouble is None:
            # Its last beat may have been read after it had ended.
            long_ago = self._clock() - LOOK / 2
            gone = [other for other, seen in self._seen.items() if seen.at < long_ago]
            self.trouble = self._lost(gone, "has ended")
        return self.trouble

    def look(self) -> None:
        """Beat once, and see how the others are."""
        self._beat()
        for other, seen in self._seen.items():
            self._look_at(other, seen)
        self._looked_at = self._clock()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL) and self.trouble is None:
            try:
                self.look()
            except RuntimeError:  # the store has ended, or does not answer
                if not self._ended.is_set():
                    self.trouble = self._lost([0], "has ended")

    def _beat(self) -> None:
        self._number += 1
        beat = Beat(self._number, self._acts, self._stop, self._fault)
        self._store.set(str(self._rank), str(beat))

    def _look_at(self, other: int, seen: _Seen) -> None:
        now = self._clock()
        beat = Beat.parse(self._store.get(str(other)).decode())
        if beat.stop and not seen.beat.stop:
            self.on_stop()
        if beat.number != seen.beat.number:
            seen.at = now
        # The first has work that it does alone; all others wait for it, however long.
        if self._rank or beat.acts >= self._acts or beat.acts != seen.beat.acts:
            seen.behind_since = now
        seen.beat = beat
        if beat.fault:
            self.trouble = f"{self._who([other])} can't go on: {beat.fault}. {KEPT}"
        elif now - seen.at > SILENCE:
            self.trouble = self._lost([other], f"has not answered for {SILENCE:.0f} s")
        elif now - seen.behind_since > max(SILENCE, SLOWER * self._last_act_took):
            self.trouble = self._lost([other], f"hangs: all others have waited {SILENCE:.0f} s")

    def _lost(self, others: list[int], how: str) -> str:
        return f"All processes of a run must answer; {self._who(others)} {how}. {KEPT}"

    def _who(self, others: list[int]) -> str:
        named = ", ".join(f"process {other} ({self.names[other]})" for other in others)
        return named or "another process"


KEPT = (
    "What was saved before is kept: run the same again, on any number of processes, to go on from "
    "the last checkpoint."
)
