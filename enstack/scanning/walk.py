"""The source files that paths name or hold, and every one that is passed over, with the reason."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enstack.errors import DataError, reason_of
from enstack.scanning.ignored import Ignored
from enstack.scanning.source_text import STDIN

__all__ = ["SUFFIXES", "SkippedFile", "SourceFile", "count_files", "source_files"]

SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp")
MOST_BYTES = 64 << 20
NOT_TEXT = 0.1  # of a file's bytes: from this share of NUL on it is no text


@dataclass(frozen=True)
class SourceFile:
    """A file and its bytes; path: below what was named, or `-` for standard input."""

    path: Path
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that could be source code and is not read."""

    path: Path
    reason: str


def source_files(paths: Sequence[str | Path]) -> Iterator[SourceFile | SkippedFile]:
    """The files that are named, and below folders those that end as C and C++ do, in order.

    A file that is named is read whatever its name is. Below a folder what .gitignore leaves out is
    passed over, and no link is followed. Each file comes once. Raises DataError for a path that is
    not there, before any file is read.
    """
    named = [_existing(Path(path)) for path in paths]
    seen: set[str] = set()
    for path in named:
        is_folder = path != STDIN and path.is_dir()
        for found in _below(path) if is_folder else [path]:
            if isinstance(found, SkippedFile):
                yield found
            # Not resolved: that would follow links.
            elif (place := os.path.abspath(found)) not in seen:  # noqa: PTH100
                seen.add(place)
                yield _read(found, named=not is_folder)


def count_files(paths: Sequence[str | Path]) -> int:
    """How many files and folders source_files will give of these paths; it reads none of them."""
    named = [_existing(Path(path)) for path in paths]
    folders = [path for path in named if path != STDIN and path.is_dir()]
    return len(named) - len(folders) + sum(1 for folder in folders for _ in _below(folder))


def _existing(path: Path) -> Path:
    try:
        if path != STDIN:
            path.stat()
    except (OSError, ValueError) as error:
        raise DataError(
            f"A path to scan must be a file or folder, {str(path)!r} can't be read: "
            f"{reason_of(error)}. Name one that is there, or - for standard input."
        ) from None
    return path


def _below(folder: Path) -> Iterator[Path | SkippedFile]:
    """What lies below a folder, names in order; a list of folders to come, so that none nests."""
    whole, coming = folder.resolve(), [folder]
    ignored = Ignored(whole)
    while coming:
        place = coming.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            yield SkippedFile(place, reason_of(error))
            continue
        folders = []
        for entry in filter(_may_be_source, entries):
            path, is_folder = place / entry.name, entry.is_dir(follow_symlinks=False)
            if entry.is_symlink():
                yield SkippedFile(path, "a link")
            elif ignored(whole / path.relative_to(folder), is_folder=is_folder):
                yield SkippedFile(path, "in .gitignore")
            elif is_folder:
                folders.append(path)
            else:
                yield path
        coming += reversed(folders)


def _may_be_source(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one, or has the name of a source file."""
    if entry.name.lower().endswith(SUFFIXES):
        return True
    try:
        return entry.name != ".git" and entry.is_dir()
    except OSError:  # a link in a ring, or into what nobody may look at
        return True


def _read(path: Path, *, named: bool) -> SourceFile | SkippedFile:
    if path == STDIN:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        try:
            content = _content(path, follow=named)
        except OSError as error:
            return SkippedFile(path, reason_of(error))
    if len(content) > MOST_BYTES:
        return SkippedFile(path, f"over {MOST_BYTES >> 20} MiB")
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))
    if not is_wide and content.count(0) > NOT_TEXT * len(content):
        return SkippedFile(path, "no text")
    return SourceFile(path, content)


def _content(path: Path, *, follow: bool) -> bytes:
    """The bytes of a file, at most one more than are read; OSError for what is none."""
    # Between the listing and now a link may have taken its place; a pipe must not be waited for.
    flags = os.O_RDONLY if follow else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123
        if not follow and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "no file")
        return file.read(MOST_BYTES + 1)
