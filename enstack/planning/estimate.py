"""What a training will cost on GPUs that are not here: computed from its tokens, not measured."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PEAKS", "UTILISATION", "Shape", "flops_of_token", "gpu_hours"]

# TFLOP/s in half precision without sparsity, as the makers name them.
PEAKS = {"T4": 65.0, "L4": 121.0, "A100": 312.0, "H100": 989.0}
UTILISATION = 0.4  # of the peak: what good code reaches with models of this size
BACKWARD = 2  # a backward pass costs as much as two forward ones


@dataclass(frozen=True)
class Shape:
    """An encoder's size: layers, and the widths of its states and of its feed-forward parts."""

    layers: int
    hidden: int
    intermediate: int


def flops_of_token(shape: Shape, width: float) -> float:
    """Floating-point operations of a forward pass for a token of a batch of this width.

    Two for each weight, and the two products of attention; embeddings are looked up.
    """
    weights = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate
    return shape.layers * (2 * weights + 4 * shape.hidden * width)


def gpu_hours(
    shape: Shape, *, width: float, trained_tokens: float, predicted_tokens: float
) -> dict[str, float]:
    """Hours on each GPU at UTILISATION; tokens with padding, width: of a mean batch."""
    forward = flops_of_token(shape, width)
    work = forward * ((1 + BACKWARD) * trained_tokens + predicted_tokens)
    return {name: work / (peak * 1e12 * UTILISATION) / 3600 for name, peak in PEAKS.items()}
