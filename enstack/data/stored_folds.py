"""The folds of a run as a file: a run that goes on reads them, whatever would be found today."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from enstack.data.holdout import Folds
from enstack.storage.arrays import read_arrays
from enstack.storage.files import write_bytes
from enstack.storage.json_text import json_text, parsed_json

__all__ = ["read_folds", "write_folds"]


def write_folds(path: Path, ids: np.ndarray, folds: Folds) -> None:
    """Store the folds of these training functions (n,), unless they are stored already."""
    stored = read_folds(path, ids)
    if stored is None or stored.digest != folds.digest:
        file = io.BytesIO()
        together = np.array(json_text(folds.kept_together))
        np.savez_compressed(file, ids=ids, fold_of=folds.fold_of, kept_together=together)
        write_bytes(path, file.getvalue())


def read_folds(path: Path, ids: np.ndarray) -> Folds | None:
    """The folds of these training functions (n,), None where the file does not tell them."""
    try:
        arrays = read_arrays(path, ("ids", "fold_of", "kept_together"))
        folds = Folds(arrays["fold_of"], dict(parsed_json(str(arrays["kept_together"]))))
    except (OSError, ValueError, TypeError):
        return None  # lost: they are made again, and held against their digest
    return folds if np.array_equal(arrays["ids"], ids) else None
