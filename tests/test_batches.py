from __future__ import annotations

import hashlib
import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from enstack import batches as batches_module
from enstack.batches import (
    GROUPS_LOOKED_UP,
    ORDER,
    EpochBatches,
    Segment,
    Shuffle,
    count_batch,
    pad_to,
    padding_efficiency,
    rest_of_epoch,
    rows_left,
)

LENGTHS = np.random.default_rng(0).integers(10, 512, 203)
lengths_strategy = st.lists(st.integers(1, 512), min_size=0, max_size=400).map(np.array)


@given(lengths=lengths_strategy, batch_size=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_index_occurs_once_an_epoch(lengths: np.ndarray, batch_size: int, seed: int) -> None:
    batches = list(EpochBatches(lengths, batch_size, seed=seed, epoch=1))
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


@given(start=st.integers(0, 60), batch_size=st.integers(4, 16))
def test_a_late_start_gives_the_rest_of_the_whole_epoch(start: int, batch_size: int) -> None:
    whole = EpochBatches(LENGTHS, batch_size, seed=1, epoch=2)
    late = EpochBatches(LENGTHS, batch_size, seed=1, epoch=2, start_batch=start)
    assert list(late) == list(whole)[start:]
    assert len(late) == len(list(late))
    assert late.total_batches == len(whole)


def test_iterating_twice_gives_the_same() -> None:
    batches = EpochBatches(LENGTHS, 16, seed=1, epoch=1, start_batch=3)
    assert list(batches) == list(batches)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "epoch", "digest"),
    [
        (203, 8, 0, "1a582a278782ca58"),
        (20_305, 16, 1, "cbffd97acc7de930"),
        (131_072, 33, 7, "4b902ef581cf4be5"),
    ],
)
def test_the_order_that_stored_checkpoints_rely_on_stays_the_same(
    n_samples: int, batch_size: int, epoch: int, digest: str
) -> None:
    """Another digest here needs another ORDER: checkpoints say by which they were made."""
    assert ORDER == 2
    lengths = (np.arange(n_samples) * 7919) % 503 + 10
    batches = EpochBatches(lengths, batch_size, seed=42, epoch=epoch)
    flat = np.fromiter(itertools.chain.from_iterable(batches), dtype="<i8")
    assert hashlib.sha256(flat.tobytes()).hexdigest()[:16] == digest


def test_epochs_and_seeds_differ_and_do_not_collide() -> None:
    """seed + epoch would make seed 0 epoch 2 equal seed 1 epoch 1."""
    orders = {
        (seed, epoch): tuple(
            itertools.chain.from_iterable(EpochBatches(LENGTHS, 8, seed=seed, epoch=epoch))
        )
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(set(orders.values())) == len(orders)


def test_no_global_random_generator_is_touched() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    list(EpochBatches(LENGTHS, 16, seed=1, epoch=1))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after


def test_processes_share_each_batch() -> None:
    whole = list(EpochBatches(LENGTHS, 8, seed=1, epoch=1))
    shares = [
        list(EpochBatches(LENGTHS, 8, seed=1, epoch=1, rank=rank, world_size=3))
        for rank in range(3)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(itertools.chain.from_iterable(parts)) == sorted(batch)


class Recorder(Dataset[int]):
    """Notes every index that is read, in the process that reads it."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __getitem__(self, index: int) -> int:
        self.read.append(index)
        return index


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_reads_no_skipped_index_with_any_number_of_workers(workers: int) -> None:
    batches = EpochBatches(LENGTHS, 16, seed=1, epoch=1, start_batch=10)
    dataset = Recorder()
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=workers)
    seen = [batch.tolist() for batch in loader]
    assert seen == list(EpochBatches(LENGTHS, 16, seed=1, epoch=1))[10:]
    if workers == 0:
        assert dataset.read == list(itertools.chain.from_iterable(seen))


def test_buckets_keep_95_percent_of_the_tokens_real_on_vdisc_like_lengths() -> None:
    lengths = np.clip(np.random.default_rng(1).lognormal(5.7, 0.7, 20305), 13, 512).astype(int)
    assert padding_efficiency(lengths, EpochBatches(lengths, 16, seed=42, epoch=1)) > 0.95


def test_the_papers_epoch_has_1270_batches() -> None:
    assert EpochBatches(np.ones(20305, int), 16, seed=42, epoch=1).total_batches == 1270


@given(sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 6)), max_size=4))
def test_changing_the_batch_size_inside_an_epoch_repeats_and_loses_no_row(
    sizes: list[tuple[int, int]],
) -> None:
    segments: list[Segment] = []
    seen: list[int] = []
    for batch_size, wanted in sizes:
        rows, order = rest_of_epoch(LENGTHS, segments, batch_size, seed=3, epoch=1)
        for batch in itertools.islice(order, wanted):
            seen += rows[batch].tolist()
            segments = count_batch(segments, batch_size)
    rest = rows_left(LENGTHS, segments, seed=3, epoch=1)
    assert sorted([*seen, *rest.tolist()]) == list(range(len(LENGTHS)))


def test_batches_are_padded_to_multiples_of_8() -> None:
    assert [pad_to(n) for n in (1, 8, 9, 511)] == [8, 8, 16, 512]


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 4, "start_batch": -1}, "start_batch at least 0"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank must be"),
        ({"batch_size": 4, "world_size": 8}, "at least world_size"),
    ],
)
def test_wrong_arguments_are_named(settings: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        EpochBatches(LENGTHS, seed=1, epoch=1, **settings)


def test_every_sample_comes_to_every_place_equally_often() -> None:
    """Of 40 samples in 20,000 shuffles; chi-squared has 39 x 39 degrees of freedom."""
    times, n_samples = 20_000, 40
    found = np.zeros((n_samples, n_samples))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batches_module, "SAMPLES_PER_GROUP", 8)
        for epoch in range(times):
            shuffle = Shuffle(n_samples, np.random.default_rng([7, epoch]), [7, epoch])
            found[shuffle.between(0, n_samples), np.arange(n_samples)] += 1
    expected = times / n_samples
    chi_squared = ((found - expected) ** 2 / expected).sum()
    freedom = (n_samples - 1) ** 2
    assert abs(chi_squared - freedom) < 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, 5000), (999, 1001), (3000, 5000)])
def test_a_stretch_of_a_shuffle_is_that_of_the_whole(first: int, last: int) -> None:
    def shuffle() -> Shuffle:
        return Shuffle(5000, np.random.default_rng(1), [1])

    assert (
        shuffle().between(first, last).tolist() == shuffle().between(0, 5000)[first:last].tolist()
    )


def test_of_a_whole_epoch_all_samples_are_looked_through_a_fixed_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, flatnonzero = [0], np.flatnonzero

    def counting(array: np.ndarray) -> np.ndarray:
        looked[0] += 1
        return flatnonzero(array)

    monkeypatch.setattr(np, "flatnonzero", counting)
    for n_samples in (100_000, 200_000):  # 98 and 196 groups
        looked[0] = 0
        assert sum(1 for _ in EpochBatches(np.ones(n_samples), 100, seed=1, epoch=1))
        assert looked[0] <= GROUPS_LOOKED_UP
