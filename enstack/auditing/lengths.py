"""How long functions are, in characters and tokens, and how many a model would cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enstack.auditing.content import Lengths, Quantiles
from enstack.progress.bars import Bar

__all__ = ["character_lengths", "summarize_lengths", "tokenizer_lengths"]

FUNCTIONS_AT_ONCE = 1000  # as Python texts: all at once would fill the memory
CHARACTERS_AT_ONCE = 1 << 20  # of one function
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def character_lengths(sources: Sequence[pa.Array]) -> np.ndarray:
    """Characters of each function (n,) int64, through all arrays."""
    parts = [pc.utf8_length(array).to_numpy(zero_copy_only=False) for array in sources]
    return np.concatenate(parts).astype(np.int64)


def tokenizer_lengths(sources: Sequence[pa.Array], tokenizer: Any, title: str) -> np.ndarray:
    """Tokens of each function (n,) int64 before any is cut, the special ones counted."""
    # Here, for it brings torch, which an audit without tokenizers does not need.
    from enstack.models.base_models import mode_tokens

    # UniXcoder's mode tokens are put in by this project, not by the tokenizer.
    n_more, lengths = len(mode_tokens(tokenizer)) + tokenizer.num_special_tokens_to_add(), []
    with Bar(sum(map(len, sources)), title) as bar:
        for array in sources:
            for start in range(0, len(array), FUNCTIONS_AT_ONCE):
                texts = array.slice(start, FUNCTIONS_AT_ONCE).to_pylist()
                lengths += [n_tokens + n_more for n_tokens in _n_tokens(texts, tokenizer)]
                bar.advance(len(texts))
    return np.array(lengths, dtype=np.int64)


def _n_tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """The tokens of each text, the special ones apart."""
    # In pieces, for a tokenizer needs twenty times a text's memory; where a piece ends, a token
    # more may be counted.
    pieces = [
        (row, text[start : start + CHARACTERS_AT_ONCE])
        for row, text in enumerate(texts)
        for start in range(0, max(len(text), 1), CHARACTERS_AT_ONCE)
    ]
    # verbose=False keeps back the advice on texts that are too long for a model.
    input_ids = tokenizer(
        [piece for _, piece in pieces],
        add_special_tokens=False,
        return_attention_mask=False,
        verbose=False,
    )["input_ids"]
    counts = [0] * len(texts)
    for (row, _), ids in zip(pieces, input_ids, strict=True):
        counts[row] += len(ids)
    return counts


def summarize_lengths(
    unit: str,
    lengths: np.ndarray,
    splits: Mapping[str, np.ndarray],
    classes: Mapping[str, np.ndarray],
    max_length: int | None,
) -> Lengths:
    """Quantiles of each split, of each class and of all.

    lengths: (n,) int; splits, classes: the rows of each; max_length: where a model cuts, if one
    does. A class without functions is left out.
    """
    return Lengths(
        unit=unit,
        max_length=max_length,
        splits={name: _quantiles(lengths[rows], max_length) for name, rows in splits.items()},
        classes={
            name: _quantiles(lengths[rows], max_length)
            for name, rows in classes.items()
            if len(rows)
        },
        percentiles=_quantile(lengths, np.linspace(0, 1, 101)),
    )


def _quantiles(lengths: np.ndarray, max_length: int | None) -> Quantiles:
    p5, p25, median, p75, p95 = _quantile(lengths, QUANTILES)
    # One that is exactly as long is not cut.
    truncated = None if max_length is None else int((lengths > max_length).sum())
    return Quantiles(p5, p25, median, p75, p95, int(lengths.max()), truncated)


def _quantile(lengths: np.ndarray, shares: Any) -> list[int]:
    """Lengths that functions have: no mean of two."""
    quantiles = np.quantile(lengths, shares, method="inverted_cdf").astype(int)
    values: list[int] = quantiles.tolist()
    return values
