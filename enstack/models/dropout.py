"""Dropout on a CPU, by masks that are drawn four times as fast as torch's, in attention too."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import RobertaForSequenceClassification

__all__ = ["attention", "cheap_dropout", "dropout", "projected"]

WORDS = 1 << 16  # values of 16 bits


def dropout(values: torch.Tensor, p: float) -> torch.Tensor:
    """Each value zeroed with probability p, or else divided by the probability that it is kept.

    On a CPU torch draws 64 random bits for each value, which took 14 % of a training in float32 and
    22 % in bf16; here they serve four, so that p is rounded to 1/65,536. They are drawn from
    torch's own generator, whose state a checkpoint holds.
    """
    dropped = round(p * WORDS)
    if values.device.type != "cpu" or dropped == WORDS:
        return torch.nn.functional.dropout(values, p)
    count = values.numel()
    # Of all 64-bit numbers; without the second argument torch leaves the negative ones out.
    drawn = torch.empty(count // 4 + 1, dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.int16)[:count].view(values.shape) >= dropped - WORDS // 2
    return values * kept.to(values.dtype).mul_(WORDS / (WORDS - dropped))


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    p: float,
) -> torch.Tensor:
    """Scaled dot-product attention: (batch, heads, m, size) of a query of m tokens, keys of n.

    mask: of the keys that count, bool, or what is added to their scores, (batch, 1, m, n); None:
    all count. p: with which weights are dropped; then a CPU of torch has no kernel of its own, and
    its steps one by one take half the time.
    """
    if not p or query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=p)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        # A token always sees itself at least, so that no row is without a number.
        scores = (
            scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        )
    weights = dropout(torch.softmax(scores, dim=-1).to(value.dtype), p)
    return weights @ value


@contextlib.contextmanager
def cheap_dropout(model: torch.nn.Module) -> Iterator[None]:
    """Have a model that trains on a CPU drop by the functions above, while this lasts."""
    if not model.training or next(model.parameters()).device.type != "cpu":
        yield
        return
    changed: list[Any] = []
    for module in model.modules():
        if type(module) is torch.nn.Dropout and module.training and module.p:
            module.forward = functools.partial(dropout, p=module.p)  # type: ignore[method-assign]
            changed.append(module)
    for layer in _layers(model):
        layer.forward = functools.partial(_attend, layer)
        changed.append(layer)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # which stood before that of its class


def _layers(model: torch.nn.Module) -> Iterator[Any]:
    """The self-attention of each layer, where it is RoBERTa's and drops weights."""
    if not isinstance(model, RobertaForSequenceClassification) or model.config.is_decoder:
        return
    for layer in model.roberta.encoder.layer:
        if layer.attention.self.training and layer.attention.self.dropout.p:
            yield layer.attention.self


def projected(
    attention: Any, query: torch.Tensor, states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, key and value of each head, (batch, heads, tokens, size); query: states that ask."""

    def heads(of: Any) -> Any:
        return of.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

    return (
        heads(attention.query(query)),
        heads(attention.key(states)),
        heads(attention.value(states)),
    )


def _attend(
    module: Any, states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
) -> tuple[torch.Tensor, None]:
    """What RoBERTa's self-attention makes of states (batch, tokens, hidden), without weights."""
    context = attention(*projected(module, states, states), attention_mask, module.dropout.p)
    return context.transpose(1, 2).flatten(2), None
