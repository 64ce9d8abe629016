"""What an encoder costs in floating-point operations, from its size and the tokens it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["BACKWARD", "Shape", "flops_of_token", "flops_of_training", "shape_of"]

BACKWARD = 2  # a backward pass costs as much as two forward ones


@dataclass(frozen=True)
class Shape:
    """An encoder's size: layers, and the widths of its states and of its feed-forward parts."""

    layers: int
    hidden: int
    intermediate: int


def shape_of(encoder: Any) -> Shape:
    """The size that a transformers configuration tells."""
    hidden = int(encoder.hidden_size)
    intermediate = getattr(encoder, "intermediate_size", 4 * hidden)
    return Shape(int(encoder.num_hidden_layers), hidden, int(intermediate))


def flops_of_token(shape: Shape, width: float) -> float:
    """Floating-point operations of a forward pass for a token of a batch of this width.

    Two for each weight, and the two products of attention; embeddings are looked up. Of the whole
    encoder: what `first_token_alone` leaves out of the last layer counts as done.
    """
    weights = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate
    return shape.layers * (2 * weights + 4 * shape.hidden * width)


def flops_of_training(shape: Shape, tokens: int) -> float:
    """Those of training on a function of so many tokens, or of a batch's width: both passes."""
    return (1 + BACKWARD) * tokens * flops_of_token(shape, tokens)
