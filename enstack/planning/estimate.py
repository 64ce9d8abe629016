"""What a training will cost on GPUs that are not here: computed from its tokens, not measured."""

from __future__ import annotations

import re

from enstack.models.flops import BACKWARD, Shape, flops_of_token

__all__ = ["PEAKS", "UTILISATION", "gpu_hours", "peak_of"]

# TFLOP/s in half precision without sparsity, as the makers name them.
PEAKS = {"T4": 65.0, "L4": 121.0, "A100": 312.0, "H100": 989.0}
UTILISATION = 0.4  # of the peak: what good code reaches with models of this size


def gpu_hours(
    shape: Shape, *, width: float, trained_tokens: float, predicted_tokens: float
) -> dict[str, float]:
    """Hours on each GPU at UTILISATION; tokens with padding, width: of a mean batch."""
    forward = flops_of_token(shape, width)
    work = forward * ((1 + BACKWARD) * trained_tokens + predicted_tokens)
    return {name: work / (peak * 1e12 * UTILISATION) / 3600 for name, peak in PEAKS.items()}


def peak_of(device: str, precision: str) -> float | None:
    """FLOP/s that a device reaches at most in half precision; None for others, and in fp32.

    device: its name as torch tells it, such as "Tesla T4" or "NVIDIA A100-SXM4-40GB"; several as
    the ledger does, "2 x Tesla T4".
    """
    several = re.match(r"(\d+) x ", device)
    count = int(several[1]) if several else 1
    words = re.split(r"[\s-]+", device)
    known = [peak for name, peak in PEAKS.items() if name in words]
    return count * known[0] * 1e12 if known and precision in ("fp16", "bf16") else None
