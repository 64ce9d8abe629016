"""What a session's training has computed is counted from its batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from enstack.models.flops import Shape, flops_of_token
from enstack.planning.estimate import peak_of
from enstack.training.computed import Computed

SHAPE = Shape(layers=2, hidden=8, intermediate=32)


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=5), min_size=1, max_size=4))
def test_functions_tokens_and_work_are_those_of_the_batches(batches: list[list[int]]) -> None:
    computed = Computed(SHAPE)
    computed.begin()
    for lengths in batches:
        mask = torch.zeros(len(lengths), max(lengths) + 3, dtype=torch.int64)
        for row, length in enumerate(lengths):
            mask[row, :length] = 1
        computed.add(mask)
    account, every = computed.account(), [length for lengths in batches for length in lengths]
    assert account["trained_functions"] == len(every)
    assert account["trained_tokens"] == sum(every)
    useful = sum(3 * length * flops_of_token(SHAPE, length) for length in every)
    assert account["trained_flops"] == pytest.approx(useful)
    wide = sum(3 * len(b) * (max(b) + 3) * flops_of_token(SHAPE, max(b) + 3) for b in batches)
    assert account["padded_flops"] == pytest.approx(wide)


@pytest.mark.parametrize(
    ("device", "precision", "peak"),
    [
        ("Tesla T4", "fp16", 65e12),
        ("NVIDIA A100-SXM4-40GB", "bf16", 312e12),
        ("NVIDIA H100 80GB HBM3", "bf16", 989e12),
        ("2 x Tesla T4", "fp16", 130e12),
        ("NVIDIA L40S", "bf16", None),
        ("Tesla T4", "fp32", None),
        ("CPU", "bf16", None),
    ],
)
def test_of_an_unknown_device_no_peak_is_told(
    device: str, precision: str, peak: float | None
) -> None:
    assert peak_of(device, precision) == peak
