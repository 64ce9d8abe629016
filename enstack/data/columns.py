"""The columns of one split, checked value by value: five flags or labels, and the texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from enstack.counting import counted
from enstack.data.formats import CWE_COLUMNS, TABLE_COLUMNS, as_objects, reader_of
from enstack.data.other_names import column_advice, described, nearest, plain
from enstack.data.strangers import readable, refuse_strangers
from enstack.errors import DataError

# VDISC has booleans; numbers, floats with NaN and texts are seen in the wild.
FLAG_CODES = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
AS_LATIN_1, WITH_MARKS = 1, 2  # how a text was read that is not UTF-8 as it stands
# All surrogates but those that stand for a byte each: as an escape in JSON can name them.
HALF_PAIR = re.compile("[\ud800-\udc7f\udd00-\udfff]")
MISSING, UNKNOWN = -1, -2  # what stands for a flag that is NaN, and for one that is no flag
# An empty field, null as a word, and what str makes of NaN, None and pandas.NA.
MISSING_WORDS = ("", "nan", "none", "null", "<na>")


@dataclass(frozen=True)
class Table:
    """The label columns of one split: five flags, or one column of labels, for each row."""

    path: Path
    n_rows: int
    flags: np.ndarray | None  # (n_rows, 5) int8, 0 or 1
    labels: np.ndarray | None  # (n_rows,) object, as the file holds them
    both: bool = False  # the file has a label column too, which the flags overrule


def read_table(path: Path) -> Table:
    """Read and check the label columns of one split; the texts stay in the file."""
    refuse_strangers(path)
    reader = reader_of(path)
    with readable(path):
        names = reader.columns(path)
    _refuse_columns_twice(path, names)
    wanted, both = _label_columns(path, names)
    parts: dict[str, list[Any]] = {column: [] for column in wanted}
    for batch in reader.batches(path, wanted):
        for column in wanted:
            values = batch[column]
            parts[column].append(as_objects(values) if column == "label" else flag_codes(values))
    if not any(len(part) for part in parts[wanted[0]]):
        raise DataError(f"{path.name} must hold at least one function, it has no rows.")
    columns = {column: np.concatenate(arrays) for column, arrays in parts.items()}
    n_rows = len(columns[wanted[0]])
    if wanted == ("label",):
        return Table(path, n_rows, None, columns["label"])
    # After the last batch: the message counts the bad rows of the whole file.
    for column, codes in columns.items():
        _require_flags(path, column, codes)
    return Table(path, n_rows, np.column_stack([columns[c] for c in CWE_COLUMNS]), None, both)


def read_sources(path: Path) -> Iterator[tuple[pa.Array, np.ndarray]]:
    """All functions of one split in file order, a batch of rows at a time.

    Yields (sources, decoded_as): large_string (rows,), and uint8 (rows,): AS_LATIN_1 where the
    bytes were no UTF-8, WITH_MARKS where half a surrogate pair became a mark, else 0. A missing
    text becomes an empty one.
    """
    column = "functionSource" if path.suffix == ".hdf5" else "func"
    first_row = 0
    for batch in reader_of(path).batches(path, (column,)):
        values = list(batch[column])
        # Rows count through the whole file, so that a message names the one to mend.
        texts, latin = as_text([_as_bytes(v, path, first_row + i) for i, v in enumerate(values)])
        marked = [
            isinstance(value, str) and HALF_PAIR.search(value) is not None for value in values
        ]
        yield texts, np.select([latin, marked], [AS_LATIN_1, WITH_MARKS], 0).astype(np.uint8)
        first_row += len(values)


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


def flag_codes(values: Any) -> np.ndarray:
    """0 and 1 for flags of any type, MISSING for NaN, UNKNOWN for the rest; (n,) int8."""
    array = values if isinstance(values, np.ndarray) else as_objects(values)
    # Whole arrays first: VDISC has six million flags, and a Python call for each is slow.
    if array.dtype.kind == "b":
        return array.astype(np.int8)
    if array.dtype.kind in "iuf":
        codes = np.select([array == 0, array == 1, np.isnan(array)], [0, 1, MISSING], UNKNOWN)
        return codes.astype(np.int8)
    return np.fromiter((_flag_code(value) for value in array), dtype=np.int8, count=len(array))


def _flag_code(value: Any) -> int:
    # latin-1 never fails: what is no flag is to be told with its row, not as a decoding error.
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    word = text.strip().lower()
    return FLAG_CODES.get(word, MISSING if word in MISSING_WORDS else UNKNOWN)


def _require_flags(path: Path, column: str, codes: np.ndarray) -> None:
    bad = np.flatnonzero(codes < 0)
    if len(bad):
        what = "NaN or empty" if codes[bad[0]] == MISSING else "another value"
        raise DataError(
            f"{path.name}: {column} must be 0 or 1 in every row, found {what} in row {bad[0]} "
            f"(rows count from 0; {len(bad):,} such rows). Fix or remove these rows."
        )


def _as_bytes(value: Any, path: Path, row: int) -> bytes:
    if isinstance(value, bytes):
        return value
    # It is counted and dropped with the blank ones: no reason to refuse a whole file.
    if value is None:
        return b""
    if not isinstance(value, str):
        raise DataError(
            f"{path.name}: the function of row {row} must be text, found {value!r} "
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


def _refuse_columns_twice(path: Path, names: Sequence[str]) -> None:
    twice = [column for column in TABLE_COLUMNS if names.count(column) > 1]
    if twice:
        raise DataError(
            f"{path.name} must have each column once, {twice[0]} stands there "
            f"{names.count(twice[0])} times. Remove or rename all but one."
        )


def _label_columns(path: Path, columns: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Which columns hold the labels, and whether a label column is passed over."""
    text = "functionSource" if path.suffix == ".hdf5" else "func"
    has_label = path.suffix != ".hdf5" and "label" in columns
    flags = [column for column in CWE_COLUMNS if column in columns]
    missing = [] if text in columns else [text]
    if not has_label:
        missing += _missing_labels(path, columns)
    if missing:
        raise DataError(_missing_columns(path, missing, columns))
    # All five or none: without one of them, functions of that class would read as clean.
    return (CWE_COLUMNS, has_label) if len(flags) == len(CWE_COLUMNS) else (("label",), False)


def _missing_labels(path: Path, columns: Sequence[str]) -> Sequence[str]:
    # Who has no flag under any name has, or wants, a column of labels.
    of_flags = {plain(column) for column in CWE_COLUMNS} & {plain(name) for name in columns}
    if path.suffix == ".hdf5" or of_flags:
        return [column for column in CWE_COLUMNS if column not in columns]
    return ["label"]


def _missing_columns(path: Path, missing: Sequence[str], columns: Sequence[str]) -> str:
    others = [name for name in columns if name not in (*TABLE_COLUMNS, "functionSource")]
    near = {column: nearest(column, others) for column in missing}
    rule = (
        "must have functionSource and the five CWE keys"
        if path.suffix == ".hdf5"
        else "must have the columns func and label, or func and the five CWE columns"
    )
    has = ", ".join(name[:40] for name in columns[:12]) or "nothing"
    advice = column_advice(near, columns, path.suffix == ".csv")
    return f"{path.name} {rule}; missing {described(near)}.\nFound {has}. {advice}"
