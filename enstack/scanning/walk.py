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

__all__ = ["STDIN", "SUFFIXES", "SkippedFile", "SourceFile", "source_files"]

SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp")
STDIN = "-"
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
    named = [path if str(path) == STDIN else _existing(Path(path)) for path in paths]
    seen: set[str] = set()
    for path in map(Path, named):
        for found in _below(path) if path.is_dir() else [path]:
            # Not resolved: that would follow links.
            place = os.path.abspath(path if isinstance(found, SkippedFile) else found)  # noqa: PTH100
            if isinstance(found, SkippedFile):
                yield found
            elif place not in seen:
                seen.add(place)
                yield _read(found, named=found is path)


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise DataError(
            f"A path to scan must be a file or folder, {str(path)!r} can't be read: "
            f"{reason_of(error)}. Name one that is there, or - for standard input."
        ) from None
    return path


def _below(folder: Path) -> Iterator[Path | SkippedFile]:
    """What lies below a folder, names in order; a list of folders to come, so that none nests."""
    ignored = Ignored(folder.resolve())
    coming = [folder]
    while coming:
        place = coming.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            yield SkippedFile(place, reason_of(error))
            continue
        folders = []
        for entry in entries:
            found = _looked_at(place / entry.name, entry, folder, ignored)
            folders += [found] if isinstance(found, Path) and entry.is_dir() else []
            if found is not None and not (isinstance(found, Path) and entry.is_dir()):
                yield found
        coming += reversed(folders)


def _looked_at(
    path: Path, entry: os.DirEntry[str], folder: Path, ignored: Ignored
) -> Path | SkippedFile | None:
    """The path where it is a folder or source file; None where it is neither."""
    is_folder = entry.is_dir(follow_symlinks=False)
    if entry.name == ".git" or not (
        is_folder or path.suffix.lower() in SUFFIXES or entry.is_symlink()
    ):
        return None
    if entry.is_symlink():
        is_source = entry.is_dir() or path.suffix.lower() in SUFFIXES
        return SkippedFile(path, "a link") if is_source else None
    inside = folder.resolve() / path.relative_to(folder)
    if ignored(inside, is_folder=is_folder):
        return SkippedFile(path, "in .gitignore")
    return path


def _read(path: Path, *, named: bool) -> SourceFile | SkippedFile:
    if str(path) == STDIN:
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
