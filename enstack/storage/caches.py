"""Caches on the scratch disk: verified, and held while they are used, so that none is cleaned away.

Several processes may want the same one at the same instant: each makes its own, and the first that
is whole is used by all.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enstack.storage.disks import is_same, lock
from enstack.storage.folders import folder_beside
from enstack.storage.manifest import is_current

_held: dict[Path, int] = {}  # by folder, the descriptor whose lock keeps it


def is_usable(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether a cache is whole and was made from exactly these inputs.

    It is read in full. One that is usable is held until the work around it ends
    (`holding_caches`), or else the process.
    """
    try:
        # Locked before it is judged: what is cleaned away meanwhile is not usable.
        descriptor = lock(folder, shared=True)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if descriptor is None:
        return False  # it is being cleaned away
    if is_same(folder, descriptor) and is_current(folder, made_from):
        _release(folder)
        _held[folder] = descriptor
        return True
    os.close(descriptor)
    return False


@contextlib.contextmanager
def making_cache(folder: Path, made_from: dict[str, Any]) -> Iterator[Path]:
    """Make an empty folder to fill in the block, its manifest included, and hold what is in place.

    Another's, made meanwhile, may be in place. Raises OSError where the disk does not give back
    what was written.
    """
    with folder_beside(folder, made_from) as beside:
        yield beside
    if not is_usable(folder, made_from):
        raise OSError(errno.EIO, "it was not read back as written", str(folder))


@contextlib.contextmanager
def holding_caches() -> Iterator[None]:
    """Hold what the block uses until it ends, and no longer."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in set(_held) - before:
            _release(folder)


def held_caches() -> list[Path]:
    """The caches that the work so far has used."""
    return sorted(_held)


def _release(folder: Path) -> None:
    descriptor = _held.pop(folder, None)
    if descriptor is not None:
        os.close(descriptor)
