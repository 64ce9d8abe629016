"""MinHash sketches of functions, and the pairs that may be near-duplicates by them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from datasketch import MinHash

from enstack.duplicates.lexer import lexer_tokens
from enstack.progress.bars import Bar

__all__ = [
    "GRAM",
    "MINHASH_EDITION",
    "Signatures",
    "candidate_pairs",
    "join_signatures",
    "minhash_signatures",
    "token_hash",
]

# Raise when other pairs are found, by the lexer too, so that no stored comparison is used.
MINHASH_EDITION = 3
GRAM = 4  # tokens in a gram
N_HASHES = 128
# Tokens whose hash is remembered, in each process.
REMEMBERED_TOKENS = 1 << 18
PAIRS_AT_ONCE = 1 << 16
# How many pairs a function is looked at in, on average and at most, in each band.
# A function with hundreds of thousands of neighbours would else make the whole quadratic.
PAIRS_PER_FUNCTION = 50
MIN_PAIRS = 1 << 20
# Hashes agree as often as the Jaccard similarity says, give or take .044 (standard deviation of 128
# at .5); a pair that reads lower than its threshold by this much is not looked at again.
MARGIN = 0.2


def _constants(seed: int, count: int) -> np.ndarray:
    """Odd 64-bit numbers (count,): multiplying by one permutes the 64-bit numbers."""
    # RandomState: its stream is frozen, so candidates are the same under every NumPy.
    drawn = np.random.RandomState(seed).bytes(8 * count)
    return np.frombuffer(drawn, dtype="<u8").astype(np.uint64) | np.uint64(1)


PLACES = _constants(1, GRAM)
BAND_FACTORS = _constants(4, 16)


@dataclass(frozen=True)
class Signatures:
    """What is kept of each function: 256 bytes and two digests, whatever its length.

    texts, tokens: (n,) uint64 digests of the text and of its lexer tokens. bands: (n, n_bands)
    uint32, each a hash of some MinHashes. low: (n, N_HASHES) uint8, the low byte of each MinHash.
    lengths: (n,) int32, lexer tokens.
    """

    texts: np.ndarray
    tokens: np.ndarray
    bands: np.ndarray
    low: np.ndarray
    lengths: np.ndarray

    def take(self, rows: np.ndarray) -> Signatures:
        """The sketches of some functions (m,) int."""
        columns = (self.texts, self.tokens, self.bands, self.low, self.lengths)
        return Signatures(*(column[rows] for column in columns))


def minhash_signatures(sources: Sequence[str], threshold: float) -> Signatures:
    """Sketches of functions for pairs of at least this Jaccard similarity of their token grams.

    MinHash and banding: Broder 1997, On the resemblance and containment of documents; Leskovec,
    Rajaraman, Ullman, Mining of Massive Datasets, section 3.4. With 4 MinHashes a band a pair at
    .7 is missed once in 6,000 times, at .9 never; with 3 (below .65) one at .5 once in 270.
    """
    texts = [source.encode() for source in sources]
    tokens = [lexer_tokens(source) for source in sources]
    lengths = np.fromiter(map(len, tokens), np.int32, len(tokens))
    hashes = [np.fromiter(map(token_hash, of_one), np.uint64, len(of_one)) for of_one in tokens]
    minhashes = _minhashes(hashes)
    return Signatures(
        texts=_digests(texts),
        # Without a token, as where all is comment, a function is like its own text alone.
        tokens=_digests([row.tobytes() or text for row, text in zip(hashes, texts, strict=True)]),
        bands=_bands(minhashes, 4 if threshold >= 0.65 else 3),
        # Two that differ agree in this byte once in 256 times: a candidate more, never one less.
        low=minhashes.astype(np.uint8),
        lengths=lengths,
    )


def join_signatures(parts: Sequence[Signatures]) -> Signatures:
    """The sketches of several parts, end to end."""
    names = ("texts", "tokens", "bands", "low", "lengths")
    return Signatures(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@functools.lru_cache(maxsize=REMEMBERED_TOKENS)
def token_hash(token: str) -> int:
    """64 bits of a token, the same in every process."""
    # Not Python's hash: of texts it is another one in every process.
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")


def _digests(texts: Sequence[bytes]) -> np.ndarray:
    """64 bits of each text (n,) uint64: among a million, two alike by chance once in 10^7 times."""
    digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _grams(hashes: np.ndarray) -> np.ndarray:
    """A hash (m,) uint32 of each run of GRAM tokens; a shorter text is one gram."""
    if len(hashes) < GRAM:
        hashes = np.concatenate([hashes, np.zeros(GRAM - len(hashes), dtype=np.uint64)])
    n_grams = len(hashes) - GRAM + 1
    mixed: np.ndarray = np.zeros(n_grams, dtype=np.uint64)
    for place, factor in enumerate(PLACES):
        mixed += hashes[place : place + n_grams] * factor
    # The high half of a sum of products is the part that mixes all bits of the tokens.
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _minhashes(hashes: Sequence[np.ndarray]) -> np.ndarray:
    """The least of each hash over a function's grams: (n, N_HASHES) uint32."""
    # Every setting is named: another default must not change what drop_near_duplicates drops.
    minhash = MinHash(num_perm=N_HASHES, seed=1, scheme="affine32", hashfunc=int)
    signatures = np.empty((len(hashes), N_HASHES), dtype=np.uint32)
    # datasketch takes one function at a time. A loop of ours over many at once took half the time:
    # a minute for a million functions, not worth the lines.
    for row, tokens in enumerate(hashes):
        minhash.clear()
        minhash.update_batch(_grams(tokens).tolist())
        signatures[row] = minhash.digest()
    return signatures


