"""When a session must end: training stops itself while there is time for its last save."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from enstack.errors import Interrupted

__all__ = [
    "SessionEnd",
    "is_ending",
    "keep_for_saves",
    "require_time",
    "seconds_left",
    "session_of",
]

# Kept for the last save and its copy to run_dir, until copies have shown how long they take.
SHARE, MOST = 0.1, 300.0  # of the session; seconds
# A copy may be slower than those before it, and a batch or a validation is finished first.
MARGIN = 2.0


class SessionEnd:
    """The moment at which a session ends, and the time before it that the last save needs."""

    def __init__(self, hours: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun, self.hours = clock, clock(), hours
        self.has_work = False
        self._at = self._begun + 3600 * hours
        self._kept = min(MOST, SHARE * 3600 * hours)

    def keep_for_saves(self, seconds: float) -> None:
        """Keep time for a save that takes so many seconds to arrive, at least."""
        self._kept = max(self._kept, MARGIN * seconds)

    def seconds_gone(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    def seconds_left(self) -> float:
        """Seconds until it is time to stop."""
        return self._at - self._kept - self._clock()

    def is_near(self) -> bool:
        """Whether it is time to stop."""
        return self.seconds_left() <= 0


_end: SessionEnd | None = None


@contextlib.contextmanager
def session_of(hours: float | None) -> Iterator[None]:
    """A session of so many hours from now on, the outermost counts; None: it has no end."""
    global _end
    before = _end
    if _end is None and hours is not None:
        _end = SessionEnd(hours)
    try:
        yield
    finally:
        _end = before


def is_ending() -> bool:
    """Whether the session must be ended now, saved and copied."""
    return _end is not None and _end.is_near()


def seconds_left() -> float | None:
    """Seconds that this session has for work from now on; None where it has no end."""
    return None if _end is None else max(0.0, _end.seconds_left())


def keep_for_saves(seconds: float) -> None:
    """Tell how long a save took to arrive in run_dir."""
    if _end is not None:
        _end.keep_for_saves(seconds)


def require_time(what: str) -> None:
    """Raise Interrupted where nothing should be begun any more."""
    if _end is None:
        return
    if not _end.is_near():
        _end.has_work = True
        return
    told = f"session_hours are nearly over: {what} is not begun. What is done is saved. "
    if _end.has_work:
        raise Interrupted(f"{told}Run the same again to go on.")
    # Reading data and counting tokens may have been for this once, and may not.
    raise Interrupted(
        f"{told}The start alone took {_end.seconds_gone():.0f} s. Run the same again to go on; "
        f"where that ends here again, with more session_hours than {_end.hours:g}."
    )
