"""Whether a function is like those that a model has learned from: its length and its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from enstack.duplicates.lexer import lexer_tokens
from enstack.duplicates.minhash import token_hash
from enstack.rounding import percent
from enstack.storage.arrays import require_forms

__all__ = ["MEASURES", "Familiarity", "Strangeness"]

MOST_TOKENS = 200_000  # of the vocabulary, the most frequent ones
OUTSIDE = 0.01  # of functions of the same source this share lies outside of each limit
MEASURES = ("length", "unknown", "surprise")
# As in the file: kinds of numpy's types, and axes.
FORMS = {
    "token_hashes": ("u", 1),
    "token_counts": ("i", 1),
    "token_total": ("i", 0),
    "limits": ("f", 2),
    "limits_of": ("i", 0),
}
Strangeness = tuple[str, ...]  # why a function is strange, in words; empty where it is not


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The lexer tokens of training functions, and how far others of their kind differ from them.

    tokens: (m,) uint64 hashes, sorted; counts: (m,) int64; total: tokens in all. limits: (3, 2)
    float64, of each of MEASURES the lowest and highest value that is no surprise, from n_limits
    functions of validation.
    """

    tokens: np.ndarray
    counts: np.ndarray
    total: int
    limits: np.ndarray
    n_limits: int

    @classmethod
    def of(cls, train: Iterable[str], validation: Sequence[str]) -> Familiarity:
        """What is learned from training functions, with limits from others of the same source."""
        every, counts = _counted(train)
        total = int(counts.sum())
        # The most frequent; of equal ones those with the lower hash, so that all agree.
        kept = np.sort(np.lexsort((every, -counts))[:MOST_TOKENS])
        alone = cls(every[kept], counts[kept], total, np.empty((3, 2)), len(validation))
        limits = np.array([_limits(column) for column in alone.measure(validation).T])
        return cls(alone.tokens, alone.counts, total, limits, len(validation))

    def measure(self, functions: Sequence[str]) -> np.ndarray:
        """Length in tokens, share of them that training lacks, bits of surprise: (n, 3) float64.

        The surprise of a token is the logarithm of how seldom training has it; the mean of them.
        """
        return np.array([self._measures(one) for one in functions]).reshape(-1, len(MEASURES))

    def strange(self, measures: np.ndarray) -> Strangeness:
        """Why a function with these measures (3,) is unlike training functions, in words."""
        (length, unknown, surprise), limits = measures, self.limits
        reasons = {
            f"{length:,.0f} tokens, training functions have {limits[0, 0]:,.0f} and more": (
                length < limits[0, 0]
            ),
            f"{length:,.0f} tokens, training functions have up to {limits[0, 1]:,.0f}": (
                length > limits[0, 1]
            ),
            f"{percent(unknown, 0)} of its tokens are in no training function": unknown
            > limits[1, 1],
            "its words are rare in training functions": surprise > limits[2, 1],
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    def arrays(self) -> dict[str, Any]:
        """What an .npz file holds of it."""
        return {
            "token_hashes": self.tokens,
            "token_counts": self.counts,
            "token_total": np.array(self.total),
            "limits": self.limits,
            "limits_of": np.array(self.n_limits),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Familiarity:
        """The same out of such a file."""
        require_forms(arrays, FORMS)
        limits = arrays["limits"]
        if limits.shape != (3, 2) or len(arrays["token_hashes"]) != len(arrays["token_counts"]):
            raise ValueError(
                "limits must be two of each of three measures, counts as many as tokens"
            )
        return cls(
            arrays["token_hashes"],
            arrays["token_counts"],
            int(arrays["token_total"]),
            limits,
            int(arrays["limits_of"]),
        )

    def _measures(self, function: str) -> tuple[float, float, float]:
        hashes = _hashed(function)
        if not len(hashes) or not len(self.tokens):
            return float(len(hashes)), 0.0, 0.0
        place = np.minimum(np.searchsorted(self.tokens, hashes), len(self.tokens) - 1)
        known = self.tokens[place] == hashes
        counts = np.where(known, self.counts[place], 0)
        # One more of each, as though any word could come once.
        bits = np.log2(self.total + len(self.tokens) + 1) - np.log2(counts + 1)
        return float(len(hashes)), float(1 - known.mean()), float(bits.mean())


def _hashed(function: str) -> np.ndarray:
    tokens = lexer_tokens(function)
    return np.fromiter(map(token_hash, tokens), np.uint64, len(tokens))


def _counted(functions: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """The different tokens of functions, sorted (m,) uint64, and how often each comes (m,)."""
    tokens, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    waiting: list[np.ndarray] = []
    for function in functions:
        waiting.append(_hashed(function))
        if len(waiting) == 1024:
            tokens, counts = _merged(tokens, counts, waiting)
            waiting = []
    return _merged(tokens, counts, waiting)


def _merged(
    tokens: np.ndarray, counts: np.ndarray, more: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    new, new_counts = np.unique(np.concatenate([np.empty(0, np.uint64), *more]), return_counts=True)
    every, place = np.unique(np.concatenate([tokens, new]), return_inverse=True)
    summed = np.bincount(place, weights=np.concatenate([counts, new_counts]), minlength=len(every))
    return every, summed.astype(np.int64)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The lowest and highest value of all but OUTSIDE of the functions, at either end."""
    if not len(values):
        return -np.inf, np.inf
    ordered, n = np.sort(values), len(values)
    # One place further out than the quantile: of so many functions, the next one may lie there.
    out = int(np.floor((n + 1) * OUTSIDE))
    return float(ordered[max(out - 1, 0)]), float(ordered[min(n - out, n - 1)])
