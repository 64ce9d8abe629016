"""Whether two things are the same to the last bit: values, folders, runs."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from enstack.checkpoints import state_file


def same(left: Any, right: Any) -> bool:
    """Whether two nested values of tensors, arrays and plain values are equal to the last bit."""
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        return same(vars(left), vars(right))
    if isinstance(left, torch.Tensor):
        return bool(torch.equal(left, right)) and left.dtype == right.dtype
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def tree_digest(folder: Path) -> dict[str, str]:
    """Sha256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def training_outcome(folder: Path) -> dict[str, Any]:
    """All that a training leaves: weights, training state, best model, history.

    The count of saves and the time are left out: one that was interrupted has saved more often.
    """
    state = state_file.read_state(folder / "last_checkpoint")
    state["progress"] = {**state["progress"], "saves": None, "seconds": None}
    return {
        "weights": load_file(folder / "last_checkpoint" / "model.safetensors"),
        "best": load_file(folder / "best_model" / "model.safetensors"),
        "history": (folder / "history.jsonl").read_text(),
        **state,
    }
