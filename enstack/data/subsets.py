"""Seeded choices of functions: the paper's counts, a number, and even parts for stacking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from enstack.counting import counted

__all__ = [
    "NOT_DRAWN",
    "PAPER_COUNTS",
    "choose",
    "grouped_parts",
    "shortages",
    "stratified_parts",
    "wanted_counts",
]

NOT_DRAWN = "not in the subset"
# EnStack (arXiv 2411.16561), table of the data: functions per class in the order of CWE_CLASSES.
PAPER_COUNTS = {
    "train": (5942, 5777, 249, 2755, 5582),
    "validation": (1142, 1099, 53, 535, 1071),
    "test": (1142, 1099, 53, 535, 1071),
}


def choose(groups: np.ndarray, subset: str | int, split: str, seed: Sequence[int]) -> np.ndarray:
    """The rows (m,) int64, sorted, that a subset draws from a split.

    groups: (n,) int64, the strata of the label task. A number draws of each group in proportion;
    where there are fewer functions than asked for, all of them are drawn.
    """
    if subset == "all":
        return np.arange(len(groups))
    if subset == "paper":
        return _choice(groups, PAPER_COUNTS[split], seed)
    return _choice(groups, _shares(np.bincount(groups), int(subset)).tolist(), seed)


def shortages(counts: dict[str, int], n_functions: int, subset: str | int, split: str) -> list[str]:
    """What a subset asks for and a split lacks, in numbers; counts: its functions per class."""
    if subset == "paper":
        return [
            f"{split}: {name} has {counted(have, 'function')}, {want - have:,} fewer than the "
            f"paper's {want:,}"
            for (name, have), want in zip(counts.items(), PAPER_COUNTS[split], strict=True)
            if have < want
        ]
    if subset != "all" and n_functions < int(subset):
        return [f"{split}: has {counted(n_functions, 'function')}, subset asks for {subset:,}"]
    return []


def wanted_counts(subset: str | int, class_names: Sequence[str]) -> dict[str, Any]:
    """What a subset asks for, by split: functions of each class, or in all."""
    if subset == "paper":
        return {
            split: dict(zip(class_names, counts, strict=True))
            for split, counts in PAPER_COUNTS.items()
        }
    return dict.fromkeys(PAPER_COUNTS, subset)


def stratified_parts(groups: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """The part (n,) int64 of each row: every group, and the whole, spread as evenly as possible.

    groups: (n,) int64, the strata of the label task. Part sizes differ by at most one, and so do
    the parts of each group.
    """
    random = np.random.RandomState(seed)
    # RandomState, as in _choice: a run that goes on must meet the same parts under any NumPy.
    shuffled = random.permutation(len(groups))
    # Stable: within a group the rows stay shuffled.
    by_group = shuffled[np.argsort(groups[shuffled], kind="stable")]
    parts = np.empty(len(groups), dtype=np.int64)
    # Dealt to the parts in turn, through all groups without a break: were each group to begin with
    # the first part, the parts of many small groups would differ in size by as many rows.
    parts[by_group] = random.permutation(n_parts)[np.arange(len(groups)) % n_parts]
    return parts


def grouped_parts(groups: np.ndarray, clusters: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """The part (n,) int64 of each row: no cluster in two parts, groups spread evenly otherwise.

    groups: (n,) int64, the strata of the label task; clusters: (n,) int64 from 0. Where every row
    is a cluster of its own, sizes are as those of stratified_parts.
    """
    random = np.random.RandomState(seed)
    parts = np.full(len(groups), -1, dtype=np.int64)
    # Rows of each part and group so far; what a row of a group weighs, rare groups the most.
    counts, total = np.zeros((n_parts, int(groups.max()) + 1)), np.bincount(groups)
    weight = 1 / np.maximum(total, 1) ** 2
    for rows in _clusters_of_several(clusters, random):
        own = np.bincount(groups[rows], minlength=len(total))
        # The whole counts as a group too: of parts that have as much of these, the smaller one.
        load = counts @ (weight * own) + counts.sum(axis=1) * len(rows) / len(groups) ** 2
        parts[rows] = part = int(load.argmin())
        counts[part] += own
    for group in range(len(total)):
        rows = random.permutation(np.flatnonzero((groups == group) & (parts < 0)))
        # The smallest parts first, where two have as many of the group.
        order = np.argsort(counts.sum(axis=1), kind="stable")
        dealt = order[_evened_out(counts[order, group], len(rows))]
        parts[rows] = dealt
        counts[:, group] += np.bincount(dealt, minlength=n_parts)
    return parts


def _clusters_of_several(clusters: np.ndarray, random: Any) -> list[np.ndarray]:
    """The rows of each cluster that has more than one, large clusters first, else shuffled."""
    sizes = np.bincount(clusters)
    shuffled = random.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    by_cluster = np.split(np.argsort(clusters, kind="stable"), np.cumsum(sizes)[:-1])
    return [by_cluster[number] for number in order[: int((sizes > 1).sum())]]


def _evened_out(counts: np.ndarray, n_rows: int) -> np.ndarray:
    """The places (n_rows,) in counts that so many rows go to, each to the one with the fewest."""
    # The rows stand on what is there already: of all steps on all stairs, the lowest ones.
    steps = counts[:, None] + np.arange(n_rows)
    lowest: np.ndarray = np.argsort(steps.T, axis=None, kind="stable")[:n_rows] % len(counts)
    return lowest


def _shares(available: np.ndarray, n_rows: int) -> np.ndarray:
    """How many of each class make n_rows: in proportion, one at least of each while they last."""
    # Asked for more, all are drawn; the shortage is told by whoever asked.
    n_rows = min(n_rows, int(available.sum()))
    exact = available * n_rows / available.sum()
    # One at least: a class that falls out of train could not be learned at all.
    shares: np.ndarray = np.minimum(np.maximum(exact.astype(np.int64), 1), available)
    while shares.sum() != n_rows:
        over = shares.sum() > n_rows
        # A class gives up its only row last.
        spare = shares > min(1, int(shares.max()) - 1)
        distance = np.where(spare, shares - exact, -np.inf) if over else exact - shares
        shares[distance.argmax()] += -1 if over else 1
    return shares


def _choice(groups: np.ndarray, wanted: Sequence[int], seed: Sequence[int]) -> np.ndarray:
    """Rows (m,), sorted: a random choice of `wanted` functions of each class."""
    # RandomState: its stream is frozen, so a subset is the same under every NumPy.
    random = np.random.RandomState(seed)
    chosen = [
        # A slice gives all rows of a group that is too small, where RandomState.choice raises.
        random.permutation(np.flatnonzero(groups == group))[:count]
        for group, count in enumerate(wanted)
    ]
    return np.sort(np.concatenate(chosen))
