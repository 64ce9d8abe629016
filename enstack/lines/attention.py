"""Attention roll-out: how much of each token flows into the one that a model judges by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from enstack.errors import CheckpointError
from enstack.lines.tokens import TokensOfLines, batches_of, per_line
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["attention_rollout"]

EAGER = "eager"  # torch's own attention, the usual one, never makes the matrix that is asked for


def attention_rollout(
    model: FineTunedModel, functions: Sequence[TokensOfLines], classes: Sequence[int]
) -> list[np.ndarray]:
    """The share (n_lines,) float64 of each line in what the first token sees, for any class.

    Each layer passes on half of what it has been given, and half by the mean of its heads. Method:
    Abnar & Zuidema 2020, quantifying attention flow in transformers. Raises CheckpointError for a
    model that gives no attentions.
    """
    model.classifier.eval()
    found: list[np.ndarray] = [np.zeros(0)] * len(functions)
    rows = [one.input_ids for one in functions]
    with _eager(model.classifier):
        for places, input_ids, mask in batches_of(rows, model, max(1, model.batch_size // 2)):
            seen = _seen_by_the_first(model, input_ids, mask).double().cpu().numpy()
            for row, place in enumerate(places):
                found[place] = per_line(functions[place], seen[row, : len(rows[place])])
    return found


def _seen_by_the_first(
    model: FineTunedModel, input_ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Shares (batch, seq) of all tokens in the first one, behind the last layer."""
    with torch.inference_mode():
        layers = model.classifier(
            input_ids=input_ids, attention_mask=mask, output_attentions=True
        ).attentions
        if not layers or any(layer is None for layer in layers):
            raise CheckpointError(
                f"Attention roll-out needs a model that gives its attentions; {model.name} gives "
                "none. Take another method."
            )
        # From the last layer down, one row a function: the whole product is not needed.
        seen = torch.zeros_like(mask, dtype=layers[0].dtype)
        seen[:, 0] = 1
        for layer in reversed(layers):
            seen = (seen + torch.einsum("bi,bij->bj", seen, layer.mean(dim=1))) / 2
    return seen


@contextlib.contextmanager
def _eager(classifier: Any) -> Iterator[None]:
    """Have a model compute attention in the plain way, and put it back."""
    before = classifier.config._attn_implementation
    classifier.set_attn_implementation(EAGER)
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)
