"""A source file's text, whatever its encoding, and the line and column of each character."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

__all__ = ["STDIN", "Place", "SourceText", "decoded", "lines_of"]

STDIN = Path("-")  # standard input, as paths name it
# The longer mark first: UTF-32's begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LINE_END = re.compile(r"\r\n|\n")


@dataclass(frozen=True, order=True)
class Place:
    """A character's line and column, counted from 1, and its offset in characters, from 0."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True, eq=False)
class SourceText:
    """The text of a file without its byte order mark; encoding: how its bytes were read."""

    text: str = field(repr=False)
    encoding: str = "utf-8"

    @cached_property
    def line_ends(self) -> re.Pattern[str]:
        """What ends a line: a lone CR does so where the whole file has no LF."""
        return LINE_END if "\n" in self.text else re.compile("\r")

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset of each line's first character."""
        return [0, *(match.end() for match in self.line_ends.finditer(self.text))]

    def place(self, offset: int) -> Place:
        """Where the character at an offset stands."""
        line = bisect_right(self.line_starts, offset)
        return Place(line, offset - self.line_starts[line - 1] + 1, offset)


def lines_of(text: str) -> list[str]:
    """The lines of a part of a file, as places in the file count them."""
    # Not splitlines, for which form feeds and Unicode's separators end lines too.
    return SourceText(text).line_ends.split(text)


def decoded(content: bytes) -> SourceText:
    """Bytes as text: by their byte order mark, as UTF-8, else as latin-1, which takes any byte."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return SourceText(content[len(mark) :].decode(encoding, "replace"), encoding)
    try:
        return SourceText(content.decode("utf-8"))
    except UnicodeDecodeError:
        # As training reads its data, so that a model sees what it has learned from.
        return SourceText(content.decode("latin-1"), "latin-1")
