"""Which kernels a GPU computes with, where it has several for one operation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["kernels_of_gpu"]

# Not cuDNN's, which torch takes first on an H100 or newer: it makes a plan for every new width,
# 4 to 5 ms each (docs/gpu.md), and batches of functions of like length have many widths.
ATTENTION_KERNELS = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


@contextlib.contextmanager
def kernels_of_gpu(deterministic: bool) -> Iterator[None]:
    """Attention by kernels that do not plan for each width, while the block runs.

    deterministic: all kernels add in the same order every time, and an operation that has none such
    raises torch's RuntimeError, which names it (torch.use_deterministic_algorithms).
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if deterministic:
        # cuBLAS adds in the same order only with a workspace of fixed size.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Not warn_only: attention's backward pass would go on adding in any order.
        torch.use_deterministic_algorithms(True)
    try:
        with sdpa_kernel(ATTENTION_KERNELS):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
