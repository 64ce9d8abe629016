"""Which brace closes which: by their order, and by indentation where that does not come out."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice

__all__ = ["Braces", "matched"]

BRACKET = re.compile(r"[{}()\[\]]")
OPENED_BY = {")": "(", "]": "[", "}": "{"}
SPACES = re.compile(" *")
LOOKED_AT = 200  # opened braces that one is looked for in by indentation: nesting may be endless


@dataclass
class Braces:
    """The closing brace of each opening one by offset, and what has no partner.

    alone: offsets of braces, parentheses and brackets without one.
    """

    closing: dict[int, int] = field(default_factory=dict)
    alone: set[int] = field(default_factory=set)


def matched(text: str) -> Braces:
    """Match the braces, parentheses and brackets of a text without comments and literals."""
    braces = _Matcher(text, None).run()
    if any(text[at] in "{}" for at in braces.alone):
        # One that is missing or too many would shift all that follow.
        return _Matcher(text, _Indents(text)).run()
    return braces


class _Matcher:
    """Goes through a text once, with what is open."""

    def __init__(self, text: str, indents: _Indents | None) -> None:
        self.text, self.indents = text, indents
        self.opened: list[int] = []  # of all kinds
        self.braces: list[int] = []  # of these the braces
        self.found = Braces()

    def run(self) -> Braces:
        for match in BRACKET.finditer(self.text):
            at, bracket = match.start(), match[0]
            if bracket == "}":
                self._close_brace(at)
            elif bracket in OPENED_BY:
                self._close(at, bracket)
            else:
                self.opened.append(at)
                if bracket == "{":
                    self.braces.append(at)
        self.found.alone.update(self.opened)
        return self.found

    def _close(self, at: int, bracket: str) -> None:
        if not self.opened or self.text[self.opened[-1]] != OPENED_BY[bracket]:
            self.found.alone.add(at)
            return
        opener = self.opened.pop()
        if self.indents is not None:
            self.indents.join(opener, at)

    def _close_brace(self, at: int) -> None:
        """Close the brace that this one fits; what was opened behind it stays alone."""
        if not self.braces:
            self.found.alone.add(at)
            return
        chosen = self._fitting(at)
        while self.braces.pop() != chosen:
            pass
        while (opener := self.opened.pop()) != chosen:
            self.found.alone.add(opener)
        self.found.closing[chosen] = at

    def _fitting(self, at: int) -> int:
        nearest = list(islice(reversed(self.braces), LOOKED_AT))
        fitting = None if self.indents is None else self.indents.fitting(at, nearest)
        return nearest[0] if fitting is None else fitting


class _Indents:
    """How far the lines of a text are indented; a line that ends a list counts as its first."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.joined: dict[int, int] = {}

    def join(self, opener: int, closer: int) -> None:
        """A parenthesis is closed: its last line belongs to its first."""
        first, last = self._line(opener), self._line(closer)
        if first != last:
            self.joined[last] = self.joined.get(first, first)

    def _line(self, at: int) -> int:
        return bisect_right(self.starts, at) - 1

    def _of(self, at: int) -> int:
        """The indentation of the line that an offset is in."""
        line = self._line(at)
        start = self.starts[self.joined.get(line, line)]
        spaces = SPACES.match(self.text, start)
        return spaces.end() - start if spaces else 0

    def fitting(self, at: int, opened: list[int]) -> int | None:
        """The first of these braces that stands as far in as a closing one that begins its line."""
        start = self.starts[self._line(at)]
        if self.text[start:at].strip():
            return None
        return next((one for one in opened if self._of(one) == at - start), None)
