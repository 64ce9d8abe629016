"""The order of an epoch: length buckets, position, and a fast-forward that reads nothing."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Sampler

BATCHES_PER_BUCKET = 100  # measured on Juliet at 16 a batch: 50 keep 94.4 % real tokens, 100 95.8 %
SAMPLES_PER_GROUP = 1024  # of the shuffle: a few groups make a bucket
GROUPS_LOOKED_UP = 50  # before they are sorted
# Raise when the same arguments give another order: checkpoints of this one are refused then.
ORDER = 2


class Segment(NamedTuple):
    """Batches of one size that were finished, one after another, in one epoch."""

    batch_size: int
    batches: int


class EpochBatches(Sampler[list[int]]):
    """Batches of sample indices in an order that is a pure function of its arguments.

    lengths: int array (n_samples,), tokens. Samples are shuffled, sorted by length within buckets
    of 100 batches, and the batches are shuffled again; a last short batch stays last. Every index
    occurs once an epoch. batch_size counts the samples of a batch over all processes, of which
    process `rank` gets its share. Iterating never touches a global random generator and may be
    repeated (a DataLoader with workers asks twice). `start_batch` skips by `itertools.islice` over
    the starts of batches: no skipped sample is ever named, so none can be read.
    """

    def __init__(
        self,
        lengths: Any,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        start_batch: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size, self.seed, self.epoch = batch_size, seed, epoch
        self.start_batch, self.rank, self.world_size = start_batch, rank, world_size
        self._check()

    @property
    def total_batches(self) -> int:
        """Batches of the whole epoch."""
        # Rounded up: the last batch may be short.
        return -(-len(self.lengths) // self.batch_size)

    def __len__(self) -> int:
        """Batches that are left."""
        return max(0, self.total_batches - self.start_batch)

    def __iter__(self) -> Iterator[list[int]]:
        # Of both, not of their sum: seed 0 in epoch 2 would be seed 1 in epoch 1.
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffle = Shuffle(len(self.lengths), generator, [self.seed, self.epoch])
        starts = np.arange(0, len(self.lengths), self.batch_size, dtype=np.int64)
        generator.shuffle(starts[: len(self.lengths) // self.batch_size])
        # Sorted once for its hundred batches, and only when one of them is asked for: a late start
        # costs no sorting of what it skips.
        bucket = functools.cache(functools.partial(self._bucket, shuffle))
        # As a memoryview: plain ints, skipped twice as fast as an array's boxed numbers.
        for start in itertools.islice(starts.data, self.start_batch, None):
            first = start // self._bucket_size * self._bucket_size
            batch = bucket(first)[start - first : start - first + self.batch_size]
            yield batch[self.rank :: self.world_size].tolist()

    @property
    def _bucket_size(self) -> int:
        return BATCHES_PER_BUCKET * self.batch_size

    def _bucket(self, shuffle: Shuffle, first: int) -> np.ndarray:
        """The samples from one place on, by length: sorted when a batch of theirs is asked for.

        The sort is stable, so equal lengths keep their shuffled order; a last short batch is left
        out of it.
        """
        n_samples = len(self.lengths)
        samples = shuffle.between(first, min(first + self._bucket_size, n_samples))
        whole = n_samples // self.batch_size * self.batch_size - first
        by_length = np.argsort(self.lengths[samples[:whole]], kind="stable")
        return np.concatenate([samples[:whole][by_length], samples[whole:]])

    def _check(self) -> None:
        if self.lengths.ndim != 1:
            raise ValueError(
                f"lengths must have one axis (n_samples,), found {self.lengths.ndim}: "
                "pass one number of tokens for each sample"
            )
        if self.batch_size < 1 or self.start_batch < 0:
            raise ValueError(
                "batch_size must be at least 1 and start_batch at least 0, found "
                f"{self.batch_size} and {self.start_batch}"
            )
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must be in 0..world_size-1, found {self.rank}")
        if self.world_size > self.batch_size:
            raise ValueError(
                "batch_size is counted over all processes and must be at least world_size, found "
                f"{self.batch_size} for {self.world_size} processes"
            )


class Shuffle:
    """Samples in uniformly random order, of which only the stretch that is asked for is worked out.

    Every sample draws a group; groups follow each other, and each is shuffled by itself (Rao 1961,
    Sandelius 1962). Shuffling 10^7 samples at once takes several times as long, for each swap waits
    for memory.
    """

    def __init__(self, n_samples: int, generator: np.random.Generator, seed: list[int]) -> None:
        self.seed = seed
        # At most as many as 16 bits tell apart, which keeps the draws of 10^7 samples at 20 MB.
        n_groups = min(n_samples // SAMPLES_PER_GROUP + 1, 2**16)
        self._group_of = generator.integers(0, n_groups, n_samples, dtype=np.uint16)
        self._ends = np.cumsum(np.bincount(self._group_of, minlength=n_groups))
        self._looked_up = 0

    def between(self, first: int, last: int) -> np.ndarray:
        """The samples at the places from first up to last."""
        groups = range(
            # right: the end of a group is the start of the next one.
            int(np.searchsorted(self._ends, first, side="right")),
            int(np.searchsorted(self._ends, last - 1, side="right")) + 1,
        )
        samples = np.concatenate([self._group(group) for group in groups])
        start = first - self._start(groups[0])
        return samples[start : start + last - first]

    def _start(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def _group(self, group: int) -> np.ndarray:
        # A generator for each group: its order does not depend on which were asked for before.
        return np.random.default_rng([*self.seed, group]).permutation(self._members(group))

    def _members(self, group: int) -> np.ndarray:
        """The samples of a group, ascending."""
        # Of 10^7 samples, 3 ms to look them all through against .2 s to sort them: the first batch
        # does not wait for that, and an epoch is not quadratic.
        if self._looked_up < GROUPS_LOOKED_UP:
            self._looked_up += 1
            return np.flatnonzero(self._group_of == group)
        return self._sorted[self._start(group) : self._ends[group]]

    @functools.cached_property
    def _sorted(self) -> np.ndarray:
        return np.argsort(self._group_of, kind="stable")


def rows_left(lengths: Any, segments: Sequence[Segment], *, seed: int, epoch: int) -> np.ndarray:
    """Rows of an epoch that the finished segments have not seen, ascending, int64.

    A segment is a stretch of batches of one size; each ran over what the segments before it left.
    So a run may go on with another batch size, and still sees every sample once.
    """
    lengths = np.asarray(lengths)
    rows = np.arange(len(lengths))
    for segment in segments:
        order = EpochBatches(lengths[rows], segment.batch_size, seed=seed, epoch=epoch)
        seen = list(itertools.chain.from_iterable(itertools.islice(order, segment.batches)))
        rows = np.delete(rows, np.asarray(seen, dtype=np.int64))
    return rows


def rest_of_epoch(
    lengths: Any, segments: Sequence[Segment], batch_size: int, *, seed: int, epoch: int
) -> tuple[np.ndarray, EpochBatches]:
    """The rows and the order with which an epoch goes on after the finished segments.

    The batches index the rows. With the batch size of the last segment its order goes on by
    fast-forward; with another one the rows not yet seen are put in a new order.
    """
    lengths, before, start = np.asarray(lengths), list(segments), 0
    if before and before[-1].batch_size == batch_size:
        # The segment in work is skipped, not replayed: that names no sample.
        start = before.pop().batches
    rows = rows_left(lengths, before, seed=seed, epoch=epoch)
    order = EpochBatches(lengths[rows], batch_size, seed=seed, epoch=epoch, start_batch=start)
    return rows, order


def count_batch(segments: Sequence[Segment], batch_size: int) -> list[Segment]:
    """The segments after one more finished batch."""
    if segments and segments[-1].batch_size == batch_size:
        return [*segments[:-1], Segment(batch_size, segments[-1].batches + 1)]
    return [*segments, Segment(batch_size, 1)]


def pad_to(longest: int, multiple: int = 8) -> int:
    """Tokens to which a batch is padded: tensor cores like multiples of 8."""
    return -(-longest // multiple) * multiple


def padding_efficiency(lengths: Any, batches: Iterable[Sequence[int]]) -> float:
    """Real tokens over padded tokens of an epoch, 0 to 1."""
    lengths = np.asarray(lengths)
    padded = sum(pad_to(int(lengths[batch].max())) * len(batch) for batch in batches)
    return float(lengths.sum() / padded)
