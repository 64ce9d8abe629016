"""A file beside the data, flaw_lines.jsonl: the marked lines of functions, by split and row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from enstack.data.json_lines import json_records
from enstack.data.other_names import split_named
from enstack.data.split_files import WHOLE
from enstack.data.strangers import refuse_strangers
from enstack.errors import DataError

__all__ = ["LINES", "lines_from_file"]

LINES = pa.list_(pa.int32())
KEYS = ("split", "row", "lines")


def lines_from_file(path: Path, split: str, batches: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """The marked lines of each function of a split, a batch at a time, as LINES.

    batches: the functions, large_string. Raises DataError for a row or line that is not there.
    """
    marked, first = _marked(path, split), 0
    for sources in batches:
        listed = []
        for row, text in enumerate(sources, start=first):
            lines, place = marked.pop(row, ([], 0))
            if lines and lines[-1] > (n_lines := text.as_py().count("\n") + 1):
                _refuse(
                    path,
                    place,
                    f"lines must be 1 to {n_lines:,} in row {row} of {split}, found {lines[-1]:,}",
                )
            listed.append(lines)
        first += len(sources)
        yield pa.array(listed, type=LINES)
    for row, (_, place) in marked.items():
        _refuse(path, place, f"row must be 0 to {first - 1:,} in {split}, found {row:,}")


def _marked(path: Path, split: str) -> dict[int, tuple[list[int], int]]:
    """By row of a split: its lines, sorted, and the number of the object that tells them."""
    refuse_strangers(path)
    marked: dict[int, tuple[list[int], int]] = {}
    for place, record in enumerate(json_records(path, KEYS), start=1):
        if fault := _fault(record):
            _refuse(path, place, fault)
        if _split_of(record) in (split, ""):
            before, _ = marked.get(record["row"], ([], 0))
            marked[record["row"]] = sorted({*before, *record["lines"]}), place
    return marked


def _split_of(record: dict[str, Any]) -> str | None:
    """The split that an object names: empty where it names none, None where it names no split."""
    named = str(record.get("split", ""))
    return named if named in ("", WHOLE) else split_named(named)


def _fault(record: dict[str, Any]) -> str:
    row, lines = record.get("row"), record.get("lines")
    if _split_of(record) is None:
        return f"split must be train, validation or test, found {record['split']!r:.40}"
    if not _is_count(row, 0):
        return f"row must be a number from 0, found {row!r:.40}"
    if not isinstance(lines, list) or not all(_is_count(line, 1) for line in lines):
        return f"lines must be a list of numbers from 1, found {lines!r:.40}"
    return ""


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _refuse(path: Path, place: int, fault: str) -> NoReturn:
    raise DataError(f"{path.name}, object {place:,}: {fault}. Mend it, or move the file away.")
