"""The training state's file, read without executing anything in it."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enstack.checkpoints.slots import STATE_FILE
from enstack.errors import CheckpointError
from enstack.storage.pickles import UNREADABLE, why_unreadable

# Old checkpoints hold metrics as numpy scalars, pickled under numpy 1 or 2; these rebuild a number
# and can do nothing else.
_scalar = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
    codecs.encode,
]


def read_state(folder: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read a training state onto the CPU; nothing in it is ever executed.

    mapped: leave the tensors in the file, to look at them only: they go with it.
    """
    path = folder / STATE_FILE
    try:
        # Files that torch wrote before 2020 are no archives and can't be mapped.
        mmap = mapped and zipfile.is_zipfile(path)
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except UNREADABLE as error:
        raise CheckpointError(f"{path} can't be read: {why_unreadable(error)}.") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} must hold a dictionary, found {type(state).__name__}.")
    return state
