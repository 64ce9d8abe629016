"""Near-duplicates between the splits: which test functions stand in train, and out with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.data.groups import joined
from enstack.duplicates.dependence import groups_of_test
from enstack.duplicates.near_duplicates import NearDuplicates, find_near_duplicates
from enstack.errors import DataError

__all__ = [
    "NEAR",
    "DuplicatesOfTest",
    "clusters_of_validation",
    "drop_from_train",
    "duplicates_of_test",
    "near_train_text",
    "split_of_each",
    "train_rows_to_keep",
]

HIGHER_THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
NEAR = 0.7  # Jaccard similarity from which the report calls two functions near-duplicates


def split_of_each(data: VulnerabilityData) -> np.ndarray:
    """The number of the split (n,) int64 that each function lies in, split after split."""
    return np.repeat(np.arange(len(data.splits)), [len(split) for split in data.splits.values()])


@dataclass(frozen=True)
class DuplicatesOfTest:
    """What each of n test functions is a near-duplicate of.

    near_train: (n,) bool, of a train function; clusters: (n,) int64 from 0, test functions that
    near-duplicates or groups_of_test link share a number, and one without any has one of its own.
    """

    near_train: np.ndarray
    clusters: np.ndarray


def duplicates_of_test(data: VulnerabilityData, threshold: float) -> DuplicatesOfTest:
    """The near-duplicates of the test functions in train, and among themselves."""
    train, test = data.splits["train"].sources, data.splits["test"].sources
    duplicates = find_near_duplicates([train, test], threshold, "Test functions near train")
    is_test = np.repeat([0, 1], [len(train), len(test)])
    near = duplicates.neighbours(is_test, 2, threshold)[len(train) :, 0] > 0
    clusters = duplicates.clusters(np.flatnonzero(is_test), threshold)
    groups = groups_of_test(data)
    return DuplicatesOfTest(near, joined(clusters, *groups.values()) if groups else clusters)


def near_train_text(near: np.ndarray) -> str:
    """How many of the test functions, (n,) bool, have a near-duplicate in train, short."""
    n_near = int(near.sum())
    told = (
        f"test: {n_near:,} of {counted(len(near), 'function')} {'has' if n_near == 1 else 'have'} "
        f"a near-duplicate in train (Jaccard >= {NEAR})"
    )
    return f"{told}; the report gives every result without them too" if n_near else told


def clusters_of_validation(
    data: VulnerabilityData, rows: np.ndarray, threshold: float
) -> np.ndarray:
    """The cluster (n,) int64 of each of some validation functions: near-duplicates, and commits."""
    sources = data.splits["validation"].take(rows).sources
    duplicates = find_near_duplicates([sources], threshold, "Near-duplicates in validation")
    clusters, commits = (
        duplicates.clusters(np.arange(len(rows)), threshold),
        data.groups.get("commit"),
    )
    return joined(clusters, commits.numbers["validation"][rows]) if commits else clusters


def train_rows_to_keep(data: VulnerabilityData, threshold: float) -> np.ndarray:
    """The train rows (m,) int64 that no function of another split is so alike, or more.

    Raises DataError when these are less than half of train.
    """
    sources = [split.sources for split in data.splits.values()]
    duplicates = find_near_duplicates(sources, threshold)
    kept, n_train = _apart(data, duplicates, threshold), len(data.splits["train"])
    if _enough(kept, n_train):
        return kept
    # A pair at a higher threshold is among those that were found, so asking again costs nothing.
    higher = {t: _apart(data, duplicates, t) for t in HIGHER_THRESHOLDS if t > threshold}
    others = [
        f"drop_near_duplicates={t:g}, which drops {n_train - len(rows):,},"
        for t, rows in higher.items()
        if _enough(rows, n_train)
    ]
    raise DataError(
        f"drop_near_duplicates={threshold:g} must leave half of train, and would drop "
        f"{n_train - len(kept):,} of its {counted(n_train, 'function')}, which stand in validation "
        "or test too. See with `enstack audit` whether the splits were made of the same functions; "
        f"then divide the data anew, or use {' or '.join([*others[:1], '0, which drops none'])}."
    )


def _apart(data: VulnerabilityData, duplicates: NearDuplicates, threshold: float) -> np.ndarray:
    """The train rows (m,) int64 without a near-duplicate in another split."""
    near = duplicates.neighbours(split_of_each(data), len(data.splits), threshold)
    number = list(data.splits).index("train")
    of_train = near[split_of_each(data) == number]
    # Copies within train stay: only those across splits make a figure too good.
    return np.flatnonzero(np.delete(of_train, number, axis=1).sum(axis=1) == 0)


def _enough(kept: np.ndarray, n_train: int) -> bool:
    return 2 * len(kept) >= n_train


def drop_from_train(
    data: VulnerabilityData, kept: np.ndarray, threshold: float
) -> VulnerabilityData:
    """The data with these rows (m,) of train alone, and a record of what was dropped and why.

    Raises DataError when fewer than two classes are left.
    """
    train = data.splits["train"]
    n_before, n_dropped = len(train), len(train) - len(kept)
    advice = (
        f"With drop_near_duplicates={threshold:g}, {len(kept):,} of its "
        f"{counted(n_before, 'function')} are left: use a higher drop_near_duplicates, or 0, which "
        "drops none."
    )
    data.task.require_two_sides(train.labels[kept], "The training split", advice)
    note = (
        f"train: {n_dropped:,} of {counted(n_before, 'function')} in validation or test too "
        f"(Jaccard of token 4-grams >= {threshold:g}), dropped"
    )
    reason = f"near-duplicate of validation or test, Jaccard >= {threshold:g}"
    # Train is not filled up again: a subset is drawn first, and this comes last.
    return replace(
        data,
        splits={**data.splits, "train": train.take(kept)},
        notes=[*data.notes, note],
        dropped={**data.dropped, "train": {**data.dropped.get("train", {}), reason: n_dropped}},
    )
