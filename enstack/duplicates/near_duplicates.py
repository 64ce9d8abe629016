"""Which functions are alike: the same text, or near-duplicates by the Jaccard of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from enstack.duplicates.lexer import lexer_tokens
from enstack.duplicates.minhash import (
    GRAM,
    Signatures,
    candidate_pairs,
    join_signatures,
    minhash_signatures,
)
from enstack.progress.bars import Bar

__all__ = ["NearDuplicates", "find_near_duplicates", "token_grams"]

FUNCTIONS_PER_JOB = 2048
PAIRS_PER_JOB = 8192
# Below this many functions, starting processes takes longer than what they save.
WORTH_PROCESSES = 20_000


@dataclass(frozen=True)
class NearDuplicates:
    """Which of n functions are alike, at a Jaccard similarity of at least `threshold`.

    texts, tokens: (n,) int64; functions with the same text, or the same lexer tokens, share a
    number. pairs: (m, 2) int64, numbers of `tokens`, left < right; jaccard: (m,) float64.
    lengths: (n,) lexer tokens. n_crowded: functions that share so much with so many others that
    some of their pairs may be missing.
    """

    texts: np.ndarray
    tokens: np.ndarray
    pairs: np.ndarray
    jaccard: np.ndarray
    lengths: np.ndarray
    threshold: float
    n_crowded: int

    def neighbours(
        self, categories: np.ndarray, n_categories: int, threshold: float | None
    ) -> np.ndarray:
        """How many other functions of each category are so alike: (n, n_categories) int64.

        categories: (n,) int, such as the split or the class of each function. threshold: None for
        the same text, else a Jaccard similarity that is not below `self.threshold`.
        """
        if threshold is None:
            neighbours: np.ndarray = _counts(self.texts, categories, n_categories)[self.texts]
        else:
            neighbours = self._near(_counts(self.tokens, categories, n_categories), threshold)
        # A function is no duplicate of itself.
        neighbours[np.arange(len(categories)), categories] -= 1
        return neighbours

    def similarities(self, row: int) -> np.ndarray:
        """How alike each function is to one of them: (n,) float64, 0 below `self.threshold`."""
        of_group = np.zeros(int(self.tokens.max()) + 1)
        group = self.tokens[row]
        for side in (0, 1):
            chosen = self.pairs[:, side] == group
            of_group[self.pairs[chosen, 1 - side]] = self.jaccard[chosen]
        of_group[group] = 1
        similarity: np.ndarray = of_group[self.tokens]
        similarity[row] = 0
        return similarity

    def clusters(self, rows: np.ndarray, threshold: float) -> np.ndarray:
        """The cluster (m,) int64 of each of some rows (m,): those that pairs of them link share it.

        Clusters are numbered from 0 in the order of their first rows; threshold as in neighbours.
        """
        groups, group_of = np.unique(self.tokens[rows], return_inverse=True)
        linked = self.pairs[self.jaccard >= threshold]
        # By these rows alone: a row of another split that is like two of them makes no pair.
        pairs = np.searchsorted(groups, linked[np.isin(linked, groups).all(axis=1)])
        component = _components(pairs, len(groups))[group_of]
        _, first, cluster = np.unique(component, return_index=True, return_inverse=True)
        numbers: np.ndarray = np.argsort(np.argsort(first))[cluster]
        return numbers

    def _near(self, counts: np.ndarray, threshold: float) -> np.ndarray:
        # By groups of the same tokens: a pair names each group once, however many functions it has,
        # and is stored in one direction, which the transpose completes.
        left, right = self.pairs[self.jaccard >= threshold].T
        linked = csr_array((np.ones(len(left), np.int64), (left, right)), shape=[len(counts)] * 2)
        near: np.ndarray = (counts + linked @ counts + linked.T @ counts)[self.tokens]
        return near


def find_near_duplicates(
    sources: Sequence[pa.Array], threshold: float, title: str = "Near-duplicates"
) -> NearDuplicates:
    """Compare the functions of several arrays of texts, numbered through, over all processors.

    Near: the sets of token 4-grams have a Jaccard similarity of at least threshold. MinHash finds
    the candidates, and each is verified with its exact Jaccard.
    """
    with Bar(sum(map(len, sources)), title) as bar:
        signatures = _signatures(sources, threshold, bar)
    # Digests become numbers from 0 on, which can index arrays of counts.
    _, texts = np.unique(signatures.texts, return_inverse=True)
    _, first, tokens = np.unique(signatures.tokens, return_index=True, return_inverse=True)
    spoken = np.flatnonzero(signatures.lengths[first])  # without a token there is no gram to share
    pairs, n_crowded = candidate_pairs(
        signatures.take(first[spoken]), threshold, f"{title}, compared"
    )
    candidates = spoken[pairs]
    # MinHash only estimates: a pair is reported by its exact similarity.
    jaccard = _verified(sources, first, candidates, title)
    near = jaccard >= threshold
    return NearDuplicates(
        texts, tokens, candidates[near], jaccard[near], signatures.lengths, threshold, n_crowded
    )


def token_grams(source: str) -> set[tuple[str, ...]]:
    """The runs of four lexer tokens of a function; a shorter one is one gram by itself."""
    tokens = lexer_tokens(source)
    if len(tokens) < GRAM:
        return {tuple(tokens)}
    # The tokens and not their hashes, so that two grams are never alike by chance.
    return set(zip(*(tokens[place:] for place in range(GRAM)), strict=False))


def _counts(group: np.ndarray, categories: np.ndarray, n_categories: int) -> np.ndarray:
    """Functions of each group and category: (n_groups, n_categories) int64."""
    n_groups = int(group.max(initial=-1)) + 1
    cells = np.bincount(group * n_categories + categories, minlength=n_groups * n_categories)
    return cells.reshape(n_groups, n_categories)


def _signatures(sources: Sequence[pa.Array], threshold: float, bar: Bar) -> Signatures:
    parts = []
    texts = (
        (array.slice(start, FUNCTIONS_PER_JOB).to_pylist(), threshold)
        for array in sources
        for start in range(0, len(array), FUNCTIONS_PER_JOB)
    )
    for part in _in_processes(minhash_signatures, texts, bar.total):
        parts.append(part)
        bar.advance(len(part.texts))
    return join_signatures(parts)


def _in_processes(
    function: Callable[..., Any], arguments: Iterator[tuple[Any, ...]], n_functions: int
) -> Iterator[Any]:
    """What a function answers to each of some arguments, in their order; few wait at a time."""
    # joblib's count heeds a container's share of the processors, os.cpu_count() does not.
    if n_functions < WORTH_PROCESSES or joblib.cpu_count() == 1:
        yield from (function(*each) for each in arguments)
        return
    # loky: neither a fork, which a process that has used CUDA does not survive, nor a second
    # import of the user's main module.
    # A generator: results are taken in, and the bar moves, while others are at work.
    parallel = joblib.Parallel(n_jobs=joblib.cpu_count(), return_as="generator", max_nbytes=None)
    yield from parallel(joblib.delayed(function)(*each) for each in arguments)


def _verified(
    sources: Sequence[pa.Array], first: np.ndarray, pairs: np.ndarray, title: str
) -> np.ndarray:
    """The exact Jaccard similarity (m,) of each candidate; first: (n_groups,) a row of each."""
    # So a text of many pairs is mostly read and cut into grams for one job alone.
    order = _by_component(pairs, len(first))
    jaccard = np.empty(len(pairs))
    parts = [order[at : at + PAIRS_PER_JOB] for at in range(0, len(order), PAIRS_PER_JOB)]

    def arguments() -> Iterator[tuple[list[str], list[list[int]]]]:
        for part in parts:
            groups, places = np.unique(pairs[part], return_inverse=True)
            yield _texts(sources, first[groups]), places.reshape(-1, 2).tolist()

    with Bar(len(pairs), f"{title}, verified") as bar:
        for part, similarities in zip(
            parts, _in_processes(_jaccards, arguments(), len(pairs)), strict=True
        ):
            jaccard[part] = similarities
            bar.advance(len(part))
    return jaccard


def _by_component(pairs: np.ndarray, n_groups: int) -> np.ndarray:
    """An order (m,) of the pairs in which those that share functions stand side by side."""
    component = _components(pairs, n_groups)
    return np.lexsort((pairs[:, 1], pairs[:, 0], component[pairs[:, 0]]))


def _components(pairs: np.ndarray, n_groups: int) -> np.ndarray:
    """The connected component (n_groups,) of each group; pairs: (m, 2) link them."""
    links = csr_array((np.ones(len(pairs), np.int8), pairs.T), shape=(n_groups, n_groups))
    component: np.ndarray = connected_components(links, directed=False)[1]
    return component


def _texts(sources: Sequence[pa.Array], rows: np.ndarray) -> list[str]:
    """The texts of some rows (m,) int, counted through all arrays, in that order."""
    starts = np.cumsum([0, *map(len, sources)])
    array_of = np.searchsorted(starts, rows, side="right") - 1
    texts = np.empty(len(rows), dtype=object)
    for number in np.unique(array_of):
        chosen = array_of == number
        taken = sources[number].take(pa.array(rows[chosen] - starts[number]))
        texts[chosen] = taken.to_numpy(zero_copy_only=False)
    return list(texts)


def _jaccards(texts: Sequence[str], pairs: Sequence[Sequence[int]]) -> list[float]:
    grams = [token_grams(text) for text in texts]
    similarities = []
    for left, right in pairs:
        shared = len(grams[left] & grams[right])
        similarities.append(shared / (len(grams[left]) + len(grams[right]) - shared))
    return similarities
