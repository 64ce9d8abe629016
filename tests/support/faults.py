"""A file layer that fails, for one folder and all below it."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("mkdir", "rename", "replace", "unlink", "rmdir", "open", "stat", "scandir", "listdir")


class FaultyDisk:
    """Fails `times` operations from the `first` one on (from 1), with an errno, below a folder.

    Opening, reading, writing, closing, renaming, making, listing, looking at and removing each
    count as an operation. `blocked` makes them wait until it is set.
    """

    def __init__(self, folder: Path, first: int, times: int, errno: int) -> None:
        self.folder, self.first, self.times, self.errno = str(folder), first, times, errno
        self.count = self.failed = 0
        self.answers = threading.Event()
        self.answers.set()
        self.after_fault: Callable[[], None] = lambda: None

    def meets(self, path: Any) -> bool:
        """Whether an operation on a path is one on this disk."""
        named = isinstance(path, str | os.PathLike)
        return named and f"{path}/".startswith(f"{self.folder}/")

    def operate(self, path: Any) -> None:
        """Count an operation; fail or wait where that is due."""
        self.answers.wait()
        self.count += 1
        if self.first <= self.count < self.first + self.times:
            self.failed += 1
            raise OSError(self.errno, os.strerror(self.errno), str(path))


class HangingDisk(FaultyDisk):
    """Never answers once it hangs: each operation waits in the system, for a pipe without reader.

    pipe: the path of one, made by os.mkfifo, outside of the folder.
    """

    def __init__(self, folder: Path, pipe: Path) -> None:
        super().__init__(folder, 0, 0, 0)
        self.pipe, self.hangs = pipe, False

    def operate(self, path: Any) -> None:
        if self.hangs:
            os.open(self.pipe, os.O_WRONLY)


class FaultyFile:
    """An open file on a faulty disk."""

    def __init__(self, file: Any, disk: FaultyDisk, path: Any) -> None:
        self._file, self._disk, self._path = file, disk, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> FaultyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, *args: int) -> Any:
        self._disk.operate(self._path)
        return self._file.read(*args)

    def write(self, data: Any) -> Any:
        self._disk.operate(self._path)
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        self._disk.operate(self._path)


@contextmanager
def faulty(disk: FaultyDisk) -> Iterator[FaultyDisk]:
    """Put the layer between the program and the system while the block runs."""

    def wrap(original: Any) -> Any:
        def operation(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if disk.meets(path):
                disk.operate(path)
            return original(path, *args, **kwargs)

        return operation

    def opened(path: Any, *args: Any, **kwargs: Any) -> Any:
        if not disk.meets(path):
            return io_open(path, *args, **kwargs)
        disk.operate(path)
        return FaultyFile(io_open(path, *args, **kwargs), disk, path)

    io_open = io.open
    with pytest.MonkeyPatch.context() as patched:
        for name in NAMES:
            patched.setattr(os, name, wrap(getattr(os, name)))
        patched.setattr(io, "open", opened)
        patched.setattr(shutil, "rmtree", wrap(shutil.rmtree))
        yield disk
