"""The last layer of an encoder for its first token alone, by which a classification head judges."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import RobertaForSequenceClassification

from enstack.models.dropout import attention, projected

__all__ = ["first_token_alone"]


@contextlib.contextmanager
def first_token_alone(model: torch.nn.Module) -> Iterator[None]:
    """Have a model compute of its last layer what its head reads, and no more, while this lasts.

    Keys and values are of all tokens, so that logits and gradients are the same; queries, and all
    that follows them, are of one: five sixths of a layer's work are left out. Dropout falls on what
    is computed. Of other families than RoBERTa, which all three base models are of, nothing is
    changed. Not while hidden states are asked for.
    """
    # A decoder's first token sees itself alone, which its mask need not tell.
    if not isinstance(model, RobertaForSequenceClassification) or model.config.is_decoder:
        yield
        return
    layer: Any = model.roberta.encoder.layer[-1]
    layer.forward = lambda states, mask=None, *_, **__: _first_token(layer, states, mask)
    try:
        yield
    finally:
        del layer.forward  # which stood before that of its class


def _first_token(layer: Any, states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """What a layer makes of the first token: (batch, 1, hidden) of states (batch, seq, hidden).

    mask: (batch, 1, seq, seq), or None where no token is padding.
    """
    self_attention, first = layer.attention.self, states[:, :1]
    row = None if mask is None else mask[:, :, :1]
    dropped = self_attention.dropout.p if self_attention.training else 0.0
    context = attention(*projected(self_attention, first, states), row, dropped)
    attended = layer.attention.output(context.transpose(1, 2).flatten(2), first)
    made: torch.Tensor = layer.output(layer.intermediate(attended), attended)
    return made
