"""A nested value as JSON and tensors, as one process tells it to the others, without pickles."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["from_text", "to_text"]


def to_text(value: Any) -> tuple[bytes, list[torch.Tensor]]:
    """Plain values, lists and dictionaries as JSON, and their tensors, in order, on the CPU."""
    tensors: list[torch.Tensor] = []
    return json.dumps(_described(value, tensors)).encode(), tensors


def from_text(text: bytes, receive: Callable[[torch.Tensor], object]) -> Any:
    """What `to_text` was given; tuples come as lists.

    receive: fills an empty tensor with the next one that was told.
    """
    return _made(json.loads(text), receive)


def _described(value: Any, tensors: list[torch.Tensor]) -> list[Any]:
    if isinstance(value, torch.Tensor):
        tensors.append(value.detach().cpu().contiguous())
        return ["tensor", str(value.dtype).removeprefix("torch."), list(value.shape)]
    if isinstance(value, dict):
        # As pairs: JSON would turn every key into a string.
        return ["dict", [[key, _described(one, tensors)] for key, one in value.items()]]
    if isinstance(value, list | tuple):
        return ["list", [_described(one, tensors) for one in value]]
    return ["plain", value]


def _made(described: list[Any], receive: Callable[[torch.Tensor], object]) -> Any:
    kind, *content = described
    if kind == "tensor":
        tensor = torch.empty(content[1], dtype=getattr(torch, content[0]))
        receive(tensor)
        return tensor
    if kind == "dict":
        return {key: _made(one, receive) for key, one in content[0]}
    if kind == "list":
        return [_made(one, receive) for one in content[0]]
    return content[0]
