"""Datasets of an HDF5 file that hold their own values; what leads to other files is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from enstack.errors import DataError

__all__ = ["dataset_names", "require_own_datasets"]


def dataset_names(path: Path) -> list[str]:
    """The datasets at the top of a file, links apart: nothing but this file is opened for it."""
    with h5py.File(path, "r", locking=False) as file:
        # A link is named too, so that it is refused as one and not as missing.
        return [name for name in file if _is_link(file, name) or _is_dataset(file, name)]


def require_own_datasets(path: Path, file: Any, columns: Sequence[str]) -> None:
    """DataError for columns that lie elsewhere, can't be unpacked, or differ in length."""
    for column in columns:
        # Before it is opened: where a link leads to, opening alone may hang, or read what no one
        # meant to hand out.
        if _is_link(file, column):
            _refuse(path, column, "is a link. Write the values themselves into the file.")
        dataset = file[column]
        if dataset.external or dataset.is_virtual:
            _refuse(path, column, "keeps its values in other files. Write them into this one.")
        _require_filters(path, column, dataset)
        if dataset.ndim != 1:
            _refuse(path, column, f"must have one value a row, its shape is {dataset.shape}.")
    _require_equal_lengths(path, file, columns)


def _require_filters(path: Path, column: str, dataset: Any) -> None:
    settings = dataset.id.get_create_plist()
    for number in range(settings.get_nfilters()):
        code, _, _, name = settings.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            what = name.decode("latin-1") or str(code)
            _refuse(
                path, column, f"is packed with {what}, which h5py lacks here. Pack it with gzip."
            )


def _require_equal_lengths(path: Path, file: Any, columns: Sequence[str]) -> None:
    # h5py cuts a slice at the end of its column without a word: the batches would not fit.
    first, *others = columns
    for column in others:
        if len(file[column]) != len(file[first]):
            raise DataError(
                f"{path.name}: all keys must have equal lengths, {first} has "
                f"{len(file[first]):,} rows and {column} has {len(file[column]):,}. "
                "Another copy will have them too: write the file anew."
            )
    # Rows that were declared and never written read as blanks, however many they are.
    if len(file[first]) and not file[first].id.get_storage_size():
        _refuse(path, first, f"has {len(file[first]):,} rows and no value. Write the file anew.")


def _is_link(file: Any, name: str) -> bool:
    return file.get(name, getclass=True, getlink=True) is not h5py.HardLink


def _is_dataset(file: Any, name: str) -> bool:
    return isinstance(file[name], h5py.Dataset)


def _refuse(path: Path, column: str, fault: str) -> None:
    raise DataError(f"{path.name}: {column} {fault}")
