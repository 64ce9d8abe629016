"""Weights as a stream of safetensors bytes, hashed on their way, without a copy of them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

import torch

# The format's names (safetensors README, "Format"), in the order in which the library lays tensors
# out: wide types first, so that each is aligned.
DTYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Writer(Protocol):
    """Whatever takes bytes: an open file, or one that hashes."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Append bytes."""


def write_weights(file: Writer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write contiguous CPU tensors as model.safetensors, byte for byte as the library would.

    safetensors itself writes to a path of its own or into one bytes object: the first can't be
    hashed on the way, the second needs the memory of all weights twice over.
    """
    ranks = list(DTYPES)
    names = sorted(tensors, key=lambda name: (ranks.index(tensors[name].dtype), name))
    # The metadata is what save_pretrained writes: the file is to be the same to the last byte.
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in names:
        end = start + tensors[name].nbytes
        header[name] = {
            "dtype": DTYPES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Spaces up to 8 bytes, so that the tensors behind the header are aligned.
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        # Flat, for a scalar can't be viewed as bytes; as bytes, for numpy has no bfloat16.
        file.write(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
