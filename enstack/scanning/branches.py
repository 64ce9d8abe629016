"""Preprocessor lines out of a text: of branches that can't stand together, one is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from enstack.scanning.leftovers import ANOTHER, NEVER

__all__ = ["Dropped", "Preprocessed", "preprocessed"]

DIRECTIVE = re.compile(r"^ *# *(?P<word>\w*)(?P<rest>[^\n]*)", re.MULTILINE)
OPENING = ("if", "ifdef", "ifndef")
DEEPEST = 100  # groups within each other; of more all is read
BRACKET = re.compile(r"[{}()]")
NAME = re.compile(r"(?:defined *\(? *)?(?P<name>\w+) *\)?")


class Dropped(NamedTuple):
    """A branch that is not read with the rest; text: what it holds, as long as it is."""

    start: int
    text: str
    kind: str


class Preprocessed(NamedTuple):
    """A text without preprocessor lines and without dropped branches, of the same length.

    macros: start and end of each `#define` that holds a brace.
    """

    text: str
    dropped: list[Dropped]
    macros: list[tuple[int, int]]


@dataclass
class _Balance:
    """What a stretch of text opens and closes, without the text."""

    braces: int = 0
    lowest: int = 0
    parentheses: int = 0
    last: str = ""

    def add(self, other: _Balance) -> None:
        self.lowest = min(self.lowest, self.braces + other.lowest)
        self.braces += other.braces
        self.parentheses += other.parentheses
        self.last = other.last or self.last

    def whole(self) -> bool:
        """Whether nothing is opened here and closed elsewhere, or the other way round."""
        return not (self.braces or self.lowest or self.parentheses)

    def ended(self) -> bool:
        """Whether no declaration goes on behind it."""
        return self.whole() and self.last in ("", ";", "}")


@dataclass
class _Branch:
    condition: str
    start: int
    end: int = 0
    balance: _Balance = field(default_factory=_Balance)


@dataclass
class _Reader:
    text: bytearray
    dropped: list[Dropped] = field(default_factory=list)
    # What conditions are taken to be: decided where it first matters, and kept to.
    truths: dict[str, bool] = field(default_factory=dict)
    groups: list[list[_Branch]] = field(default_factory=list)
    outside: _Balance = field(default_factory=_Balance)

    def read(self, start: int, end: int) -> None:
        """Take the text between two directives into the balance of the branch that it is in."""
        self._balance().add(_balance_of(self.text[start:end].decode("ascii")))

    def _balance(self) -> _Balance:
        return self.groups[-1][-1].balance if self.groups else self.outside

    # Groups within more than so many others, all of whose branches are read.
    ignored: int = 0

    def directive(self, word: str, rest: str, start: int, end: int) -> None:
        """Open, divide or close a group of branches, or pass over a line that does neither."""
        if self.ignored or (len(self.groups) == DEEPEST and word in OPENING):
            self.ignored += (word in OPENING) - (word == "endif")
        elif word in OPENING:
            self.groups.append([_Branch(_condition(word, rest), end)])
        elif self.groups and word in ("else", "elif", "elifdef", "elifndef"):
            self.groups[-1][-1].end = start
            self.groups[-1].append(_Branch(_condition(word, rest), end))
        elif self.groups and word == "endif":
            self.close(start)

    def close(self, end: int) -> None:
        """End the innermost group: what of it is read joins the text around."""
        group = self.groups.pop()
        group[-1].end = end
        possible = _possible(group)
        read = {branch.start for branch in self._read_of(group, possible)}
        never = {branch.start for branch in group} - {branch.start for branch in possible}
        for branch in group:
            if branch.start in read:
                self._balance().add(branch.balance)
            else:
                self._drop(branch, NEVER if branch.start in never else ANOTHER)

    def _read_of(self, group: list[_Branch], possible: list[_Branch]) -> list[_Branch]:
        # A lone branch may end anywhere: the declaration goes on with it or without.
        fits = _Balance.whole if len(group) == 1 else _Balance.ended
        if all(fits(branch.balance) for branch in possible):
            return possible
        name, wanted = _meaning(group[0].condition)
        if len(possible) == len(group) <= 2:
            holds = self.truths.setdefault(name, wanted) == wanted
            return possible[:1] if holds else possible[1:]
        return possible[:1]

    def _drop(self, branch: _Branch, kind: str) -> None:
        place = slice(branch.start, branch.end)
        self.dropped.append(Dropped(branch.start, self.text[place].decode("ascii"), kind))
        self.text[place] = b" " * (branch.end - branch.start)


def preprocessed(text: str) -> Preprocessed:
    """Blank preprocessor lines, and of branches that can't stand together all but one.

    Branches stand together where each is whole: it opens no brace that it leaves open, and ends no
    declaration half-way. `#if 0` is never read.
    """
    reader, macros, done = _Reader(bytearray(text, "ascii")), [], 0
    for line in DIRECTIVE.finditer(text):
        reader.read(done, line.start())
        done = line.end()
        reader.text[line.start() : done] = b" " * (done - line.start())
        if line["word"] == "define" and "{" in line["rest"]:
            macros.append((line.start("word"), done))
        reader.directive(line["word"], line["rest"].strip(), line.start(), done)
    reader.read(done, len(text))
    while reader.groups:
        reader.close(len(text))
    return Preprocessed(reader.text.decode("ascii"), reader.dropped, macros)


def _balance_of(text: str) -> _Balance:
    balance, stripped = _Balance(), text.rstrip()
    for step, parenthesis in _steps(text):
        balance.parentheses += parenthesis
        balance.braces += step
        balance.lowest = min(balance.lowest, balance.braces)
    balance.last = stripped[-1:]
    return balance


def _steps(text: str) -> Iterator[tuple[int, int]]:
    by_bracket = {"{": (1, 0), "}": (-1, 0), "(": (0, 1), ")": (0, -1)}
    for match in BRACKET.finditer(text):
        yield by_bracket[match[0]]


def _condition(word: str, rest: str) -> str:
    if word.endswith("ndef"):
        return f"!{rest}"
    return "1" if word == "else" else " ".join(rest.split())


def _possible(group: list[_Branch]) -> list[_Branch]:
    """The branches that a compiler may read: not `#if 0`, and none behind `#if 1`."""
    conditions = [branch.condition for branch in group]
    end = conditions.index("1") + 1 if "1" in conditions else len(group)
    return [branch for branch in group[:end] if branch.condition != "0"]


def _meaning(condition: str) -> tuple[str, bool]:
    """What a condition asks about, and the answer that it wants."""
    plain = condition.lstrip("! ")
    match = NAME.fullmatch(plain)
    return (match["name"] if match else plain), not condition.startswith("!")
