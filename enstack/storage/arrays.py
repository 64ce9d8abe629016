"""Arrays in .npz files, read without running anything that a file could hold."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.errors import reason_of
from enstack.storage.links import require_file_place

__all__ = ["read_arrays", "require_forms"]

# How much larger than their file arrays may be: what is written here is not packed at all.
MOST_UNPACKED = 100
SMALL = 1 << 26  # bytes that any machine has


def read_arrays(
    path: Path, names: Sequence[str], *, optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Arrays of a file by name; ValueError with the reason for a file that does not hold them.

    optional: names that files of older versions lack; they are read where they are.
    Raises FileNotFoundError for one that is missing. Objects are refused, for numpy stores them as
    a pickle, which could run whatever code its writer put there.
    """
    try:
        require_file_place(path)
        with path.open("rb") as file:
            _require_moderate_size(path)
            with np.load(file, allow_pickle=False) as stored:
                there = [name for name in optional if name in stored]
                return {name: stored[name] for name in (*names, *there)}
    except FileNotFoundError:
        raise
    except KeyError as error:
        raise ValueError(error.args[0]) from error
    # A file that is not whole, not zip, or a bare array: numpy and zip have an exception for each.
    except (OSError, ValueError, EOFError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(_plainly(error)) from error
    except (zipfile.BadZipFile, zlib.error, MemoryError, tokenize.TokenError) as error:
        raise ValueError(_plainly(error)) from error


def require_forms(arrays: Mapping[str, NDArray[Any]], forms: Mapping[str, tuple[str, int]]) -> None:
    """Raise ValueError for an array of another kind of type (numpy's letter) or number of axes."""
    for name, form in forms.items():
        found = arrays[name].dtype.kind, arrays[name].ndim
        if found != form:
            raise ValueError(f"{name} must be of kind {form}, found {found}")


def _require_moderate_size(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return  # numpy says what it is
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(SMALL, MOST_UNPACKED * path.stat().st_size):
        raise ValueError(f"it would unpack to {unpacked:,} bytes")


def _plainly(error: BaseException) -> str:
    if "pickled" in str(error) or "Object arrays" in str(error):
        return "it holds Python objects and not numbers, which are never loaded"
    return " ".join(reason_of(error).split())
