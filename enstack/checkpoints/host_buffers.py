"""A copy of a training's tensors in host memory that every save uses again."""

from __future__ import annotations

from typing import Any

import torch


class HostBuffers:
    """Host memory into which a state is copied, so that training may go on while it is written.

    The loop waits for this copy alone. Buffers are made at the first one, pinned where the tensors
    are on a GPU; a tensor of another shape or type gets a new one.
    """

    def __init__(self) -> None:
        # Kept for the next save: to make them takes most of the first one, 0.7-0.9 s for 1.5 GB.
        self._buffers: dict[tuple[Any, ...], torch.Tensor] = {}

    def copy(self, state: Any) -> Any:
        """The same dictionaries and lists with every tensor in host memory, complete on return."""
        copied = self._copy(state, ())
        if torch.cuda.is_available():
            # From a GPU a copy has only been asked for above; training would change what it reads.
            torch.cuda.synchronize()
        return copied

    def _copy(self, value: Any, place: tuple[Any, ...]) -> Any:
        if isinstance(value, torch.Tensor):
            return self._buffer(value, place).copy_(value.detach(), non_blocking=True)
        if isinstance(value, dict):
            return {key: self._copy(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._copy(v, (*place, n)) for n, v in enumerate(value))
        return value

    def _buffer(self, tensor: torch.Tensor, place: tuple[Any, ...]) -> torch.Tensor:
        buffer = self._buffers.get(place)
        if buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
            # A copy from a GPU goes at full speed into pinned memory only.
            buffer = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            self._buffers[place] = buffer
        return buffer
