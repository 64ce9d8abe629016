"""Probabilities of models trained elsewhere: parquet, csv or npz, or a folder of such files."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from enstack.errors import DataError
from enstack.storage.arrays import read_arrays
from enstack.storage.files import sha256_file, sha256_json
from enstack.storage.json_text import parsed_json

__all__ = ["GivenProbabilities", "digest_of_files", "files_of", "read_given"]

SEEN_WORDS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


@dataclass(frozen=True)
class GivenProbabilities:
    """What a file says of functions, as it stands there.

    ids: (n,) unicode; probabilities: (n, k) float64 in the order of the class names; seen: (n,)
    bool, None where the file has no such marks; data: the fingerprint of the data that a file of
    another run names, else None.
    """

    ids: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray | None
    data: str | None = None


def files_of(place: Path) -> list[Path]:
    """The files of a place that is one of them, or a folder; DataError where there is none."""
    if place.is_file():
        files = [place]
    elif place.is_dir():
        files = sorted(path for path in place.iterdir() if path.suffix in READERS)
    else:
        raise DataError(
            f"There must be a file of probabilities, or a folder of them; {place} is absent. Name "
            f"one that ends in {', '.join(READERS)}."
        )
    if not files or files[0].suffix not in READERS:
        raise DataError(
            f"Probabilities must lie in a file that ends in {', '.join(READERS)}, or in a folder "
            f"of such files, found {place}."
        )
    return files


def digest_of_files(files: Sequence[Path]) -> str:
    """Tells the content of files from another: of one, its sha256."""
    digests = [sha256_file(path) for path in files]
    return digests[0] if len(digests) == 1 else sha256_json(digests)


def read_given(files: Sequence[Path], class_names: Sequence[str]) -> GivenProbabilities:
    """All rows of some files, one after the other; DataError for a file that can't be used."""
    parts = [READERS[path.suffix](path, class_names) for path in files]
    marked = {part.seen is not None for part in parts}
    if len(marked) > 1:
        raise DataError(
            f"Either each or none of the files in {files[0].parent} must say what was seen; "
            f"{sum(part.seen is None for part in parts)} of {len(parts)} do not."
        )
    return GivenProbabilities(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.seen for part in parts]) if marked == {True} else None,
        next((part.data for part in parts if part.data is not None), None),
    )


def _read_parquet(path: Path, class_names: Sequence[str]) -> GivenProbabilities:
    return _of_table(path, _tried(path, pd.read_parquet), class_names)


def _read_csv(path: Path, class_names: Sequence[str]) -> GivenProbabilities:
    def read(path: Path) -> pd.DataFrame:
        # As text: an id must stay as it is, and "NA" is no number that is missing.
        return pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)

    return _of_table(path, _tried(path, read), class_names)


def _read_npz(path: Path, class_names: Sequence[str]) -> GivenProbabilities:
    arrays = _tried(path, lambda file: read_arrays(file, ("ids", "probabilities")))
    seen, origin = _optional(path, "seen"), _optional(path, "made_from")
    text = "" if origin is None else str(origin)
    data = dict(parsed_json(text)).get("data") if text.startswith("{") else None
    probabilities = _numbers(path, arrays["probabilities"])
    if probabilities.ndim != 2 or len(probabilities) != len(arrays["ids"]):
        raise DataError(
            f"{path} must hold ids (n,) and probabilities (n, {len(class_names)}), found shapes "
            f"{arrays['ids'].shape} and {probabilities.shape}."
        )
    order = _column_order(path, _optional(path, "class_names"), data, class_names)
    if probabilities.shape[1] != len(class_names):
        raise DataError(
            f"{path} must hold {len(class_names)} probabilities of each function "
            f"({', '.join(class_names)}), found {probabilities.shape[1]}."
        )
    marks = None if seen is None else _marks(path, seen)
    return GivenProbabilities(arrays["ids"].astype(str), probabilities[:, order], marks, data)


def _column_order(
    path: Path, names: np.ndarray | None, data: str | None, class_names: Sequence[str]
) -> list[int]:
    """Which column each class has; a run's own file has the classes of its data in their order."""
    if names is None and data is None:
        raise DataError(
            f"{path} must hold class_names too, one for each column of its probabilities: "
            f"{', '.join(class_names)}, in any order."
        )
    listed = list(class_names) if names is None else [str(name) for name in names]
    _require_columns(path, listed, class_names)
    return [listed.index(name) for name in class_names]


def _of_table(path: Path, table: pd.DataFrame, class_names: Sequence[str]) -> GivenProbabilities:
    columns = [str(column) for column in table.columns]
    table.columns = pd.Index(columns)
    _require_columns(path, columns, ("id", *class_names))
    values = [_numbers(path, table[name].to_numpy()) for name in class_names]
    seen = _marks(path, table["seen"].to_numpy()) if "seen" in columns else None
    return GivenProbabilities(table["id"].astype(str).to_numpy(str), np.column_stack(values), seen)


def _require_columns(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> None:
    twice = sorted({name for name in wanted if columns.count(name) > 1})
    missing = [name for name in wanted if name not in columns]
    if missing or twice:
        near = {name: difflib.get_close_matches(name, columns, n=1) for name in missing}
        told = [f"{name} (nearest: {found[0]})" if found else name for name, found in near.items()]
        fault = f"missing {', '.join(told)}" if missing else f"twice there: {', '.join(twice)}"
        raise DataError(
            f"{path} must have the columns {', '.join(wanted)}, and may have seen; {fault}. Found "
            f"{', '.join(columns[:12]) or 'nothing'}."
        )


def _numbers(path: Path, values: np.ndarray) -> np.ndarray:
    """As float64; what is no number at all is told with its row."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        parsed = pd.to_numeric(pd.Series(values.ravel()), errors="coerce").to_numpy()
        row = int(np.flatnonzero(np.isnan(parsed))[0])
        raise DataError(
            f"{path}: probabilities must be numbers, found {values.ravel()[row]!r:.40} in row "
            f"{row} (rows count from 0; {int(np.isnan(parsed).sum()):,} such values)."
        ) from None


def _marks(path: Path, values: np.ndarray) -> np.ndarray:
    words = [SEEN_WORDS.get(str(value).strip().lower()) for value in values.ravel()]
    unknown = [row for row, word in enumerate(words) if word is None]
    if unknown:
        raise DataError(
            f"{path}: seen must be true or false in every row, found "
            f"{values.ravel()[unknown[0]]!r:.40} in row {unknown[0]} (rows count from 0; "
            f"{len(unknown):,} such rows)."
        )
    return np.array(words, dtype=bool)


def _optional(path: Path, name: str) -> np.ndarray | None:
    try:
        return read_arrays(path, (name,))[name]
    except ValueError:
        return None  # an array that is not there


def _tried(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    # Each of three formats has exceptions of its own for a file that is none.
    except (OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise DataError(
            f"{path} can't be read as {path.suffix[1:]}: {' '.join(str(error).split())[:200]}."
        ) from error


READERS: dict[str, Callable[[Path, Sequence[str]], GivenProbabilities]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".npz": _read_npz,
}
