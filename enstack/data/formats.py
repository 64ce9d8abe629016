"""The files of a data folder, whatever their format: columns in batches, strangers refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from enstack.data.csv_tables import csv_header, csv_rows
from enstack.data.hdf5_datasets import dataset_names, require_own_datasets
from enstack.data.json_lines import json_records
from enstack.data.other_names import USUAL_LABELS, USUAL_TEXTS, files_of_split
from enstack.data.strangers import readable
from enstack.errors import DataError

# Their order counts: a split's number is part of its subset's seed, and fingerprints follow it.
SPLITS = ("train", "validation", "test")
# In the order of the rule `priority`: of several flags, the first one wins.
CWE_COLUMNS = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
TABLE_COLUMNS = ("func", "label", *CWE_COLUMNS)  # what is read of a table
VDISC_NAMES = {"train": "VDISC_train", "validation": "VDISC_validate", "test": "VDISC_test"}
FORMATS = ("hdf5", "jsonl", "csv", "parquet")
# A batch is held as Python objects and as Arrow at once: with 8,192 rows that was the peak of
# all memory.
BATCH_ROWS = 2048
BATCH_BYTES = 64 << 20

Batch = dict[str, Any]  # column -> (rows,) array or list of one batch


def split_files(folder: Path) -> dict[str, Path]:
    """The file of each split, all in one format; DataError says what is missing or doubled."""
    if not folder.is_dir():
        raise DataError(
            f"data_dir must be a folder, {folder} {'is a file' if folder.exists() else 'is absent'}"
            ". Check the path (on Colab: is Drive mounted?)."
        )
    by_format = {name: _files_of(folder, name) for name in FORMATS}
    present = {name: files for name, files in by_format.items() if files}
    # None goes before another: a guess could train on the wrong one without a word.
    if len(present) > 1:
        names = ", ".join(path.name for files in present.values() for path in files.values())
        raise DataError(f"{folder} must hold one format, found {names}. Move one format away.")
    files = next(iter(present.values()), {})
    if len(files) < len(SPLITS):
        raise DataError(_missing_files(folder, files, next(iter(present), None)))
    return files


def as_objects(values: Iterable[Any]) -> np.ndarray:
    """The values as a one-dimensional object array, whatever they are; (n,)."""
    listed = list(values)
    objects = np.empty(len(listed), dtype=object)
    objects[:] = listed
    return objects


def _files_of(folder: Path, suffix: str) -> dict[str, Path]:
    names = _names(suffix)
    paths = {split: folder / f"{names[split]}.{suffix}" for split in SPLITS}
    return {split: path for split, path in paths.items() if path.is_file()}


def _names(suffix: str) -> dict[str, str]:
    return VDISC_NAMES if suffix == "hdf5" else {split: split for split in SPLITS}


def _missing_files(folder: Path, files: dict[str, Path], suffix: str | None) -> str:
    renames = _renames(folder, files, [suffix] if suffix else FORMATS)
    if suffix is None:
        there = sorted(path.name for path in folder.iterdir())
        found = f"found {', '.join(there[:5])}" if there else "it is empty"
        more = f" and {len(there) - 5} more" if len(there) > 5 else ""
        return (
            f"{folder} must hold VDISC_train.hdf5, VDISC_validate.hdf5, VDISC_test.hdf5, or train, "
            f"validation, test as .jsonl, .csv or .parquet; {found}{more}.{renames}"
        )
    missing = [f"{_names(suffix)[split]}.{suffix}" for split in SPLITS if split not in files]
    present = ", ".join(path.name for path in files.values())
    return (
        f"{folder} must hold all three splits, missing {', '.join(missing)} "
        f"(found {present}).{renames}"
    )


def _renames(folder: Path, files: dict[str, Path], formats: Sequence[str]) -> str:
    """Which files to rename, where some are splits under other usual names; empty for none."""
    renames = []
    for suffix, split in product(formats, SPLITS):
        endings = ("hdf5", "h5") if suffix == "hdf5" else (suffix,)
        paths = [path for path in folder.iterdir() if path.suffix.lower()[1:] in endings]
        stems = files_of_split(split, {path.stem for path in paths if path not in files.values()})
        others = [path.name for path in paths if path.stem in stems]
        if others and split not in files:
            either = " or ".join(sorted(others))
            renames.append(f"{either} to {_names(suffix)[split]}.{suffix}")
    return f" Rename {', '.join(renames)}." if renames else ""


@dataclass(frozen=True)
class _Reader:
    """How one format is read: its column names, and batches of some columns."""

    columns: Callable[[Path], list[str]]
    batches: Callable[[Path, Sequence[str]], Iterator[Batch]]


def _hdf5_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    # No lock: Drive refuses them. The cache holds a whole compressed chunk, which would else be
    # unpacked again for every slice of it.
    with (
        readable(path),
        h5py.File(path, "r", locking=False, rdcc_nbytes=BATCH_BYTES) as file,
    ):
        require_own_datasets(path, file, ("functionSource", *CWE_COLUMNS))
        datasets = {column: file[column] for column in columns}
        # Texts of fixed width take as many bytes as the longest, each: fewer of them make a batch.
        width = max(dataset.dtype.itemsize for dataset in datasets.values())
        step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(width, 1)))
        for start in range(0, len(datasets[columns[0]]), step):
            yield {column: data[start : start + step] for column, data in datasets.items()}


def _csv_columns(path: Path) -> list[str]:
    return csv_header(path, (*TABLE_COLUMNS, *USUAL_TEXTS, *USUAL_LABELS))


def _csv_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    with readable(path):
        rows = csv_rows(path, columns)
        while batch := list(islice(rows, BATCH_ROWS)):
            by_column = zip(columns, zip(*batch, strict=True), strict=True)
            yield {column: as_objects(values) for column, values in by_column}


def _jsonl_columns(path: Path) -> list[str]:
    # The first row alone: each later one is held against it when it is read.
    return list(next(json_records(path, TABLE_COLUMNS), {}))


def _jsonl_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    records = json_records(path, TABLE_COLUMNS)
    first_row = 0
    with readable(path):
        while rows := list(islice(records, BATCH_ROWS)):
            for row, record in enumerate(rows, start=first_row):
                lacking = [column for column in columns if column not in record]
                if lacking:
                    raise DataError(
                        f"{path.name}: every row must have {', '.join(lacking)}, row {row} has not "
                        "(rows count from 0)."
                    )
            yield {column: as_objects(record[column] for record in rows) for column in columns}
            first_row += len(rows)


def _parquet_columns(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names)


def _parquet_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    with readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
            yield {column: _arrow_values(batch.column(column)) for column in columns}


def _arrow_values(column: Any) -> Any:
    """A column as Python values; texts as bytes, for a file may hold texts that are no UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_binary())
    return as_objects(column.to_pylist())


_READERS = {
    ".hdf5": _Reader(dataset_names, _hdf5_batches),
    ".csv": _Reader(_csv_columns, _csv_batches),
    ".jsonl": _Reader(_jsonl_columns, _jsonl_batches),
    ".parquet": _Reader(_parquet_columns, _parquet_batches),
}


def reader_of(path: Path) -> _Reader:
    """How a file is read, by its ending."""
    return _READERS[path.suffix]
