"""A JSON text, parsed a value at a time: memory holds one value and a chunk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from enstack.data.opened import LONGEST_ROW, open_text
from enstack.errors import DataError

__all__ = ["BYTE", "Item", "JsonStream", "reason_of", "streamed"]

CHUNK = 1 << 20  # characters that are read at once
BYTE = re.compile("[\udc80-\udcff]")  # what stands for a byte that is no UTF-8
HALF_ESCAPE = re.compile(r"\\u[dD]")
SPACE = re.compile(r"[ \t\r\n]*")


class Item(NamedTuple):
    """A value, under its name in an object, and how many characters it takes.

    escapes_alone: half surrogate pairs in it are escapes, and no bytes that are no UTF-8.
    """

    name: str
    value: Any
    escapes_alone: bool
    size: int


@contextmanager
def streamed(path: Path, start: int = 0) -> Iterator[JsonStream]:
    """A file's text from one of its characters on."""
    with open_text(path) as file:
        for place in range(0, start, CHUNK):
            file.read(min(CHUNK, start - place))
        yield JsonStream(path, file)


class JsonStream:
    """A text that is read as far as it is needed; what has been parsed is forgotten."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.text, self.at, self.n_rows = "", 0, 0
        self.forgotten = 0  # characters before those of `text`

    @property
    def place(self) -> int:
        """How many characters of the text are parsed."""
        return self.forgotten + self.at

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

    def items(self, decoder: json.JSONDecoder) -> Iterator[Item]:
        """The values of the array or object that comes next."""
        named = self.sign() == "{"
        self.expect("{" if named else "[")
        end = "}" if named else "]"
        while self.sign() != end:
            name = self.name(decoder) if named else ""
            yield self.item(decoder)._replace(name=name)
            if self.sign() != end:
                self.expect(",")
        self.expect(end)

    def name(self, decoder: json.JSONDecoder) -> str:
        """The name that comes next in an object."""
        name = self.item(decoder).value
        self.expect(":")
        if not isinstance(name, str):
            self.refuse(f"a name must be in double quotes, found {name!r:.40}")
        return name

    def item(self, decoder: json.JSONDecoder) -> Item:
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
                escapes_alone = (
                    HALF_ESCAPE.search(self.text, self.at, end) is not None
                    and BYTE.search(self.text, self.at, end) is None
                )
                size, self.at = end - self.at, end
                return Item("", value, escapes_alone, size)

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
            self.refuse(
                f"the next one has more than {LONGEST_ROW:,} characters, as one without an end. "
                "Mend or remove it, or copy the file again"
            )
        # Twice as much each time: an object is parsed from its start whenever more has come.
        chunk = self.file.read(max(CHUNK, left))
        self.forgotten += self.at
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
