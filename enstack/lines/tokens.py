"""A function's tokens as a model reads them, each with the line that it stands in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from enstack.models.fine_tuned import FineTunedModel
from enstack.models.loader import pad_batch
from enstack.models.predict import batches_by_length
from enstack.models.tokens import encode_with_ends

__all__ = ["NO_LINE", "TokensOfLines", "batches_of", "per_line", "tokens_of_lines"]

NO_LINE = -1


class TokensOfLines(NamedTuple):
    """Token ids (n_tokens,) of a function, the line of each, from 0 or NO_LINE; and how many lines.

    Lines behind what a model reads have no tokens.
    """

    input_ids: list[int]
    lines: np.ndarray
    n_lines: int


def tokens_of_lines(functions: Sequence[str], model: FineTunedModel) -> list[TokensOfLines]:
    """The tokens of functions, cut at the model's length.

    A token stands in the line of its last character: one that begins with a line's end and goes on
    with the next line's blanks belongs to what follows.
    """
    every, ends = encode_with_ends(list(functions), model.tokenizer, model.max_length)
    found = []
    for function, input_ids, own in zip(functions, every, ends, strict=True):
        starts = np.array([place + 1 for place, sign in enumerate(function) if sign == "\n"])
        lines = np.searchsorted(starts, np.maximum(own - 1, 0), side="right")
        lines = np.where(own < 0, NO_LINE, lines)
        found.append(TokensOfLines(input_ids, lines, 1 + len(starts)))
    return found


def batches_of(
    rows: Sequence[list[int]], model: FineTunedModel, batch_size: int
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Places of token rows, and these as input_ids and attention_mask (batch, seq) on the device.

    Long ones come first.
    """
    lengths = np.array([len(row) for row in rows])
    for places in batches_by_length(lengths, batch_size):
        examples = [{"input_ids": rows[place], "label": 0} for place in places]
        batch = pad_batch(examples, model.tokenizer.pad_token_id)
        device = model.hardware.device
        yield places, batch["input_ids"].to(device), batch["attention_mask"].to(device)


def per_line(tokens: TokensOfLines, scores: np.ndarray) -> np.ndarray:
    """The sums (n_lines,) float64 of its tokens' scores (n_tokens,)."""
    has_line = tokens.lines != NO_LINE
    return np.bincount(
        tokens.lines[has_line], weights=scores[has_line], minlength=tokens.n_lines
    ).astype(np.float64)
