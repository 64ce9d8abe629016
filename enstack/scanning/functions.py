"""A text cut into its functions, with the way by which each was read, and what became none."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from enstack.scanning.blocks import Block, blocks
from enstack.scanning.braces import matched
from enstack.scanning.branches import Dropped, preprocessed
from enstack.scanning.grammars import GRAMMARS, named_by
from enstack.scanning.heads import FUNCTION, SCOPES
from enstack.scanning.leftovers import (
    COMMENT,
    MACRO,
    NEVER,
    STATEMENT,
    STRAY,
    UNCLOSED,
    UNKNOWN,
    Leftover,
)
from enstack.scanning.masking import masked
from enstack.scanning.source_text import Place, SourceText

__all__ = ["Cut", "Function", "cut"]

BRACES = "braces"
WORD = re.compile(r"~?\s*[A-Za-z_$][\w$]*")
OPERATOR = re.compile(r"operator\s*(\(\s*\)|\[\s*\]|[^(]*)")
BRACE_LENGTHS = {"?": 3, "%": 2}  # of ??> and %>


@dataclass(frozen=True)
class Function:
    """A function of a file: its text from the name to the closing brace, as Draper VDISC has it.

    start, end: the places of the text's first and last character. way: what read its head, the
    grammar of "C" or of "C++", or "braces" where neither could.
    """

    name: str
    qualified_name: str
    start: Place
    end: Place
    way: str
    text: str = field(repr=False)


class Cut(NamedTuple):
    """What a text was cut into, both in the order of the file."""

    functions: list[Function]
    leftovers: list[Leftover]


def cut(source: SourceText) -> Cut:
    """The functions of a file's text, and every brace block outside of them that became none."""
    return _Cutter(source).run()


class _Named(NamedTuple):
    way: str
    start: int
    name: str


class _Cutter:
    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.masked = masked(source.text)
        self.read = preprocessed(self.masked.text)
        self.functions: list[Function] = []
        self.leftovers: list[Leftover] = []
        self.scopes: list[Block] = []

    def run(self) -> Cut:
        self._take(self.read.text)
        within = _Spans([(one.start.offset, one.end.offset) for one in self.functions])
        outside = _Spans([(one.start.offset, one.end.offset) for one in self._closed_leftovers()])
        for branch in self.read.dropped:
            if branch.start not in within and branch.start not in outside:
                self._take(branch.text, branch)
        for start, end in self.read.macros:
            if start not in within:
                self._leave(MACRO, start, start, end)
        if (open_comment := self.masked.open_comment) is not None:
            self._leave(COMMENT, open_comment, open_comment, len(self.masked.text))
        # Values of members and parameters are part of a function's text.
        within = _Spans([(one.start.offset, one.end.offset) for one in self.functions])
        return Cut(
            sorted(self.functions, key=lambda one: one.start),
            sorted(
                (one for one in self.leftovers if one.brace.offset not in within),
                key=lambda one: one.start,
            ),
        )

    def _closed_leftovers(self) -> Iterator[Leftover]:
        return (one for one in self.leftovers if one.kind not in (*SCOPES, UNCLOSED, STRAY))

    def _take(self, text: str, branch: Dropped | None = None) -> None:
        """Take the blocks of a text, or of a branch that is not read with the rest."""
        shift = 0 if branch is None else branch.start
        for block in _joined(blocks(text, matched(text))):
            never = branch is not None and branch.kind == NEVER
            named = _named(block, text) if block.kind == FUNCTION and not never else None
            if named is not None:
                self._function(block, named, shift)
                continue
            kind = UNKNOWN if block.kind == FUNCTION else block.kind
            if branch is not None and (never or kind in (UNCLOSED, STRAY)):
                kind = branch.kind
            self._leave(kind, *(at + shift for at in (block.start, block.opened, block.end)))
            self.scopes += [block] if branch is None and kind in SCOPES else []

    def _leave(self, kind: str, start: int, brace: int, end: int) -> None:
        place = self.source.place
        end = max(start, self._behind(end) - 1)
        self.leftovers.append(Leftover(kind, place(start), place(brace), place(end)))

    def _function(self, block: Block, named: _Named, shift: int) -> None:
        start, end = named.start + shift, self._behind(block.end + shift)
        # Of a branch by itself nothing tells what it stands in.
        around = [one for one in self.scopes if one.opened < start < one.end] if shift else []
        scopes = (*around[-1].scopes, *block.scopes) if around else block.scopes
        self.functions.append(
            Function(
                name=named.name,
                qualified_name="::".join((*scopes, named.name)),
                start=self.source.place(start),
                end=self.source.place(end - 1),
                way=named.way,
                text=self.source.text[start:end],
            )
        )

    def _behind(self, end: int) -> int:
        """Where the closing brace that ends here is over, however it is spelled."""
        if self.masked.text[end - 1 : end] != "}":
            return end
        return end - 1 + BRACE_LENGTHS.get(self.source.text[end - 1], 1)


class _Spans:
    """Offsets that lie in any of some spans, which do not overlap; both ends belong to them."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.spans = sorted(spans)

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self.spans, offset, key=lambda span: span[0]) - 1
        return at >= 0 and offset <= self.spans[at][1]


def _named(block: Block, text: str) -> _Named | None:
    """Who names a function, and where its name starts; None where nobody finds one."""
    head = text[block.start : block.opened]
    for grammar in GRAMMARS:
        found = named_by(grammar, head)
        if found is not None:
            return _Named(grammar, block.start + found, _name_at(head, found))
    if block.name is None:
        return None
    return _Named(BRACES, block.name, _name_at(head, block.name - block.start))


def _name_at(head: str, at: int) -> str:
    """The name that starts at a place of a head, an operator's with its sign or type."""
    if operator := OPERATOR.match(head, at):
        sign = "".join(operator[1].split()) if operator[1][:1] in "([" else operator[1].strip()
        return "operator" + (f" {' '.join(sign.split())}" if sign[:1].isalpha() else sign)
    word = WORD.match(head, at)
    return "".join(word[0].split()) if word else ""


def _joined(found: Iterable[Block]) -> Iterator[Block]:
    """Blocks that belong together: `f() try { } catch (...) { }`, and `MACRO(x) { } else { }`."""
    last: Block | None = None
    for block in found:
        if last is not None and last.kind == FUNCTION:
            if block.first_word == "catch" and "try" in last.words:
                last = last._replace(end=block.end)
                continue
            if block.first_word == "else":
                last = last._replace(kind=STATEMENT)
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last
