"""A file of functions, whatever its format: the names of its columns, and columns in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from enstack.data.csv_tables import csv_header, csv_rows
from enstack.data.hdf5_datasets import dataset_names, require_own_datasets
from enstack.data.json_lines import json_names, sized_records
from enstack.data.opened import format_of
from enstack.data.other_names import USUAL_LABELS, USUAL_TEXTS
from enstack.data.strangers import readable
from enstack.errors import DataError

# In the order of the rule `priority`: of several flags, the first one wins.
CWE_COLUMNS = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
# A table's own columns, and those that other data sets have in their place.
TABLE_COLUMNS = ("func", "label", *CWE_COLUMNS)
KNOWN_COLUMNS = (*TABLE_COLUMNS, *USUAL_TEXTS, *USUAL_LABELS)
# A batch is held as Python objects and as Arrow at once: with 8,192 rows that was the peak of
# all memory.
BATCH_ROWS = 2048
BATCH_BYTES = 64 << 20
BATCH_TEXT = 16 << 20  # characters of JSON: a list of tokens takes twenty times as much

Row = TypeVar("Row")
Batch = dict[str, Any]  # column -> (rows,) array or list of one batch


def as_objects(values: Iterable[Any]) -> np.ndarray:
    """The values as a one-dimensional object array, whatever they are; (n,)."""
    listed = list(values)
    objects = np.empty(len(listed), dtype=object)
    objects[:] = listed
    return objects


@dataclass(frozen=True)
class _Reader:
    """How one format is read: its column names, and batches of some columns.

    batches: of a path, the columns that every row must have, and those that it may lack.
    """

    columns: Callable[[Path], list[str]]
    batches: Callable[..., Iterator[Batch]]


def _hdf5_batches(
    path: Path, columns: Sequence[str], helpful: Sequence[str] = ()
) -> Iterator[Batch]:
    # No lock: Drive refuses them. The cache holds a whole compressed chunk, which would else be
    # unpacked again for every slice of it.
    with (
        readable(path),
        h5py.File(path, "r", locking=False, rdcc_nbytes=BATCH_BYTES) as file,
    ):
        require_own_datasets(path, file, ("functionSource", *CWE_COLUMNS))
        datasets = {column: file[column] for column in (*columns, *helpful)}
        # Texts of fixed width take as many bytes as the longest, each: fewer of them make a batch.
        width = max(dataset.dtype.itemsize for dataset in datasets.values())
        step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(width, 1)))
        for start in range(0, len(next(iter(datasets.values()))), step):
            yield {column: data[start : start + step] for column, data in datasets.items()}


def _csv_columns(path: Path) -> list[str]:
    return csv_header(path, KNOWN_COLUMNS)


def _csv_batches(
    path: Path, columns: Sequence[str], helpful: Sequence[str] = ()
) -> Iterator[Batch]:
    with readable(path):
        there = _there(path, _csv_columns(path), columns, helpful)
        rows = ((fields, sum(map(len, fields))) for fields in csv_rows(path, there))
        for batch in _in_batches(rows):
            by_column = zip(there, zip(*batch, strict=True), strict=True)
            yield _filled({column: as_objects(values) for column, values in by_column}, helpful)


def _json_columns(path: Path) -> list[str]:
    # Of the first rows: each later one is held against them when it is read.
    return json_names(path, KNOWN_COLUMNS)


def _json_batches(
    path: Path, columns: Sequence[str], helpful: Sequence[str] = ()
) -> Iterator[Batch]:
    records = sized_records(path, {*TABLE_COLUMNS, *columns, *helpful})
    first_row = 0
    with readable(path):
        for rows in _in_batches(records):
            for row, record in enumerate(rows, start=first_row):
                lacking = [column for column in columns if column not in record]
                if lacking:
                    raise DataError(
                        f"{path.name}: every row must have {', '.join(lacking)}, row {row} has not "
                        "(rows count from 0). Add it, or remove these rows."
                    )
            yield {
                column: as_objects(record.get(column) for record in rows)
                for column in (*columns, *helpful)
            }
            first_row += len(rows)


def _in_batches(rows: Iterator[tuple[Row, int]]) -> Iterator[list[Row]]:
    """So many rows at a time, fewer of long ones; beside each row stands its size."""
    batch: list[Row] = []
    size = 0
    for row, of_row in rows:
        batch.append(row)
        size += of_row
        if len(batch) >= BATCH_ROWS or size >= BATCH_TEXT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parquet_columns(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names)


def _parquet_batches(
    path: Path, columns: Sequence[str], helpful: Sequence[str] = ()
) -> Iterator[Batch]:
    with readable(path), pq.ParquetFile(path) as file:
        there = _there(path, list(file.schema_arrow.names), columns, helpful)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=there):
            yield from _parts(batch, there, helpful)


def _arrow_reader(path: Path) -> Any:
    """An Arrow file, or the stream that datasets.save_to_disk writes, mapped and not loaded."""
    source = pa.memory_map(str(path))
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)


def _arrow_columns(path: Path) -> list[str]:
    return list(_arrow_reader(path).schema.names)


def _arrow_batches(
    path: Path, columns: Sequence[str], helpful: Sequence[str] = ()
) -> Iterator[Batch]:
    with readable(path):
        reader = _arrow_reader(path)
        there = _there(path, list(reader.schema.names), columns, helpful)
        is_file = hasattr(reader, "num_record_batches")
        batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
        for batch in batches:
            yield from _parts(batch.select(there), there, helpful)


def _parts(batch: Any, there: Sequence[str], helpful: Sequence[str]) -> Iterator[Batch]:
    """A batch of Arrow's as Python values, fewer rows at a time where they are long."""
    per_row = max(1, batch.nbytes // max(1, len(batch)))
    step = max(1, min(BATCH_ROWS, BATCH_BYTES // per_row))
    for start in range(0, len(batch), step):
        part = batch.slice(start, step)
        yield _filled({name: _arrow_values(part.column(name)) for name in there}, helpful)


def _there(
    path: Path, names: Sequence[str], columns: Sequence[str], helpful: Sequence[str]
) -> list[str]:
    """The columns to read that a file has; DataError where it lacks one that every row must."""
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise DataError(
            f"{path.name} must have the columns of the other files, missing {', '.join(lacking)}."
        )
    return [*columns, *(column for column in helpful if column in names)]


def _filled(batch: Batch, helpful: Sequence[str]) -> Batch:
    """A batch with columns of nothing for those that the file lacks."""
    n_rows = len(next(iter(batch.values()), ()))
    return batch | {name: as_objects([None] * n_rows) for name in helpful if name not in batch}


def _arrow_values(column: Any) -> Any:
    """A column as Python values; texts as bytes, for a file may hold texts that are no UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_binary())
    return as_objects(column.to_pylist())


_READERS = {
    "hdf5": _Reader(dataset_names, _hdf5_batches),
    "csv": _Reader(_csv_columns, _csv_batches),
    "jsonl": _Reader(_json_columns, _json_batches),
    "json": _Reader(_json_columns, _json_batches),
    "parquet": _Reader(_parquet_columns, _parquet_batches),
    "arrow": _Reader(_arrow_columns, _arrow_batches),
}


def reader_of(path: Path) -> _Reader:
    """How a file is read, by its ending."""
    return _READERS[format_of(path)]
