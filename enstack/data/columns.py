"""What a split says of its functions, checked value by value: flags, labels, groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from enstack.data.column_search import reading_of
from enstack.data.cwes import cwes_of
from enstack.data.formats import as_objects, reader_of
from enstack.data.opened import bare_stem
from enstack.data.readings import Reading, Source
from enstack.data.strangers import refuse_strangers
from enstack.data.table import Table
from enstack.errors import DataError

# VDISC has booleans; numbers, floats with NaN and texts are seen in the wild.
FLAG_CODES = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
# All surrogates but those that stand for a byte each: as an escape in JSON can name them.
HALF_PAIR = re.compile("[\ud800-\udc7f\udd00-\udfff]")
MISSING, UNKNOWN = -1, -2  # what stands for a flag that is NaN, and for one that is no flag
# An empty field, null as a word, and what str makes of NaN, None and pandas.NA.
MISSING_WORDS = ("", "nan", "none", "null", "<na>")
NO_CODES = np.empty(0, dtype=np.int8)


def read_table(source: Source) -> Table:
    """Read and check the labels of one split, and what its rows belong to; texts stay in the file.

    Raises DataError for columns that can't be found, and for what they must not hold.
    """
    reading = reading_of(source)
    tables = [_read_file(path, reading) for path in source.paths]
    if not any(table.n_rows for table in tables):
        raise DataError(f"{source.paths[0].name} must hold at least one function, it has no rows.")
    return tables[0] if len(tables) == 1 else _joined(tables)


def _read_file(path: Path, reading: Reading) -> Table:
    refuse_strangers(path)
    parts: dict[str, list[Any]] = {column: [] for column in reading.flags}
    labels: list[np.ndarray] = []
    beside: list[pa.Table] = []
    wanted = [*reading.flags, *([reading.label] if reading.label else ())]
    # Where no column has labels, the texts alone tell how many rows there are.
    wanted = wanted or [one.text for one in reading.functions][:1]
    for batch in reader_of(path).batches(path, wanted, _helpful(reading)):
        for column in reading.flags:
            parts[column].append(flag_codes(batch[column]))
        if not reading.flags:
            labels.append(_labels(path, batch, reading, len(batch[wanted[0]])))
        beside.append(_beside(batch, reading))
    table = pa.concat_tables(beside) if beside else None
    cwes = table["cwe"].combine_chunks() if table is not None and reading.cwes else None
    groups = table.select(list(reading.groups)) if table is not None and reading.groups else None
    if not reading.flags:
        named = np.concatenate(labels) if labels else as_objects([])
        return Table(path, len(named), None, named, False, cwes, groups, reading)
    columns = {c: np.concatenate(codes) if codes else NO_CODES for c, codes in parts.items()}
    # After the last batch: the message counts the bad rows of the whole file.
    for name, codes in columns.items():
        _require_flags(path, name, codes)
    flags = np.column_stack(list(columns.values()))
    return Table(path, len(flags), flags, None, reading.both, cwes, groups, reading)


def _helpful(reading: Reading) -> list[str]:
    return [*([reading.cwes] if reading.cwes else ()), *reading.groups.values()]


def _labels(path: Path, batch: Any, reading: Reading, n_rows: int) -> np.ndarray:
    """The label of each function of a batch, as the file holds it, or its name says."""
    if reading.label:
        return as_objects(batch[reading.label])
    if reading.labels_by_file:
        return as_objects([reading.labels_by_file[bare_stem(path)]] * n_rows)
    return as_objects([one.label for one in reading.functions] * n_rows)


def _beside(batch: Any, reading: Reading) -> pa.Table:
    """Weaknesses and groups of each function of a batch."""
    times = len(reading.functions)
    columns: dict[str, Any] = {
        kind: pa.array(
            [word for value in batch[column] for word in [group_text(value)] * times],
            type=pa.large_string(),
        )
        for kind, column in reading.groups.items()
    }
    if reading.cwes:
        lists = [names for value in batch[reading.cwes] for names in [cwes_of(value)] * times]
        columns["cwe"] = pa.array(lists, type=pa.list_(pa.large_string()))
    return pa.table(columns)


def _joined(tables: Sequence[Table]) -> Table:
    """The tables of a split's files, one after the other."""
    ends = np.cumsum([table.n_rows for table in tables]).tolist()
    first = tables[0]

    def together(name: str, join: Any) -> Any:
        parts = [value for table in tables if (value := getattr(table, name)) is not None]
        return join(parts) if parts else None

    return replace(
        first,
        n_rows=ends[-1],
        flags=together("flags", np.concatenate),
        labels=together("labels", np.concatenate),
        cwes=together("cwes", pa.concat_arrays),
        groups=together("groups", pa.concat_tables),
        starts=tuple(
            (table.path.name, start) for table, start in zip(tables, [0, *ends[:-1]], strict=True)
        ),
    )


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


def group_text(value: Any) -> str | None:
    """A project, commit, CVE or date as text; None where the row names none."""
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    if isinstance(value, (list, tuple)):
        return ", ".join(word for one in value if (word := group_text(one))) or None
    # Half a surrogate pair is no character, and Arrow holds none.
    return HALF_PAIR.sub("\ufffd", str(value)).encode("utf-8", "replace").decode() or None
