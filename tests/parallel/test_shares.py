"""Shares of a batch: every function once, none dearer than it has to be."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from enstack.batches import pad_to
from enstack.parallel.shares import ATTENTION, shares

Lengths = st.lists(st.integers(1, 512), min_size=1, max_size=40)


def cost(lengths: list[int]) -> float:
    width = pad_to(max(lengths, default=0))
    return len(lengths) * width * (1 + ATTENTION * width)


def dearest(lengths: list[int], parts: list[np.ndarray]) -> float:
    return max(cost([lengths[place] for place in part]) for part in parts)


@given(lengths=Lengths, size=st.integers(1, 9))
def test_every_function_is_in_one_share_and_the_first_process_has_one(
    lengths: list[int], size: int
) -> None:
    parts = shares(lengths, size)
    assert len(parts) == size
    assert len(parts[0])
    assert sorted(itertools.chain.from_iterable(parts)) == list(range(len(lengths)))


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=8), size=st.integers(1, 4))
def test_no_division_of_neighbours_by_length_has_a_cheaper_dearest_share(
    lengths: list[int], size: int
) -> None:
    order = np.argsort(-np.array(lengths), kind="stable")
    cuts = itertools.combinations_with_replacement(range(len(lengths) + 1), size - 1)
    best = min(dearest(lengths, np.split(order, list(cut))) for cut in cuts)
    assert dearest(lengths, shares(lengths, size)) <= best * (1 + 1e-9)


def test_four_processes_take_a_vdisc_like_batch_in_a_quarter_of_the_time_plus_a_tenth() -> None:
    """Of 64 functions of one length bucket, and of any lengths at all."""
    chance = np.random.default_rng(1)
    for lengths in (chance.integers(200, 230, 64), chance.integers(10, 512, 64)):
        one, four = dearest(lengths, shares(lengths, 1)), dearest(lengths, shares(lengths, 4))
        assert four < 1.1 * one / 4
