"""Rows of one JSON array, or of arrays under the names of weaknesses, an object at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from enstack.data.json_stream import Item, JsonStream, streamed

__all__ = ["UNDER_WEAKNESSES", "array_rows", "rows_of_one_array"]

# As in {"CWE-119": [{...}, ...], ...}: each array's rows have the weakness that it stands under.
UNDER_WEAKNESSES = re.compile(r'\{\s*"(?:NVD-)?CWE-[^"]*"\s*:\s*\[')


def array_rows(path: Path, decoder: json.JSONDecoder) -> Iterator[Item]:
    """The objects of a file's array, or arrays, in order; memory holds one and a chunk.

    Raises DataError for what is no such file.
    """
    with streamed(path) as text:
        if text.sign() == "[":
            yield from rows_of_one_array(text, decoder)
        else:
            yield from _rows_under_weaknesses(text, decoder)
        if text.sign() == "\0":
            text.refuse("NUL bytes follow, as a copy that failed leaves. Copy the file again")
        if text.sign():
            text.refuse("more stands after its end. Remove that, or write one object a line")


def rows_of_one_array(text: JsonStream, decoder: json.JSONDecoder) -> Iterator[Item]:
    """The objects of the array that comes next."""
    text.expect("[")
    while text.sign() != "]":
        row = text.item(decoder)
        if not isinstance(row.value, dict):
            text.refuse(
                f"an item of its array must be one object, found {row.value!r:.40}. Write each row "
                'with its names, as in {"func": "...", "label": 1}'
            )
        text.n_rows += 1
        yield row
        if text.sign() != "]":
            text.expect(",")
    text.expect("]")


def _rows_under_weaknesses(text: JsonStream, decoder: json.JSONDecoder) -> Iterator[Item]:
    text.expect("{")
    while text.sign() != "}":
        weakness = text.name(decoder)
        for row in rows_of_one_array(text, decoder):
            # The row's own word is the nearer one.
            yield row._replace(value={"cwe": weakness, **row.value})
        if text.sign() != "}":
            text.expect(",")
    text.expect("}")
