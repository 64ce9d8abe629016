"""Predictions as they are made, kept until all of a base model's are stored: none is made twice."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from enstack.errors import reason_of
from enstack.progress.say import say
from enstack.storage.arrays import read_arrays
from enstack.storage.folders import remove_own, replacing_folder
from enstack.storage.manifest import folder_problems, read_manifest

__all__ = ["Said", "drop_predictions", "keep_prediction", "kept_prediction"]

FILE = "probabilities.npz"


class Said(NamedTuple):
    """Probabilities (n, k) of a model, and the seconds that it took to say them."""

    probabilities: np.ndarray
    seconds: float


def kept_prediction(folder: Path, made_from: dict[str, Any]) -> Said | None:
    """What an earlier session has kept of this very prediction; None where it is not whole."""
    if not folder.is_dir():
        return None
    if problems := folder_problems(folder, made_from=made_from):
        say(f"   · {folder} is not used: {problems[0]}. Its functions are predicted anew")
        return None
    seconds = (read_manifest(folder) or {})["seconds"]
    return Said(read_arrays(folder / FILE, ("probabilities",))["probabilities"], seconds)


def keep_prediction(folder: Path, made_from: dict[str, Any], said: Said) -> None:
    """Keep a prediction for a session that goes on; one that can't be kept costs its time alone."""
    try:
        with replacing_folder(folder, {"made_from": made_from, "seconds": said.seconds}) as beside:
            np.savez(beside / FILE, probabilities=said.probabilities)
    except OSError as error:
        say(
            f"⚠️  {folder} can't be written ({reason_of(error)}): a run that is stopped now "
            "predicts this again."
        )


def drop_predictions(folders: Sequence[Path]) -> None:
    """Remove what was kept, for it is stored elsewhere by now; what others put there stays."""
    for folder in folders:
        for kept in folder.glob("*/"):
            remove_own(kept, (FILE,))
        with contextlib.suppress(OSError):  # something else is in it, or it was never made
            folder.rmdir()
