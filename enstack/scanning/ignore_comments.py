"""Comments by which code says that a finding is known: `// enstack: ignore[CWE-120] reason`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from enstack.scanning.masking import comments_in
from enstack.scanning.source_text import SourceText

__all__ = ["IgnoreComment", "ignore_comments", "without_ignore_comments"]

MARK = "enstack:"
COMMENT = re.compile(rf"{MARK}[ \t]*ignore\b[ \t]*(?:\[([^\]\n]*)\])?[ \t]*([^\n]*)", re.IGNORECASE)
# Of a function's name its comment may stand: return type and attributes lie between.
LINES_AHEAD = 3


@dataclass(frozen=True)
class IgnoreComment:
    """A comment that ignores findings; classes: that it names, in upper case, empty for all.

    line, end_line: of the comment, counted from 1.
    """

    line: int
    end_line: int
    classes: frozenset[str]
    reason: str

    def names(self, class_name: str) -> bool:
        """Whether it is about findings of a class."""
        return not self.classes or class_name.upper() in self.classes

    def is_of(self, start_line: int, end_line: int) -> bool:
        """Whether it stands in a function with these lines, or shortly ahead of it."""
        return start_line - LINES_AHEAD <= self.end_line and self.line <= end_line


def ignore_comments(source: SourceText) -> list[IgnoreComment]:
    """The comments of a file that ignore findings, in order."""
    return [
        IgnoreComment(
            source.place(start).line,
            source.place(end - 1).line,
            frozenset(name.strip().upper() for name in (found[1] or "").split(",") if name.strip()),
            found[2].removesuffix("*/").strip(),
        )
        for start, end, found in _found_in(source.text)
    ]


def without_ignore_comments(text: str) -> str:
    """A function's text without them, on the same lines: no training function has such a comment.

    Judged with it, what is ignored might be a finding no more, or another one.
    """
    pieces, done = [], 0
    for start, end, _ in _found_in(text):
        pieces += [text[done:start].rstrip(" \t"), "\n" * text.count("\n", start, end)]
        done = end
    return "".join([*pieces, text[done:]])


def _found_in(text: str) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Where each begins and ends, and what it says."""
    if MARK not in text.lower():
        return
    for start, end in comments_in(text):
        if found := COMMENT.search(text, start, end):
            yield start, end, found
