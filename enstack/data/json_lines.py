"""Rows as JSON: an object a line, one array, or one object that is a table; else told by line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from enstack.data.json_arrays import UNDER_WEAKNESSES, array_rows
from enstack.data.json_objects import whole_table
from enstack.data.json_stream import BYTE, reason_of
from enstack.data.opened import lines_of, open_bytes, open_text
from enstack.data.other_names import USUAL_LABELS, USUAL_TEXTS, plain
from enstack.errors import DataError

__all__ = ["json_names", "json_records", "sized_records"]

FIRST_ROWS = 100  # rows need not have the same keys: where names are taken from


def json_names(path: Path, known: Collection[str]) -> list[str]:
    """The names of a file's columns, or of what its first rows have; known: as of json_records."""
    if not _is_array(path) and (table := whole_table(path)) and table.columns:
        return [column.name for column in table.columns]
    rows = islice(json_records(path, known), FIRST_ROWS)
    return list(dict.fromkeys(name for row in rows for name in row))


def json_records(path: Path, known: Collection[str]) -> Iterator[dict[str, Any]]:
    """The objects of a file in order, whether it has one a line, an array of them, or columns.

    Raises DataError for what is none. known: keys that no object may have twice, for the last one
    would win without a word; of columns, those that are read.
    """
    return (record for record, _ in sized_records(path, known))


def sized_records(path: Path, known: Collection[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """The same, each with the number of characters or bytes that it takes."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            names = [name for name, _ in pairs]
            if twice := [name for name in record if name in known and names.count(name) > 1]:
                raise ValueError(f"it has {twice[0]} twice")
        return record

    decoder = json.JSONDecoder(object_pairs_hook=unique)
    if _is_array(path):
        rows = array_rows(path, decoder)
    elif table := whole_table(path):
        rows = table.rows(decoder, known)
    else:
        yield from _lines(path, decoder)
        return
    for row in rows:
        yield _without_bytes(row.value) if row.escapes_alone else row.value, row.size


def _is_array(path: Path) -> bool:
    """Whether a file is one array, or arrays under the names of weaknesses."""
    with open_text(path) as file:
        head = file.read(4096).lstrip()
    return head.startswith("[") or UNDER_WEAKNESSES.match(head) is not None


def _lines(path: Path, decoder: json.JSONDecoder) -> Iterator[tuple[dict[str, Any], int]]:
    with open_bytes(path) as file:
        for number, line in enumerate(lines_of(path, file), start=1):
            text = line.decode("utf-8", "surrogateescape").strip("\ufeff \t\r\n")
            if not text:
                continue
            try:
                record = decoder.decode(text)
            except (ValueError, RecursionError) as error:
                raise DataError(_why(path, number, line, text, reason_of(error))) from error
            if not isinstance(record, dict):
                raise DataError(_why(path, number, line, text, f"found {text[:40]!r}"))
            of_escapes = r"\ud" in text.lower() and _is_utf_8(line)
            yield _without_bytes(record) if of_escapes else record, len(line)


def _is_utf_8(line: bytes) -> bool:
    try:
        return bool(line.decode())
    except UnicodeDecodeError:
        return False


def _without_bytes(record: dict[str, Any]) -> dict[str, Any]:
    # An escape names a character and no byte: U+DC80 is half a surrogate pair as any other.
    return {
        key: BYTE.sub("\ud800", value) if isinstance(value, str) else value
        for key, value in record.items()
    }


def _why(path: Path, number: int, line: bytes, text: str, fault: str) -> str:
    """What is at fault with a line, and what to do."""
    rule = f"{path.name}: line {number:,} must be one JSON object"
    if "\0" in text:
        return f"{rule}, it holds NUL bytes, as a copy that failed leaves. Copy the file again."
    if "\r" in text:
        return f"{rule}, the file ends its lines with a bare CR. Write them with LF."
    if text in ("{", "[{"):
        return f"{rule}, its object goes on in the next line. Write each object on one line."
    if text[0] not in "{[":
        first = f" {_advice_on_file(text)}" if number == 1 else ""
        return f"{rule}, found {text[:40]!r}.{first or ' Mend or remove that line.'}"
    if fault == "extra data":
        return (
            f"{rule} and nothing else, more follows it. Write each object on a line of its own, "
            "without commas between them."
        )
    # Only the last line of a file can lack its end.
    if not line.endswith(b"\n"):
        return f"{rule}: {fault}. It is the last line, and was cut short: copy the file again."
    return f"{rule}: {fault}. Mend or remove that line."


def _advice_on_file(first_line: str) -> str:
    """What to do with a file whose first line is no JSON."""
    names = {plain(name) for name in first_line.split(",")}
    if names & {plain(name) for name in (*USUAL_TEXTS, *USUAL_LABELS)}:
        return "It looks like a table of csv: give it the ending .csv."
    return "See whether it is the right file, and came whole."
