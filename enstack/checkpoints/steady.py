"""A folder that a run at work may be changing: looked at again where it has changed meanwhile."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from enstack.checkpoints.inspection_text import Verdict
from enstack.storage.links import below

LOOKS = 3  # a run that saves every second shall not keep anybody looking


def looked_at_again(look: Callable[[Path], Verdict]) -> Callable[[Path], Verdict]:
    """Ask for a verdict again where it is a bad one and the folder has changed meanwhile.

    A run at work moves and empties its older checkpoints: what is half gone then is no damage.
    """

    @functools.wraps(look)
    def steady(path: Path) -> Verdict:
        for _ in range(LOOKS - 1):
            before = _state(path)
            with contextlib.suppress(FileNotFoundError):
                verdict = look(path)
                if verdict.valid or _state(path) == before:
                    return verdict
        return look(path)

    return steady


def _state(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Which files and folders are there, each with what a change would change."""
    found = {}
    for path in below(folder):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            found[path] = status.st_ino, status.st_size, status.st_mtime_ns
    return found
