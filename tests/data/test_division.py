"""A table divided into splits: shares, strata, units that stay together, dates, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.dates import as_day, seconds_of
from enstack.data.division import Division, divide, divide_by_time, is_even
from enstack.data.groups import NO_GROUP, group_numbers, joined
from enstack.data.stored_division import read_division, write_division

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=200
)  # a stratum and a unit each


def shares(split_of: np.ndarray) -> np.ndarray:
    return np.bincount(split_of, minlength=3) / len(split_of)


def alone(n: int) -> np.ndarray:
    return np.arange(n)


@given(ROWS)
def test_no_unit_is_in_two_splits(rows: list[tuple[int, int]]) -> None:
    strata, units = np.array(rows).T
    units = np.unique(units, return_inverse=True)[1]
    split_of = divide(strata, units, alone(len(units)))
    for unit in range(units.max() + 1):
        assert len(set(split_of[units == unit])) == 1


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(rows: list[tuple[int, int]], random) -> None:  # type: ignore[no-untyped-def]
    strata, units = np.array(rows).T
    units = np.unique(units, return_inverse=True)[1]
    order = np.array(random.sample(range(len(rows)), len(rows)))
    ranks = alone(len(rows))
    # Units are numbered otherwise too: by their first rows, as they are found.
    other = np.unique(-units[order], return_inverse=True)[1]
    assert divide(strata, units, ranks)[order].tolist() == (
        divide(strata[order], other, ranks[order]).tolist()
    )


def test_rows_alone_are_divided_80_10_10_in_every_stratum() -> None:
    strata = np.repeat([0, 1, 2], [1000, 300, 20])
    split_of = divide(strata, alone(1320), np.random.RandomState(0).permutation(1320))
    for stratum, n in enumerate([1000, 300, 20]):
        counts = np.bincount(split_of[strata == stratum], minlength=3)
        assert abs(counts - n * np.array([0.8, 0.1, 0.1])).max() <= 1


def test_a_stratum_that_stands_in_one_large_unit_leaves_the_others_even() -> None:
    units = np.concatenate([np.zeros(300, dtype=int), 1 + np.arange(70).repeat(10)])
    strata = np.concatenate([np.ones(300, dtype=int), np.arange(700) % 2])
    split_of = divide(strata, units, alone(1000))
    assert set(split_of[:300]) == {0}
    assert abs(shares(split_of) - [0.8, 0.1, 0.1]).max() < 0.02
    assert is_even(split_of, strata)


def test_a_unit_of_nearly_all_rows_leaves_uneven_splits() -> None:
    units = np.concatenate([np.zeros(950, dtype=int), 1 + np.arange(50)])
    split_of = divide(np.arange(1000) % 2, units, alone(1000))
    assert not is_even(split_of, np.arange(1000) % 2)


def test_a_split_without_vulnerable_functions_is_not_even() -> None:
    split_of = np.arange(1000) % 10 // 8 * (1 + np.arange(1000) % 2)
    assert is_even(split_of, np.zeros(1000, dtype=int))
    assert not is_even(split_of, (split_of == 0).astype(int))


def test_rows_are_joined_over_groups_that_they_share() -> None:
    project, commit = np.array([0, 0, 1, 1, NO_GROUP]), np.array([0, 1, 1, NO_GROUP, NO_GROUP])
    assert joined(commit).tolist() == [0, 1, 1, 2, 3]
    assert joined(project, commit).tolist() == [0, 0, 0, 0, 1]


def test_a_row_without_a_group_belongs_to_nobody() -> None:
    groups = pa.table({"commit": pa.array(["a", None, "b", "a", None], pa.large_string())})
    assert group_numbers(groups, "commit").tolist() == [0, -1, 1, 0, -1]  # type: ignore[union-attr]
    assert group_numbers(groups, "project") is None
    assert group_numbers(groups.slice(1, 1), "commit") is None


def test_the_newest_rows_are_test_and_an_instant_stays_whole() -> None:
    days = np.array([5.0, 1, 2, 3, 4, 6, 7, 8, 9, 9, np.nan])
    assert divide_by_time(days).tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0]


@pytest.mark.parametrize(
    ("date", "day"),
    [
        ("2019-03-04", "2019-03-04"),
        ("20190304", "2019-03-04"),
        ("2019", "2019-01-01"),
        ("2019-03", "2019-03-01"),
        ("2019-03-04T23:30:00Z", "2019-03-04"),
        ("2019-03-04 23:30:00 -0200", "2019-03-05"),
        ("Mon Mar 4 12:00:00 2019 +0100", "2019-03-04"),
        ("Mon Mar 4 12:00:00 2019", "2019-03-04"),
        ("Mon, 4 Mar 2019 12:00:00 +0000", "2019-03-04"),
        ("1551700000", "2019-03-04"),
        ("1551700000.0", "2019-03-04"),
        ("03/04/2019", None),
        ("yesterday", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_are_read_as_they_are_written(date: str | None, day: str | None) -> None:
    (seconds,) = seconds_of([date])
    assert (None if np.isnan(seconds) else as_day(seconds)) == day


def a_division() -> Division:
    details = {"kept_together": ["commit"], "near_duplicates_from": 0.7, "passed_over": {}}
    return Division(np.array([0, 1, 2, 0], dtype=np.int8), "commit", 42, "ab12", details)


def test_a_stored_division_is_read_back(tmp_path: Path) -> None:
    write_division(tmp_path / "division.npz", a_division())
    read = read_division(tmp_path / "division.npz")
    assert read is not None
    assert read.split_of.tolist() == [0, 1, 2, 0]
    assert read.split_of.dtype == np.int8
    assert (read.by, read.seed, read.of, read.details) == (
        "commit",
        42,
        "ab12",
        a_division().details,
    )


@pytest.mark.parametrize("split_of", [[0, 3], [0, -1], [[0, 1]], [0.0, 1.0], [0, 300]])
def test_a_stored_division_that_is_none_is_not_used(tmp_path: Path, split_of: list[float]) -> None:
    path = tmp_path / "division.npz"
    np.savez(path, split_of=split_of, told='{"by": "commit", "seed": 1, "of": ""}')
    assert read_division(path) is None
    path.write_bytes(path.read_bytes()[:100])
    assert read_division(path) is None
