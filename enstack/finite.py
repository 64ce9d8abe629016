"""Whether tensors are numbers: training that diverged leaves NaN in files that are whole."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def first_spoilt(tensors: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """The name of the first tensor that is not finite, or None."""
    for name, tensor in tensors:
        # Both ends of the range are NaN where any number is; nothing is copied for it.
        if tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            return name
    return None
