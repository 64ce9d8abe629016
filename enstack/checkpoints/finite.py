"""Whether what a checkpoint holds are numbers: weights, optimizer moments, sums of losses.

A file may be as it was written and still be worth nothing: training that diverged wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from enstack.checkpoints.slots import STATE_FILE, WEIGHTS_FILE
from enstack.checkpoints.state_file import read_state
from enstack.errors import CheckpointError
from enstack.finite import first_spoilt

LOST = "they are lost"


def checkpoint_fault(folder: Path) -> str | None:
    """What in a checkpoint or best model is no finite number, or None; reads all of it.

    None too of a file that holds no numbers at all: whoever loads it says what is wrong with it.
    """
    try:
        fault = weights_fault(folder / WEIGHTS_FILE)
        if fault is None and (folder / STATE_FILE).is_file():
            # Mapped: each moment is looked at once, and none is kept.
            fault = state_fault(read_state(folder, mapped=True))
    except (SafetensorError, CheckpointError):
        return None
    return fault


def weights_fault(path: Path) -> str | None:
    """The first tensor of a safetensors file that is not finite, in words, or None."""
    with safe_open(str(path), framework="pt") as file:
        # As a generator: one tensor at a time is in memory.
        name = first_spoilt((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
    return name and f"{path.name} holds NaN or infinite weights, in {name}: {LOST}"


def state_fault(state: Mapping[str, Any]) -> str | None:
    """The first moment, or sum of losses, of a training state that is not finite, or None."""
    return moments_fault(state.get("optimizer_state_dict", {})) or _losses_fault(state)


def moments_fault(optimizer: Mapping[str, Any]) -> str | None:
    """The first of an optimizer's moments that is not finite, in words, or None."""
    slots = optimizer.get("state", {})
    moments = (
        (f"{name} of parameter {place}", slot[name])
        for place, slot in slots.items()
        for name in ("exp_avg", "exp_avg_sq")
        if isinstance(slot.get(name), torch.Tensor)
    )
    name = first_spoilt(moments)
    return name and f"{STATE_FILE} holds NaN or infinite optimizer moments, in {name}: {LOST}"


def _losses_fault(state: Mapping[str, Any]) -> str | None:
    losses = state.get("losses", {})
    sums = ((name, torch.as_tensor(losses[name])) for name in ("epoch", "window") if name in losses)
    name = first_spoilt(sums)
    return name and f"{STATE_FILE} holds a loss that is no number, of the {name} in work"


def spoilt_weights(weights: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor that is not finite, or None."""
    return first_spoilt(weights.items())
