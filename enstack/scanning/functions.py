"""A text cut into its functions, with the way by which each was read, and what became none."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
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
from enstack.scanning.source_text import STDIN, Place, SourceText

__all__ = ["Cut", "Function", "cut"]

BRACES = "braces"
WORD = re.compile(r"~?\s*[A-Za-z_$][\w$]*")
OPERATOR = re.compile(r"operator\s*(\(\s*\)|\[\s*\]|[^(]*)")
# The classes and namespaces written before a name, at the end of what stands there.
WRITTEN_SCOPES = re.compile(r"(?:[A-Za-z_$][\w$]* *(?:<[^<>]*> *)?:: *)+\Z")
LONGEST_SCOPES = 400
BRACE_LENGTHS = {"?": 3, "%": 2}  # of ??> and %>


@dataclass(frozen=True)
class Function:
    """A function of a file: its text from the name to the closing brace, as Draper VDISC has it.

    path: of the file. qualified_name: with the classes and namespaces around it and before it.
    start, end: the places of the text's first and last character. way: what read its head, the
    grammar of "C" or of "C++", or "braces" where neither could.
    """

    path: Path
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


def cut(source: SourceText, path: Path = STDIN) -> Cut:
    """The functions of a file's text, and every brace block outside of them that became none."""
    return _Cutter(source, path).run()


class _Named(NamedTuple):
    way: str
    start: int
    scopes: tuple[str, ...]
    name: str


class _Cutter:
    def __init__(self, source: SourceText, path: Path) -> None:
        self.source, self.path = source, path
        self.masked = masked(source.text)
        self.read = preprocessed(self.masked.text)
        self.functions: list[Function] = []
        self.leftovers: list[Leftover] = []
        self.scopes: list[Block] = []

    def run(self) -> Cut:
        self._take(self.read.text)
        within = _Spans([(one.start.offset, one.end.offset) for one in self.functions])
        outside = _Spans([(one.brace.offset, one.end.offset) for one in self._closed_leftovers()])
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
            named = (
                self._named(block, text, shift) if block.kind == FUNCTION and not never else None
            )
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
        self.leftovers.append(Leftover(self.path, kind, place(start), place(brace), place(end)))

    def _function(self, block: Block, named: _Named, shift: int) -> None:
        start, end = named.start + shift, self._behind(block.end + shift)
        # Of a branch by itself nothing tells what it stands in.
        around = [one for one in self.scopes if one.opened < start < one.end] if shift else []
        scopes = (*(around[-1].scopes if around else ()), *block.scopes, *named.scopes)
        self.functions.append(
            Function(
                path=self.path,
                name=named.name,
                qualified_name="::".join((*scopes, named.name)),
                start=self.source.place(start),
                end=self.source.place(end - 1),
                way=named.way,
                text=self.source.text[start:end],
            )
        )

    def _named(self, block: Block, text: str, shift: int) -> _Named | None:
        head = text[block.start : block.opened]
        if (found := _where_named(block, head)) is None:
            return None
        way, at = found
        scopes = _written_scopes(head[max(0, at - LONGEST_SCOPES) : at])
        if operator := OPERATOR.match(head, at):
            return _Named(way, block.start + at, scopes, _operator(operator[1]))
        word = WORD.match(head, at)
        # The word's letters as they stand in the file, which may be no ASCII.
        places = range(at, word.end() if word else at)
        start = block.start + shift
        letters = (self.source.text[start + place] for place in places if head[place] != " ")
        return _Named(way, block.start + at, scopes, "".join(letters))

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


def _where_named(block: Block, head: str) -> tuple[str, int] | None:
    """What reads a head, and where in it the function's name starts; None where nothing does."""
    for grammar in GRAMMARS:
        if (found := named_by(grammar, head)) is not None:
            return grammar, found
    return None if block.name is None else (BRACES, block.name - block.start)


def _written_scopes(before: str) -> tuple[str, ...]:
    """The scopes in `A<T>::B::`, which end what stands before a name."""
    written = WRITTEN_SCOPES.search(before)
    parts = re.sub("<[^<>]*>", "", written[0]).split("::")[:-1] if written else []
    return tuple(part.strip() for part in parts)


def _operator(sign: str) -> str:
    """An operator's name as it is usually written: operator==, operator(), operator bool."""
    words = " ".join(sign.split())
    return f"operator {words}" if words[:1].isalpha() else "operator" + words.replace(" ", "")


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
