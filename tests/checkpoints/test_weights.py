from __future__ import annotations

import io

import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from enstack.checkpoints.weights import DTYPES, write_weights

SHAPES = st.lists(st.integers(0, 4), max_size=3)
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=6), st.tuples(st.sampled_from(list(DTYPES)), SHAPES), max_size=6
)


def written(tensors: dict[str, torch.Tensor]) -> bytes:
    file = io.BytesIO()
    write_weights(file, tensors)
    return file.getvalue()


@given(TENSORS)
def test_the_stream_is_byte_for_byte_what_safetensors_writes(
    kinds: dict[str, tuple[torch.dtype, list[int]]],
) -> None:
    tensors = {name: torch.ones(shape).to(dtype) for name, (dtype, shape) in kinds.items()}
    assert written(tensors) == save(tensors, metadata={"format": "pt"})


def test_what_is_written_is_read_back() -> None:
    tensors = {"b.weight": torch.randn(3, 5), "a": torch.arange(7), "c": torch.tensor(2.5)}
    back = load(written(tensors))
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