def _bands(minhashes: np.ndarray, rows: int) -> np.ndarray:
    """One hash (n, N_HASHES // rows) uint32 for every `rows` MinHashes."""
    n_bands = N_HASHES // rows
    parts = minhashes[:, : n_bands * rows].reshape(len(minhashes), n_bands, rows)
    mixed = (parts.astype(np.uint64) * BAND_FACTORS[:rows]).sum(axis=2, dtype=np.uint64)
    hashed: np.ndarray = (mixed >> np.uint64(32)).astype(np.uint32)
    return hashed


def candidate_pairs(signatures: Signatures, threshold: float, title: str) -> tuple[np.ndarray, int]:
    """Pairs (m, 2) int64, left < right, each once, and how many functions were in a crowd.

    A pair agrees in a band, and in so many MinHashes that it may reach the threshold. Where very
    many functions share a band, each meets only so many of its neighbours there, in an order in
    which the most alike stand side by side: pairs inside such a crowd may be missed.
    """
    n_rows, n_bands = signatures.bands.shape
    kept = np.empty(0, dtype=np.int64)
    crowded = np.zeros(n_rows, dtype=bool)
    # Sorted arrays, not datasketch's own index: that takes 10.4 KB a function, 13 GB for VDISC.
    with Bar(n_bands, title, unit="band") as bar:
        for band in range(n_bands):
            # The band that follows orders those that agree in this one.
            after = signatures.bands[:, (band + 1) % n_bands]
            order = np.lexsort((signatures.low[:, -1], after, signatures.bands[:, band]))
            key = signatures.bands[order, band]
            reach = _reach(key)
            _mark_crowds(crowded, order, key, reach)
            pairs = [
                _likely(signatures.low, order[left], order[right], threshold)
                for left, right in _neighbours(key, reach)
            ]
            # Band by band: a pair that agrees in many would else be held as many times.
            kept = np.unique(np.concatenate([kept, *pairs]))
            bar.advance()
    return np.stack([kept // n_rows, kept % n_rows], axis=1), int(crowded.sum())


def _runs(key: np.ndarray) -> np.ndarray:
    """How many equal values stand side by side in a sorted array, run by run."""
    edges = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1], [True]]))
    return np.diff(edges)


def _reach(key: np.ndarray) -> int:
    """How far apart two functions of a run may stand, so that there are not too many pairs."""
    runs, limit = _runs(key), max(MIN_PAIRS, PAIRS_PER_FUNCTION * len(key))
    reach = int(runs.max(initial=1))
    while reach > 1 and np.minimum(runs - 1, reach).astype(np.int64) @ runs > limit:
        reach //= 2
    return max(reach, 1)


def _mark_crowds(crowded: np.ndarray, order: np.ndarray, key: np.ndarray, reach: int) -> None:
    runs = _runs(key)
    crowded[order[np.repeat(runs > reach + 1, runs)]] = True


def _neighbours(key: np.ndarray, reach: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of equal values in a sorted array, no further apart than reach; in small parts."""
    places = np.arange(len(key))
    for apart in range(1, reach + 1):
        places = places[: np.searchsorted(places, len(key) - apart)]
        places = places[key[places] == key[places + apart]]
        if not len(places):
            return
        for start in range(0, len(places), PAIRS_AT_ONCE):
            left = places[start : start + PAIRS_AT_ONCE]
            yield left, left + apart


def _likely(low: np.ndarray, one: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
    """The pairs, as left * n + right, that agree in enough MinHashes."""
    agreeing = np.count_nonzero(low[one] == low[other], axis=1)
    likely = agreeing >= (threshold - MARGIN) * N_HASHES
    left, right = np.minimum(one, other)[likely], np.maximum(one, other)[likely]
    pairs: np.ndarray = left.astype(np.int64) * len(low) + right
    return pairs
