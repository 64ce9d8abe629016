"""A data file as it is named and opened: its format, and its bytes unpacked as they are read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr, BinaryIO, TextIO, cast

import pyarrow as pa

from enstack.errors import DataError

__all__ = [
    "FORMAT_OF_ENDING",
    "LONGEST_ROW",
    "PACKED",
    "bare_stem",
    "format_of",
    "is_packed",
    "lines_of",
    "open_bytes",
    "open_text",
]

# Bytes or characters of one row. No function is as long; a file that has lost its line ends is.
LONGEST_ROW = 32 << 20
PACKED = {".gz": "gzip", ".zst": "zstd"}
FORMAT_OF_ENDING = {
    **{f".{name}": name for name in ("hdf5", "jsonl", "json", "csv", "parquet", "arrow")},
    ".h5": "hdf5",
    ".ndjson": "jsonl",
}


def is_packed(path: Path) -> bool:
    """Whether a file is unpacked while it is read, by its last ending."""
    return path.suffix.lower() in PACKED


def format_of(path: Path) -> str:
    """The format of a file by its name, as in "csv" of train.csv.gz; empty for none known."""
    return FORMAT_OF_ENDING.get(_unpacked(path).suffix.lower(), "")


def bare_stem(path: Path) -> str:
    """The name of a file without the endings that tell its format and packing."""
    return _unpacked(path).stem


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes from the start on, unpacked as they are read."""
    if not is_packed(path):
        return path.open("rb")
    # Arrow's own codecs: memory holds a few blocks, and a stream that is cut or rotten is refused.
    packed = pa.CompressedInputStream(pa.OSFile(str(path)), PACKED[path.suffix.lower()])
    return cast(BinaryIO, io.BufferedReader(packed))


def open_text(path: Path) -> TextIO:
    """A file's text with its line ends as they are, without a mark of UTF-8."""
    # surrogateescape: bytes that are no UTF-8 come through, and are decoded and counted later.
    return io.TextIOWrapper(
        open_bytes(path), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )


def lines_of(path: Path, file: IO[AnyStr]) -> Iterator[AnyStr]:
    """The lines of an opened file; DataError for one that is longer than any row may be."""
    number = 0
    while line := file.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW:
            raise DataError(
                f"{path.name}: a row must be shorter than {LONGEST_ROW >> 20} MiB, line {number:,} "
                "is longer. Write each row on a line of its own, or all rows as one array of JSON."
            )
        yield line


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if is_packed(path) else path
