"""The functions of one split as text, and which of their lines are marked as the flaw."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enstack.counting import counted
from enstack.data.columns import HALF_PAIR, flag_codes
from enstack.data.flaw_line_file import LINES, lines_from_file
from enstack.data.flaw_lines import counted_from, in_numbers, marks_of, with_texts
from enstack.data.formats import reader_of
from enstack.data.readings import Reading, Source
from enstack.errors import DataError

AS_LATIN_1, WITH_MARKS = 1, 2  # how a text was read that is not UTF-8 as it stands


class TextBatch(NamedTuple):
    """Some functions of a split, in order.

    sources: large_string (n,), a missing text is an empty one. decoded_as: uint8 (n,), AS_LATIN_1
    where the bytes were no UTF-8, WITH_MARKS where half a surrogate pair became a mark, else 0.
    flaw_lines: LINES (n,), the numbers from 1 of the lines that are marked as the flaw, null where
    what is marked is no line of the text; None where nothing marks lines.
    """

    sources: pa.Array
    decoded_as: np.ndarray
    flaw_lines: pa.Array | None = None


def read_sources(source: Source, reading: Reading) -> Iterator[TextBatch]:
    """All functions of one split in file order, a batch of rows at a time."""
    batches = _of_columns(source, reading)
    if source.flaw_file is None:
        yield from batches
        return
    ahead, kept = itertools.tee(batches)
    lines = lines_from_file(source.flaw_file, source.split, (batch.sources for batch in ahead))
    # The file goes before columns: whoever has written it means it.
    for flaw_lines, batch in zip(lines, kept, strict=True):
        yield batch._replace(flaw_lines=flaw_lines)


def _of_columns(source: Source, reading: Reading) -> Iterator[TextBatch]:
    texts = [one.text for one in reading.functions if not one.if_vulnerable]
    told = reading.label and (len(texts) < len(reading.functions) or reading.flaw_lines)
    label = [reading.label] if told else []
    either = [
        column
        for one in reading.functions
        if one.if_vulnerable
        for column in (one.text, one.if_vulnerable)
    ]
    helpful = [*either, *reading.of_flaw_lines]
    for path in source.paths:
        first_row = 0
        for batch in reader_of(path).batches(path, [*texts, *label], helpful):
            values = _texts(batch, reading)
            # Rows count through the whole file, so that a message names the one to mend.
            sources, decoded_as = _decoded(path, values, first_row, len(reading.functions))
            yield TextBatch(sources, decoded_as, _flaw_lines(sources, batch, reading))
            first_row += len(values) // len(reading.functions)


def _flaw_lines(sources: pa.Array, batch: Any, reading: Reading) -> pa.Array | None:
    """The marked lines of each function of a batch, as in TextBatch; clean ones have none."""
    if not reading.flaw_lines:
        return None
    labels = flag_codes(batch[reading.label]) if reading.label in batch else None
    a_row, first = len(reading.functions), counted_from(reading.flaw_lines)
    listed: list[list[int] | None] = []
    for row, value in enumerate(batch[reading.flaw_lines]):
        # Of a function without a flaw a change is its fix.
        marks = marks_of(value) if labels is None or labels[row] != 0 else []
        if marks and reading.flaw_texts:
            marks = with_texts(marks, batch[reading.flaw_texts][row])
        for number, function in enumerate(reading.functions, start=row * a_row):
            if not marks or function.label == 0:
                listed.append([])
            else:
                listed.append(in_numbers(sources[number].as_py(), marks, first) or None)
    return pa.array(listed, type=LINES)


def _texts(batch: Any, reading: Reading) -> list[Any]:
    """The text of each function of a batch: row by row, all functions of a row."""
    columns = []
    for one in reading.functions:
        values = list(batch[one.text])
        if one.if_vulnerable:
            other, is_vulnerable = batch[one.if_vulnerable], flag_codes(batch[reading.label]) == 1
            values = [o if v else t for t, o, v in zip(values, other, is_vulnerable, strict=True)]
        columns.append(values)
    return (
        columns[0]
        if len(columns) == 1
        else [text for row in zip(*columns, strict=True) for text in row]
    )


def _decoded(
    path: Path, values: list[Any], first_row: int, a_row: int
) -> tuple[pa.Array, np.ndarray]:
    texts, latin = as_text(
        [_as_bytes(value, path, first_row + i // a_row) for i, value in enumerate(values)]
    )
    marked = [isinstance(value, str) and HALF_PAIR.search(value) is not None for value in values]
    return texts, np.select([latin, marked], [AS_LATIN_1, WITH_MARKS], 0).astype(np.uint8)


def as_text(values: list[bytes]) -> tuple[pa.Array, np.ndarray]:
    """Decode texts as UTF-8, those that are none as latin-1; says which those were."""
    # Nearly every batch is UTF-8 throughout: one cast checks it, without a Python string a text.
    raw = pa.array(values, type=pa.large_binary())
    try:
        return raw.cast(pa.large_string()), np.zeros(len(values), dtype=bool)
    except pa.ArrowInvalid:
        decoded = [_decode(value) for value in values]
    texts = pa.array([text for text, _ in decoded], type=pa.large_string())
    return texts, np.array([otherwise for _, otherwise in decoded], dtype=bool)


def reading_notes(split: str, rows: np.ndarray, decoded_as: np.ndarray) -> Iterator[str]:
    """How texts were read that are not UTF-8 as they stand; of which rows (n,) of the file."""
    n_latin, marked = int((decoded_as == AS_LATIN_1).sum()), rows[decoded_as == WITH_MARKS]
    if n_latin:
        yield f"{split}: {counted(n_latin, 'function')} not in UTF-8, read as latin-1"
    if len(marked):
        yield (
            f"{split}: {counted(len(marked), 'function')} with half a surrogate pair (such as "
            f"\\ud800), which is no character, read as \ufffd; the first is in row {marked[0]} "
            "(rows count from 0)"
        )


def normalized(functions: Iterable[str]) -> list[str]:
    """Functions that no file holds, as `read_sources` would have read them from one."""
    texts, _ = as_text([_encoded(function) for function in functions])
    listed: list[str] = texts.to_pylist()
    return listed


def _as_bytes(value: Any, path: Path, row: int) -> bytes:
    if isinstance(value, bytes):
        return value
    # It is counted and dropped with the blank ones: no reason to refuse a whole file.
    if value is None:
        return b""
    if not isinstance(value, str):
        raise DataError(
            f"{path.name}: the function of row {row} must be text, found {value!r:.60} "
            "(rows count from 0). Fix or remove the row."
        )
    return _encoded(value)


def _encoded(text: str) -> bytes:
    """The bytes behind a text; a mark stands for what no bytes do: half a surrogate pair."""
    # csv and jsonl are decoded with surrogateescape: their own bytes come back here.
    return HALF_PAIR.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def _decode(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), False
    except UnicodeDecodeError:
        # Seen in the wild. latin-1 has a character for every byte, so that no text is lost.
        return value.decode("latin-1"), True
