"""Sketches of training functions, by which a new function is known for a copy of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enstack.duplicates.contamination import NEAR
from enstack.duplicates.minhash import join_signatures, minhash_signatures
from enstack.progress.bars import Bar
from enstack.storage.arrays import require_forms

__all__ = ["MOST_KNOWN", "KnownFunctions", "Nearest"]

MOST_KNOWN = 50_000  # 270 bytes each: of more, this many are drawn, evenly over the split
# As in the file: kinds of numpy's types, and axes.
FORMS = {
    "known_ids": ("U", 1),
    "known_tokens": ("u", 1),
    "known_bands": ("u", 2),
    "known_low": ("u", 2),
    "known_of": ("i", 0),
}
FUNCTIONS_AT_ONCE = 2048
MOST_LOOKED_AT = 256  # functions that share a band with a new one; a crowd shares it with thousands


class Nearest(NamedTuple):
    """The training function that is most like a new one, and how like: 1 for a copy."""

    id: str
    similarity: float


@dataclass(frozen=True, eq=False)
class KnownFunctions:
    """What is kept of n training functions, of n_train.

    ids: (n,) unicode. tokens: (n,) uint64, bands: (n, b) uint32 and low: (n, h) uint8, as of
    minhash.Signatures.
    """

    ids: np.ndarray
    tokens: np.ndarray
    bands: np.ndarray
    low: np.ndarray
    n_train: int

    @classmethod
    def of(cls, ids: np.ndarray, sources: pa.Array) -> KnownFunctions:
        """The sketches of a split's functions, at most MOST_KNOWN of them."""
        rows = np.unique(np.linspace(0, len(ids) - 1, min(len(ids), MOST_KNOWN)).astype(np.int64))
        parts = []
        with Bar(len(rows), "Training functions, sketched") as bar:
            for start in range(0, len(rows), FUNCTIONS_AT_ONCE):
                chosen = pa.array(rows[start : start + FUNCTIONS_AT_ONCE])
                parts.append(minhash_signatures(sources.take(chosen).to_pylist(), NEAR))
                bar.advance(len(chosen))
        found = join_signatures(parts)
        return cls(ids[rows], found.tokens, found.bands, found.low, len(ids))

    def nearest(self, functions: Sequence[str]) -> list[Nearest | None]:
        """Of each function the near-duplicate that is most like it; None where there is none.

        The similarity is an estimate of the Jaccard of token 4-grams, from NEAR on; 1 is exact.
        """
        if not functions:
            return []
        asked = minhash_signatures(functions, NEAR)
        starts, ends = self._ranges(asked.bands)
        return [
            self._best(asked.tokens[row], asked.low[row], starts[row], ends[row])
            for row in range(len(functions))
        ]

    def arrays(self) -> dict[str, Any]:
        """What an .npz file holds of it."""
        return {
            "known_ids": self.ids,
            "known_tokens": self.tokens,
            "known_bands": self.bands,
            "known_low": self.low,
            "known_of": np.array(self.n_train),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> KnownFunctions:
        """The same out of such a file."""
        require_forms(arrays, FORMS)
        ids, tokens, bands, low, n_train = (
            arrays[f"known_{name}"] for name in ("ids", "tokens", "bands", "low", "of")
        )
        if not len(ids) == len(tokens) == len(bands) == len(low):
            raise ValueError("sketches must be as many as their ids")
        asked = minhash_signatures(["f(void) { }"], NEAR)
        if (bands.shape[1], low.shape[1]) != (asked.bands.shape[1], asked.low.shape[1]):
            raise ValueError("sketches must be as wide as those of new functions")
        return cls(ids, tokens, bands, low, int(n_train))

    @cached_property
    def _by_band(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each band the rows in its order, and its values in that order."""
        orders = [np.argsort(band, kind="stable") for band in self.bands.T]
        return [(order, band[order]) for order, band in zip(orders, self.bands.T, strict=True)]

    def _ranges(self, bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in each band's order the rows that share it begin and end: two (m, b) int64."""
        sides = []
        for side in ("left", "right"):
            columns = [
                np.searchsorted(values, asked, side=side)
                for (_, values), asked in zip(self._by_band, bands.T, strict=True)
            ]
            sides.append(np.stack(columns, axis=1))
        return sides[0], sides[1]

    def _best(
        self, tokens: np.uint64, low: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> Nearest | None:
        rows = [
            order[start : min(end, start + MOST_LOOKED_AT)]
            for (order, _), start, end in zip(self._by_band, starts, ends, strict=True)
            if start < end
        ]
        if not rows:
            return None
        candidates = np.unique(np.concatenate(rows))
        alike = (self.low[candidates] == low).mean(axis=1)
        # By estimate two may be alike that are not: a copy is known by its tokens.
        same = self.tokens[candidates] == tokens
        similarity = np.where(same, 1.0, np.minimum(alike, 0.99))
        best = int(similarity.argmax())
        if similarity[best] < NEAR:
            return None
        return Nearest(str(self.ids[candidates[best]]), float(similarity[best]))
