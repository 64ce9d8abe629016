"""Rows of one JSON array, or of arrays under the names of weaknesses, an object at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from enstack.data.opened import LONGEST_ROW, open_text
from enstack.errors import DataError

__all__ = ["BYTE", "ArrayRow", "array_rows", "reason_of", "shape_of"]

CHUNK = 1 << 20  # characters that are read at once
BYTE = re.compile("[\udc80-\udcff]")  # what stands for a byte that is no UTF-8
HALF_ESCAPE = re.compile(r"\\u[dD]")
SPACE = re.compile(r"[ \t\r\n]*")
# As in {"CWE-119": [{...}, ...], ...}: each array's rows have the weakness that it stands under.
UNDER_WEAKNESSES = re.compile(r'\{\s*"(?:NVD-)?CWE-[^"]*"\s*:\s*\[')
# What programs call the one array of an object in which they wrap it.
WRAPPED = re.compile(
    r'\{\s*"(data|rows|records|items|examples|samples|functions|dataset|results|train|training|'
    r'validation|valid|val|dev|test)"\s*:\s*\[\s*\{',
    re.IGNORECASE,
)
# What pandas.to_json writes unless it is asked for rows: columns, an index, or split and table.
OF_COLUMNS = re.compile(
    r'\{\s*"(?:[^"\\]*"\s*:\s*\{\s*"0"\s*:|\d+"\s*:\s*\{|columns"\s*:\s*\[|schema"\s*:\s*\{)'
)


class ArrayRow(NamedTuple):
    """An object of an array, and how many characters it takes.

    escapes_alone: half surrogate pairs in it are escapes, and no bytes that are no UTF-8.
    """

    value: dict[str, Any]
    escapes_alone: bool
    size: int


def shape_of(path: Path) -> str:
    """How a JSON file holds its rows: "lines", "array", or "arrays" under names of weaknesses.

    DataError for an array inside of an object of another kind.
    """
    with open_text(path) as file:
        head = file.read(4096).lstrip()
    if head.startswith("["):
        return "array"
    # By its beginning: on one line it may be as large as the file.
    if wrapped := WRAPPED.match(head):
        raise DataError(
            f"{path.name} must hold rows, it holds one object with rows under {wrapped[1]!r}. "
            "Write each such array to a file of its own, as in train.json."
        )
    if OF_COLUMNS.match(head):
        raise DataError(
            f"{path.name} must hold one object for each function, it holds one object of columns, "
            "as pandas.to_json writes it. Write it with orient='records', lines=True."
        )
    return "arrays" if UNDER_WEAKNESSES.match(head) else "lines"


def array_rows(path: Path, decoder: json.JSONDecoder) -> Iterator[ArrayRow]:
    """The objects of a file's array, or arrays, in order; memory holds one and a chunk.

    Raises DataError for what is no such file.
    """
    with open_text(path) as file:
        text = _Text(path, file)
        if text.sign() == "[":
            yield from _rows(text, decoder)
        else:
            yield from _rows_under_weaknesses(text, decoder)
        if text.sign() == "\0":
            text.refuse("NUL bytes follow, as a copy that failed leaves. Copy the file again")
        if text.sign():
            text.refuse("more stands after its end. Remove that, or write one object a line")


def _rows_under_weaknesses(text: _Text, decoder: json.JSONDecoder) -> Iterator[ArrayRow]:
    text.expect("{")
    while text.sign() != "}":
        weakness = text.value(decoder)
        text.expect(":")
        for row in _rows(text, decoder):
            # The row's own word is the nearer one.
            yield row._replace(value={"cwe": weakness, **row.value})
        if text.sign() != "}":
            text.expect(",")
    text.expect("}")


def _rows(text: _Text, decoder: json.JSONDecoder) -> Iterator[ArrayRow]:
    text.expect("[")
    while text.sign() != "]":
        row = text.value(decoder)
        if not isinstance(row, dict):
            text.refuse(f"an item of its array must be one object, found {row!r:.40}")
        text.n_rows += 1
        yield ArrayRow(row, text.escapes_alone, text.size)
        if text.sign() != "]":
            text.expect(",")
    text.expect("]")


class _Text:
    """A text that is read as far as it is needed; what has been parsed is forgotten."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.text, self.at, self.n_rows = "", 0, 0
        self.escapes_alone, self.size = False, 0

    def sign(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def expect(self, sign: str) -> None:
        """Go past a character; DataError where another one stands."""
        found = self.sign()
        if found != sign:
            where = (
                f"found {found!r}" if found else "it ends there: copy it again, it was cut short"
            )
            self.refuse(f"{sign!r} must follow, {where}")
        self.at += 1

    def value(self, decoder: json.JSONDecoder) -> Any:
        """The value that comes next."""
        self.sign()
        while True:
            try:
                value, end = decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._more():
                    continue
                self.refuse(
                    f"its JSON is broken ({reason_of(error)}). Copy the file again, it may be cut "
                    "short, or mend it"
                )
            except (ValueError, RecursionError) as error:
                self.refuse(f"{reason_of(error)}. Mend or remove it")
            # A number may have more digits in what comes.
            if end < len(self.text) or not self._more():
                self.escapes_alone = (
                    HALF_ESCAPE.search(self.text, self.at, end) is not None
                    and BYTE.search(self.text, self.at, end) is None
                )
                self.at, self.size = end, end - self.at
                return value

    def refuse(self, fault: str) -> NoReturn:
        """DataError that says after how many rows something is at fault."""
        raise DataError(f"{self.path.name}: after {self.n_rows:,} rows, {fault}.")

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether what is wrong may be no more than that the rest is not read yet."""
        # Python tells a string without an end by its beginning, all else by the place itself.
        return "Unterminated string" in error.msg or error.pos >= len(self.text) - 12

    def _more(self) -> bool:
        left = len(self.text) - self.at
        if left > LONGEST_ROW:
            self.refuse(f"an object has more than {LONGEST_ROW:,} characters: its end is lost")
        # Twice as much each time: an object is parsed from its start whenever more has come.
        chunk = self.file.read(max(CHUNK, left))
        self.text, self.at = self.text[self.at :] + chunk, 0
        return bool(chunk)


def reason_of(error: ValueError | RecursionError) -> str:
    """What is at fault with a JSON text, in words of its likely cause."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        # Python's words for a number of thousands of digits are about its own settings.
        return "it has a number of too many digits" if "digits" in str(error) else str(error)
    if error.doc[error.pos : error.pos + 1] == "'":
        return "single quotes, as Python shows a value: write it with json.dump"
    return error.msg[0].lower() + error.msg[1:]
