"""Measures of line scores, by hand-made cases, and by trying every order of equal scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enstack.metrics.line_ranking import effort_at_recall, rank_lines, recall_at_effort

FUNCTION = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5).filter(
    lambda lines: any(flawed for _, flawed in lines)
)


def test_places_by_hand() -> None:
    scores = [np.array([0.1, 0.9, 0.5, 0.3]), np.array([3.0, 2.0, 1.0, 0.0, -1.0])]
    flawed = [np.array([True, False, True, False]), np.array([False] * 4 + [True])]
    found = rank_lines(scores, flawed)
    # The first flawed lines stand at place 2 and at place 5.
    assert (found.top_1, found.top_3, found.functions) == (0, 0.5, 2)
    assert found.mrr == pytest.approx((1 / 2 + 1 / 5) / 2)
    assert found.ifa == pytest.approx((1 + 4) / 2)


def test_lines_that_are_all_alike_are_found_as_by_chance() -> None:
    found = rank_lines([np.zeros(10)], [np.arange(10) < 2])
    assert found.top_1 == pytest.approx(2 / 10)
    assert found.top_3 == pytest.approx(1 - (8 * 7 * 6) / (10 * 9 * 8))
    assert found.ifa == pytest.approx((10 + 1) / (2 + 1) - 1)  # of two of ten, drawn blindly


def test_functions_without_a_flawed_line_do_not_count() -> None:
    clean = np.zeros(3, dtype=bool)
    hit = np.array([False, True, False])
    scores = np.array([0.0, 1.0, 0.0])
    assert rank_lines([scores, scores], [hit, clean]) == rank_lines([scores], [hit])


@settings(deadline=None, max_examples=40)
@given(lines=FUNCTION)
def test_equal_scores_count_as_the_mean_of_all_their_orders(lines: list[tuple[int, bool]]) -> None:
    scores, flawed = np.array([s for s, _ in lines], float), np.array([f for _, f in lines])
    firsts = []
    for order in itertools.permutations(range(len(lines))):
        ranked = sorted(order, key=lambda line: -scores[line])
        firsts.append(1 + next(place for place, line in enumerate(ranked) if flawed[line]))
    places = np.array(firsts)
    found = rank_lines([scores], [flawed])
    assert found.top_1 == pytest.approx((places <= 1).mean())
    assert found.top_3 == pytest.approx((places <= 3).mean())
    assert found.mrr == pytest.approx((1 / places).mean())
    assert found.ifa == pytest.approx((places - 1).mean())


def test_effort_and_recall_by_hand() -> None:
    # Alerted: scores 5 (flawed), 4, 1 (flawed); not alerted: 9 (flawed), 2.
    scores = np.array([1.0, 9.0, 5.0, 2.0, 4.0])
    flawed = np.array([True, True, True, False, False])
    alerted = np.array([True, False, True, False, True])
    assert recall_at_effort(scores, flawed, alerted, 1 / 5) == pytest.approx(1 / 3)
    assert recall_at_effort(scores, flawed, alerted, 3 / 5) == pytest.approx(2 / 3)
    assert recall_at_effort(scores, flawed, alerted, 4 / 5) == pytest.approx(1)
    assert effort_at_recall(scores, flawed, alerted, 1 / 3) == pytest.approx(1 / 5)
    assert effort_at_recall(scores, flawed, alerted, 2 / 3) == pytest.approx(3 / 5)
    assert effort_at_recall(scores, flawed, alerted, 1) == pytest.approx(4 / 5)
    assert effort_at_recall(scores, flawed, alerted, 0) == 0


def test_by_chance_the_effort_is_the_recall() -> None:
    flawed, alike = np.arange(1000) % 7 == 0, np.zeros(1000)
    everything = np.ones(1000, dtype=bool)
    assert recall_at_effort(alike, flawed, everything, 0.01) == pytest.approx(0.01)
    assert effort_at_recall(alike, flawed, everything, 0.2) == pytest.approx(0.2)


@settings(deadline=None, max_examples=40)
@given(
    lines=st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=5
    ).filter(lambda lines: any(flawed for _, flawed, _ in lines)),
    read=st.integers(1, 5),
)
def test_recall_is_the_mean_over_all_orders_and_the_effort_finds_it_again(
    lines: list[tuple[int, bool, bool]], read: int
) -> None:
    scores, flawed, alerted = (np.array(column) for column in zip(*lines, strict=True))
    read = min(read, len(lines))
    found = []
    for order in itertools.permutations(range(len(lines))):
        ranked = sorted(order, key=lambda line: (not alerted[line], -scores[line]))
        found.append(flawed[ranked[:read]].sum() / flawed.sum())
    share = recall_at_effort(scores, flawed, alerted, read / len(lines))
    assert share == pytest.approx(np.mean(found))
    effort = effort_at_recall(scores, flawed, alerted, share)
    # As little as finds as much: lines without a flaw at the end are not read.
    assert effort <= read / len(lines) + 1e-9
    assert recall_at_effort(scores, flawed, alerted, effort) == pytest.approx(share)
