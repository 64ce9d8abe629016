"""What a model said of functions, by their text, in one file that is only ever added to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from enstack.storage.links import make_folder

__all__ = ["ScoreCache", "key_of"]

KEY_BYTES = 16


def key_of(text: str) -> bytes:
    """What a function's text is known by."""
    # surrogatepass: a file may hold half a character, which no encoding of text has.
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=KEY_BYTES).digest()


class ScoreCache:
    """Records by the keys of texts: those of a file, and those that are added.

    path: a file for each model; None keeps them in memory alone. kind: the record's fields, without
    its key and checksum. A record that is damaged, or was half written, counts as none. failure:
    why the disk did not take what was added; then it is kept in memory.
    """

    def __init__(self, path: Path | None, kind: np.dtype[np.void]) -> None:
        self.path, self.failure = path, None if path is None else ""
        self.kind = np.dtype([("key", f"V{KEY_BYTES}"), ("value", kind), ("check", "<u4")])
        self._records = {} if path is None else dict(_stored(path, self.kind))

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: bytes) -> np.void | None:
        """The record of a text, None where there is none."""
        return self._records.get(key)

    def add(self, keys: list[bytes], values: np.ndarray) -> None:
        """Keep the records (n,) of texts with these keys."""
        records = np.zeros(len(keys), dtype=self.kind)
        records["value"] = values
        for row, key in enumerate(keys):
            records["key"][row] = np.void(key)
            records["check"][row] = _check(records[row].tobytes())
            self._records[key] = records["value"][row].copy()
        if self.path is not None and not self.failure:
            try:
                _append(self.path, records.tobytes(), self.kind.itemsize)
            except OSError as error:
                self.failure = error.strerror or str(error)


def _check(record: bytes) -> int:
    """The checksum of a record, which ends in it."""
    return zlib.crc32(record[:-4])


def _stored(path: Path, kind: np.dtype[np.void]) -> Iterator[tuple[bytes, np.void]]:
    content = b""
    with contextlib.suppress(OSError):  # a cache that can't be read is none
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read()
    whole = len(content) // kind.itemsize * kind.itemsize
    records = np.frombuffer(content[:whole], dtype=kind)
    for place, record in enumerate(records):
        start = place * kind.itemsize
        if _check(content[start : start + kind.itemsize]) == int(record["check"]):
            yield record["key"].tobytes(), record["value"]


def _append(path: Path, content: bytes, size: int) -> None:
    """Add whole records; half a one, of a process that was killed, is cut off before."""
    make_folder(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o644)
    try:
        # Two scans at once add one after the other; a mount without locks has no second scan.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        there = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, there - there % size)
        with os.fdopen(descriptor, "ab", closefd=False) as file:
            file.write(content)
    finally:
        os.close(descriptor)
