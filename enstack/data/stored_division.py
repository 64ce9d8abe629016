"""The division of a table as a file: a run that goes on reads it, whatever would be found today."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from enstack.data.division import Division
from enstack.data.split_files import SPLITS
from enstack.storage.arrays import read_arrays
from enstack.storage.files import write_bytes
from enstack.storage.json_text import json_text, parsed_json

__all__ = ["read_division", "write_division"]


def write_division(path: Path, division: Division) -> None:
    """Store how a table was divided, unless it is stored already."""
    stored = read_division(path)
    if stored is None or not _alike(stored, division):
        told = {
            "by": division.by,
            "seed": division.seed,
            "of": division.of,
            "details": division.details,
        }
        file = io.BytesIO()
        np.savez_compressed(file, split_of=division.split_of, told=np.array(json_text(told)))
        write_bytes(path, file.getvalue())


def read_division(path: Path) -> Division | None:
    """A stored division; None where there is none, or none that can be used."""
    try:
        arrays = read_arrays(path, ("split_of", "told"))
        split_of, told = arrays["split_of"], dict(parsed_json(str(arrays["told"])))
        division = Division(split_of.astype(np.int8, casting="safe"), **told)
    except (OSError, ValueError, TypeError):
        return None  # lost: it is made again, and the fingerprint of the data tells another one
    ours = ((split_of >= 0) & (split_of < len(SPLITS))).all()
    return division if split_of.ndim == 1 and ours else None


def _alike(one: Division, other: Division) -> bool:
    return one.of == other.of and np.array_equal(one.split_of, other.split_of)
