"""The functions of files and folders, file by file, or all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enstack.scanning.functions import Function, cut
from enstack.scanning.ignore_comments import IgnoreComment, ignore_comments
from enstack.scanning.leftovers import Leftover
from enstack.scanning.source_text import decoded
from enstack.scanning.walk import SkippedFile, source_files

__all__ = ["Found", "ScannedFile", "functions_of", "scanned_files"]


@dataclass(frozen=True)
class ScannedFile:
    """A file that was read: its functions, what else its braces hold, and its encoding.

    n_lines: of the file. ignored: the comments that ignore findings.
    """

    path: Path
    functions: list[Function] = field(repr=False)
    leftovers: list[Leftover] = field(repr=False)
    encoding: str = "utf-8"
    n_lines: int = 0
    ignored: list[IgnoreComment] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Found:
    """What paths hold: the files that were read, and those that were not, with the reason."""

    files: list[ScannedFile]
    skipped: list[SkippedFile]

    @property
    def functions(self) -> list[Function]:
        """Every function, file by file."""
        return [function for file in self.files for function in file.functions]

    @property
    def leftovers(self) -> list[Leftover]:
        """Every brace block that became no function, file by file."""
        return [leftover for file in self.files for leftover in file.leftovers]


def functions_of(paths: str | Path | Sequence[str | Path]) -> Found:
    """The functions of C and C++ files, of what lies below folders, or of standard input (`-`).

    Raises DataError for a path that is not there.
    """
    files, skipped = [], []
    for found in scanned_files(paths):
        if isinstance(found, ScannedFile):
            files.append(found)
        else:
            skipped.append(found)
    return Found(files, skipped)


def scanned_files(
    paths: str | Path | Sequence[str | Path],
) -> Iterator[ScannedFile | SkippedFile]:
    """The same one file after the other, so that memory holds one."""
    for found in source_files([paths] if isinstance(paths, str | Path) else list(paths)):
        if isinstance(found, SkippedFile):
            yield found
            continue
        source = decoded(found.content)
        n_lines = source.place(len(source.text) - 1).line if source.text else 0
        ignored = ignore_comments(source)
        yield ScannedFile(found.path, *cut(source, found.path), source.encoding, n_lines, ignored)
