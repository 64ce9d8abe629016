"""What a batch costs in floating-point operations, and how many a second this machine can do."""

from __future__ import annotations

import time

import numpy as np
import torch

from enstack.batches import pad_to
from enstack.models.flops import Shape, flops_of_training


class Encoder(Shape):
    """What the cost of an encoder follows from."""

    def training(self, tokens: np.ndarray) -> float:
        """FLOPs to train on functions of so many tokens each (n,)."""
        return sum(flops_of_training(self, int(one)) for one in tokens)

    def padding_bound(self, batches: list[np.ndarray], width: int | None = None) -> float:
        """Useful FLOPs over computed ones; batches: tokens of their functions.

        width: of every batch; as wide as its longest function needs if left out.
        """
        useful = sum(self.training(tokens) for tokens in batches)
        computed = sum(
            self.training(np.full(len(tokens), width or pad_to(int(tokens.max()))))
            for tokens in batches
        )
        return useful / computed


def matmul_peak(
    device: torch.device, dtype: torch.dtype, size: int = 8192, times: int = 10
) -> float:
    """FLOPs a second of a large matrix product, the median of some."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(times + 3):
        wait_for(device)
        started = time.perf_counter()
        left @ right
        wait_for(device)
        seconds.append(time.perf_counter() - started)
    # The first ones load kernels.
    return 2 * size**3 / float(np.median(seconds[3:]))


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
