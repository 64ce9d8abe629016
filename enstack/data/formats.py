"""The files of a data folder, whatever their format: columns in batches, strangers refused."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from enstack.errors import DataError

# Their order counts: a split's number is part of its subset's seed, and fingerprints follow it.
SPLITS = ("train", "validation", "test")
# In the order of the rule `priority`: of several flags, the first one wins.
CWE_COLUMNS = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
VDISC_NAMES = {"train": "VDISC_train", "validation": "VDISC_validate", "test": "VDISC_test"}
FORMATS = ("hdf5", "jsonl", "csv", "parquet")
# A batch is held as Python objects and as Arrow at once: with 8,192 rows that was the peak of
# all memory.
BATCH_ROWS = 2048
BATCH_BYTES = 64 << 20
LONGEST_FIELD = 1 << 30  # bytes that Python's csv takes for one function, instead of 128 KiB

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
    names = VDISC_NAMES if suffix == "hdf5" else {split: split for split in SPLITS}
    paths = {split: folder / f"{names[split]}.{suffix}" for split in SPLITS}
    return {split: path for split, path in paths.items() if path.is_file()}


def _missing_files(folder: Path, files: dict[str, Path], suffix: str | None) -> str:
    if suffix is None:
        there = sorted(path.name for path in folder.iterdir())
        found = f"found {', '.join(there[:5])}" if there else "it is empty"
        more = f" and {len(there) - 5} more" if len(there) > 5 else ""
        return (
            f"{folder} must hold VDISC_train.hdf5, VDISC_validate.hdf5, VDISC_test.hdf5, or train, "
            f"validation, test as .jsonl, .csv or .parquet; {found}{more}."
        )
    names = VDISC_NAMES if suffix == "hdf5" else {split: split for split in SPLITS}
    missing = [f"{names[split]}.{suffix}" for split in SPLITS if split not in files]
    present = ", ".join(path.name for path in files.values())
    return f"{folder} must hold all three splits, missing {', '.join(missing)} (found {present})."


def refuse_strangers(path: Path) -> None:
    """DataError for what is no data at all: an empty file, a web page, a pointer to a file."""
    with readable(path), path.open("rb") as file:
        # Seen in the wild: an error page saved under the data's name.
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise DataError(f"{path.name} must hold functions, it is empty. Download it again.")
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")):
        raise DataError(
            f"{path.name} looks like a web page, not {path.suffix[1:]} data: the download was "
            "answered with an error or sign-in page. Download it again."
        )
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{path.name} is a Git LFS pointer, not the data. Run `git lfs pull`.")
    if path.suffix == ".hdf5" and not h5py.is_hdf5(path):
        raise DataError(f"{path.name} must be an HDF5 file, it is none. Download it again.")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a library says about a damaged file into one DataError."""
    try:
        yield
    except DataError:
        raise
    # Warning: of rows that are too long pandas only warns, and _csv_batches raises it.
    except (OSError, ValueError, RuntimeError, KeyError, Warning) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path.name} can't be read, it may be truncated or damaged: {reason}\n"
            "Download or copy it again."
        ) from error


@dataclass(frozen=True)
class _Reader:
    """How one format is read: its column names, and batches of some columns."""

    columns: Callable[[Path], list[str]]
    batches: Callable[[Path, Sequence[str]], Iterator[Batch]]


def _hdf5_columns(path: Path) -> list[str]:
    with h5py.File(path, "r", locking=False) as file:
        return [name for name in file if isinstance(file[name], h5py.Dataset)]


def _hdf5_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    # No lock: Drive refuses them. The cache holds a whole compressed chunk, which would else be
    # unpacked again for every slice of it.
    with (
        readable(path),
        h5py.File(path, "r", locking=False, rdcc_nbytes=BATCH_BYTES) as file,
    ):
        _require_equal_lengths(path, file)
        datasets = {column: file[column] for column in columns}
        # Texts of fixed width take as many bytes as the longest, each: fewer of them make a batch.
        width = max(dataset.dtype.itemsize for dataset in datasets.values())
        step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(width, 1)))
        for start in range(0, len(datasets[columns[0]]), step):
            yield {column: data[start : start + step] for column, data in datasets.items()}


def _require_equal_lengths(path: Path, file: Any) -> None:
    for column in ("functionSource", *CWE_COLUMNS):
        if file[column].ndim != 1:
            raise DataError(
                f"{path.name}: {column} must have one value a row, its shape is "
                f"{file[column].shape}."
            )
    # h5py cuts a slice at the end of its column without a word: the batches would not fit.
    n_texts = len(file["functionSource"])
    for column in CWE_COLUMNS:
        if len(file[column]) != n_texts:
            raise DataError(
                f"{path.name}: all keys must have equal lengths, functionSource has {n_texts:,} "
                f"rows and {column} has {len(file[column]):,}. Download it again."
            )


def _csv_columns(path: Path) -> list[str]:
    header = pd.read_csv(path, nrows=0, encoding="utf-8-sig", encoding_errors="surrogateescape")
    return [str(name) for name in header.columns]


def _csv_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    # index_col=False: a row with too many fields must be an error, not a shift of all columns.
    csv.field_size_limit(LONGEST_FIELD)
    with readable(path), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        chunks = pd.read_csv(
            path,
            index_col=False,
            # As it stands: pandas would else read "NA" or "null" as missing, and 1 as a number.
            dtype=object,
            keep_default_na=False,
            encoding="utf-8-sig",
            # Bytes that are no UTF-8 come through: as_text decodes and counts them.
            encoding_errors="surrogateescape",
            chunksize=BATCH_ROWS,
            # pandas 2's parser in C ends a field at NUL, and the rest of the function is lost.
            engine="python" if _holds_nul(path) else "c",
        )
        with chunks:
            for chunk in chunks:
                yield {column: chunk[column].to_numpy() for column in columns}


def _holds_nul(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b"\0" in part for part in iter(lambda: file.read(1 << 20), b""))


def _jsonl_records(path: Path) -> Iterator[dict[str, Any]]:
    with readable(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8", "surrogateescape").strip("\ufeff \t\r\n")
            if text:
                yield _record(path, text, number)


def _record(path: Path, text: str, line: int) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{path.name}: line {line} must be one JSON object: {error}. "
            "If it is the last line, the download was cut short."
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{path.name}: line {line} must be one JSON object, found {text[:40]!r}.")
    return record


def _jsonl_columns(path: Path) -> list[str]:
    # The first row alone: each later one is held against it when it is read.
    return list(next(_jsonl_records(path), {}))


def _jsonl_batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    records = _jsonl_records(path)
    first_row = 0
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
    ".hdf5": _Reader(_hdf5_columns, _hdf5_batches),
    ".csv": _Reader(_csv_columns, _csv_batches),
    ".jsonl": _Reader(_jsonl_columns, _jsonl_batches),
    ".parquet": _Reader(_parquet_columns, _parquet_batches),
}


def reader_of(path: Path) -> _Reader:
    """How a file is read, by its ending."""
    return _READERS[path.suffix]
