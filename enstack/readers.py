"""The files of a data folder, whatever their format: columns in batches, strangers refused."""

from __future__ import annotations

import csv
import difflib
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

SPLITS = ("train", "validation", "test")
CWE_COLUMNS = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
VDISC_NAMES = {"train": "VDISC_train", "validation": "VDISC_validate", "test": "VDISC_test"}
FORMATS = ("hdf5", "jsonl", "csv", "parquet")
BATCH_ROWS = 2048
BATCH_BYTES = 64 << 20
LONGEST_FIELD = 1 << 30  # bytes that Python's csv takes for one function, instead of 128 KiB
FLAG_CODES = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
MISSING, UNKNOWN = -1, -2  # what stands for a flag that is NaN, and for one that is no flag
MISSING_WORDS = ("", "nan", "none", "null", "<na>")

Batch = dict[str, Any]  # column -> (rows,) array or list of one batch


@dataclass(frozen=True)
class Table:
    """The label columns of one split: five flags, or one column of labels, for each row."""

    path: Path
    n_rows: int
    flags: np.ndarray | None  # (n_rows, 5) int8, 0 or 1
    labels: np.ndarray | None  # (n_rows,) object, as the file holds them
    both: bool = False  # the file has a label column too, which the flags overrule


def split_files(folder: Path) -> dict[str, Path]:
    """The file of each split, all in one format; DataError says what is missing or doubled."""
    if not folder.is_dir():
        raise DataError(
            f"data_dir must be a folder, {folder} {'is a file' if folder.exists() else 'is absent'}"
            ". Check the path (on Colab: is Drive mounted?)."
        )
    found = {name: _files_of(folder, name) for name in FORMATS}
    present = {name: files for name, files in found.items() if files}
    if len(present) > 1:
        names = ", ".join(path.name for files in present.values() for path in files.values())
        raise DataError(f"{folder} must hold one format, found {names}. Move one format away.")
    files = next(iter(present.values()), {})
    if len(files) < len(SPLITS):
        raise DataError(_missing_files(folder, files, next(iter(present), None)))
    return files


def read_table(path: Path) -> Table:
    """Read and check the label columns of one split; the texts stay in the file."""
    _refuse_strangers(path)
    reader = _reader(path)
    with _readable(path):
        names = reader.columns(path)
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
    for column, codes in columns.items():
        _require_flags(path, column, codes)
    return Table(path, n_rows, np.column_stack([columns[c] for c in CWE_COLUMNS]), None, both)


def read_sources(path: Path) -> Iterator[tuple[pa.Array, np.ndarray]]:
    """All functions of one split in file order, a batch of rows at a time.

    Yields (sources, decoded_otherwise): large_string (rows,), and bool (rows,), true where the
    bytes were no UTF-8 and were read as latin-1. A missing text becomes an empty one.
    """
    column = "functionSource" if path.suffix == ".hdf5" else "func"
    first_row = 0
    for batch in _reader(path).batches(path, (column,)):
        values = list(batch[column])
        yield as_text([_as_bytes(v, path, first_row + i) for i, v in enumerate(values)])
        first_row += len(values)


def as_text(values: list[bytes]) -> tuple[pa.Array, np.ndarray]:
    """Decode texts as UTF-8, those that are none as latin-1; says which those were."""
    raw = pa.array(values, type=pa.large_binary())
    try:
        return raw.cast(pa.large_string()), np.zeros(len(values), dtype=bool)
    except pa.ArrowInvalid:
        decoded = [_decode(value) for value in values]
    texts = pa.array([text for text, _ in decoded], type=pa.large_string())
    return texts, np.array([otherwise for _, otherwise in decoded], dtype=bool)


def flag_codes(values: Any) -> np.ndarray:
    """0 and 1 for flags of any type, MISSING for NaN, UNKNOWN for the rest; (n,) int8."""
    array = values if isinstance(values, np.ndarray) else as_objects(values)
    if array.dtype.kind == "b":
        return array.astype(np.int8)
    if array.dtype.kind in "iuf":
        codes = np.select([array == 0, array == 1, np.isnan(array)], [0, 1, MISSING], UNKNOWN)
        return codes.astype(np.int8)
    return np.fromiter((_flag_code(value) for value in array), dtype=np.int8, count=len(array))


def as_objects(values: Iterable[Any]) -> np.ndarray:
    """The values as a one-dimensional object array, whatever they are; (n,)."""
    listed = list(values)
    objects = np.empty(len(listed), dtype=object)
    objects[:] = listed
    return objects


def _flag_code(value: Any) -> int:
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
    if value is None:
        return b""
    if not isinstance(value, str):
        raise DataError(
            f"{path.name}: the function of row {row} must be text, found {value!r} "
            "(rows count from 0). Fix or remove the row."
        )
    try:
        return value.encode()
    except UnicodeEncodeError:
        return _encode_surrogates(value)


def _encode_surrogates(text: str) -> bytes:
    """The bytes behind a text that is no Unicode: escaped ones first, else lone surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _decode(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), False
    except UnicodeDecodeError:
        return value.decode("latin-1"), True


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
    found = ", ".join(path.name for path in files.values())
    return f"{folder} must hold all three splits, missing {', '.join(missing)} (found {found})."


def _label_columns(path: Path, found: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Which columns hold the labels, and whether a label column is passed over."""
    text = "functionSource" if path.suffix == ".hdf5" else "func"
    has_label = path.suffix != ".hdf5" and "label" in found
    flags = [column for column in CWE_COLUMNS if column in found]
    missing = [] if text in found else [text]
    if not has_label:
        missing += [column for column in CWE_COLUMNS if column not in found]
    if missing:
        raise DataError(_missing_columns(path, missing, found))
    return (CWE_COLUMNS, has_label) if len(flags) == len(CWE_COLUMNS) else (("label",), False)


def _missing_columns(path: Path, missing: Sequence[str], found: Sequence[str]) -> str:
    lowered = {name.lower(): name for name in found}
    named = []
    for column in missing:
        near = difflib.get_close_matches(column.lower(), lowered, n=1, cutoff=0.5)
        named.append(f"{column} (nearest: {lowered[near[0]]})" if near else column)
    rule = (
        "must have functionSource and the five CWE keys"
        if path.suffix == ".hdf5"
        else "must have the columns func and label, or func and the five CWE columns"
    )
    has = ", ".join(list(found)[:12]) or "nothing"
    return f"{path.name} {rule}; missing {', '.join(named)}.\nFound {has}."


def _refuse_strangers(path: Path) -> None:
    """DataError for what is no data at all: an empty file, a web page, a pointer to a file."""
    with _readable(path), path.open("rb") as file:
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
def _readable(path: Path) -> Iterator[None]:
    """Turn what a library says about a damaged file into one DataError."""
    try:
        yield
    except DataError:
        raise
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
        _readable(path),
        h5py.File(path, "r", locking=False, rdcc_nbytes=BATCH_BYTES) as file,
    ):
        _require_equal_lengths(path, file)
        datasets = {column: file[column] for column in columns}
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
    with _readable(path), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        chunks = pd.read_csv(
            path,
            index_col=False,
            dtype=object,
            keep_default_na=False,
            encoding="utf-8-sig",
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
    row = 0
    with _readable(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8", "surrogateescape").strip("\ufeff \t\r\n")
            if text:
                yield _record(path, text, number)
                row += 1


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
    with _readable(path), pq.ParquetFile(path) as file:
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


def _reader(path: Path) -> _Reader:
    return _READERS[path.suffix]
