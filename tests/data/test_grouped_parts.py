"""Parts in which no cluster is divided, and classes are spread as evenly as clusters allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import divide_in_folds
from enstack.data.subsets import grouped_parts
from enstack.errors import DataError

ROWS = st.integers(0, 2**32 - 1).map(lambda seed: np.random.RandomState(seed))


def spread(values: np.ndarray) -> int:
    return int(values.max() - values.min())


@given(ROWS, st.integers(1, 120), st.integers(2, 6), st.integers(1, 4))
def test_no_cluster_lies_in_two_parts_and_sizes_differ_by_a_cluster_at_most(
    random: np.random.RandomState, n_rows: int, n_parts: int, n_groups: int
) -> None:
    clusters = random.randint(0, max(1, n_rows // 2), n_rows)
    _, clusters = np.unique(clusters, return_inverse=True)
    groups = random.randint(0, n_groups, n_rows)
    parts = grouped_parts(groups, clusters, n_parts, 7)
    assert set(parts) <= set(range(n_parts))
    assert all(len(set(parts[clusters == number])) == 1 for number in set(clusters))
    np.testing.assert_array_equal(parts, grouped_parts(groups, clusters, n_parts, 7))


@given(ROWS, st.integers(1, 120), st.integers(2, 6), st.integers(1, 4))
def test_functions_that_are_all_different_are_spread_to_the_last_row(
    random: np.random.RandomState, n_rows: int, n_parts: int, n_groups: int
) -> None:
    groups = random.randint(0, n_groups, n_rows)
    parts = grouped_parts(groups, random.permutation(n_rows), n_parts, 7)
    assert spread(np.bincount(parts, minlength=n_parts)) <= 1
    for group in set(groups):
        assert spread(np.bincount(parts[groups == group], minlength=n_parts)) <= 1


def test_many_small_clusters_of_classes_are_spread_like_their_classes() -> None:
    random = np.random.RandomState(3)
    clusters = np.repeat(np.arange(900), random.choice([1, 1, 2, 3, 9], 900))
    groups = random.choice(3, 900, p=[0.7, 0.25, 0.05])[clusters]
    parts = grouped_parts(groups, clusters, 5, 7)
    of_each = np.stack([np.bincount(parts[groups == group], minlength=5) for group in range(3)])
    assert (np.abs(of_each - of_each.mean(axis=1, keepdims=True)) <= 2).all()


def test_a_cluster_that_leaves_a_fold_empty_is_refused_with_its_size(
    toy_data: VulnerabilityData,
) -> None:
    n_train = len(toy_data.splits["train"])
    clusters = np.zeros(n_train, dtype=np.int64)
    with pytest.raises(DataError, match=rf"the largest of 1 clusters holds {n_train} of {n_train}"):
        divide_in_folds(toy_data, clusters, 3, 1, {})
