"""Rows that are alike are counted once: a label and what models say of it make a cell.

A hundred thousand rows have a few hundred cells, and drawing rows with replacement is drawing how
often each cell comes. Rows that depend on each other, a cluster, are drawn together or not at all;
clusters that hold the same cells are counted once in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from enstack.errors import DataError
from enstack.metrics.counts import accuracy, macro_f1
from enstack.metrics.label_task import LabelTask

MEASURES = ("macro_f1", "accuracy", "mcc")
# Of a run, macro-F1 is over every class that test has. What is over fewer has a name of its own.
ENOUGH_FUNCTIONS = 30
MACRO_F1_OF_ENOUGH = f"macro_f1_{ENOUGH_FUNCTIONS}"
# Numbers drawn at once: bounds the memory to some tens of MB, and changes no draw.
DRAWN_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Cells:
    """The kinds of rows, or of clusters, of a test set under one or two models.

    times: (u,) int64, how many rows or clusters are of each kind. counts: (models, u, 2 + 3k)
    float64, what one of them adds to each model's figures (metrics/counts.py).
    """

    task: LabelTask
    times: np.ndarray
    counts: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        """The counts of all rows: (models, 2 + 3k)."""
        total: np.ndarray = self.times @ self.counts
        return total

    def resampled(self, *, seed: int, n_resamples: int) -> Iterator[np.ndarray]:
        """The counts of rows drawn with replacement, as many as there are: (models, b, 2 + 3k).

        Block after block of resamples. Method: Efron's bootstrap, over clusters where rows have
        some; kinds drawn from a multinomial distribution are rows drawn one by one.
        """
        # RandomState: its stream is frozen, so intervals are the same under every NumPy.
        random, n_units = np.random.RandomState(seed), int(self.times.sum())
        for size in _blocks(n_resamples, len(self.times)):
            yield random.multinomial(n_units, self.times / n_units, size=size) @ self.counts

    def reweighted(self, *, seed: int, n_resamples: int) -> Iterator[np.ndarray]:
        """The counts of rows given random weights instead: (models, b, 2 + 3k).

        Each row's or cluster's is drawn from the exponential distribution, so none ever falls out.
        Method: the Bayesian bootstrap, Rubin 1981; weights of rows alike sum up to a gamma one.
        """
        random = np.random.RandomState(seed)
        for size in _blocks(n_resamples, len(self.times)):
            yield random.gamma(self.times, size=(size, len(self.times))) @ self.counts

    @property
    def n_rows(self) -> int:
        """The rows of all kinds."""
        return int(self.sums[0, 0])

    @property
    def rows_together(self) -> float:
        """How many rows the cluster of a row has in the mean; 1 without clusters."""
        return float(self.times @ self.counts[0, :, 0] ** 2) / self.n_rows


@dataclass(frozen=True)
class PairedCells(Cells):
    """The kinds under two models; only_first_right and only_second_right: rows, of all kinds."""

    only_first_right: int
    only_second_right: int


def single(
    task: LabelTask, labels: np.ndarray, decisions: np.ndarray, clusters: np.ndarray | None = None
) -> Cells:
    """The cells of one model; arguments as of paired."""
    return Cells(task, *_kinds(task, labels, [decisions], clusters))


def paired(
    task: LabelTask,
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray | None = None,
) -> PairedCells:
    """The cells of two models' decisions about the same rows.

    labels and decisions: (n,) int, or (n, k) bool flags. clusters: (n,) int, the same for rows that
    depend on each other; None where each row stands for itself. The order of rows changes nothing.
    Raises DataError for rows that do not fit.
    """
    times, counts = _kinds(task, labels, [first, second], clusters)
    right = task.right(labels, first), task.right(labels, second)
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return PairedCells(task, times, counts, only_first, only_second)


def measured(
    task: LabelTask, counts: np.ndarray, measure: str, classes: np.ndarray | None = None
) -> np.ndarray:
    """A measure (...,) of counts (..., 2 + 3k); classes: (k,) bool, of which macro-F1 is."""
    if measure in ("macro_f1", MACRO_F1_OF_ENOUGH):
        return macro_f1(counts, classes)
    if measure == "accuracy":
        return accuracy(counts)
    if measure == "mcc":
        return task.mcc_of_counts(counts)
    raise ValueError(f"A measure must be one of {', '.join(MEASURES)}, found {measure}.")


def group_alike(task: LabelTask, *answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row (c,) of each cell, and the cell (n,) of each row, in the cells' own order.

    answers: labels and decisions, each of n rows; rows that have all of them alike share a cell.
    """
    cell = np.zeros(len(answers[0]), dtype=np.int64)
    for answer in answers:
        code = np.asarray(task.strata(answer), dtype=np.int64)
        # Made dense after each, so that many answers never run over the integers.
        _, cell = np.unique(cell * (code.max() + 1) + code, return_inverse=True)
    _, first = np.unique(cell, return_index=True)
    return first, cell


def _kinds(
    task: LabelTask,
    labels: np.ndarray,
    decisions: list[np.ndarray],
    clusters: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The times (u,) and counts (models, u, 2 + 3k) of the kinds of rows or clusters."""
    for made in decisions:
        _refuse_other_length("decisions", made, labels)
    first, cell = group_alike(task, labels, *decisions)
    of_cell = np.stack([task.counts_of_rows(labels[first], made[first]) for made in decisions])
    if clusters is None:
        return np.bincount(cell), of_cell
    _refuse_other_length("clusters", clusters, labels)
    kinds = list(_kinds_of_clusters(cell, clusters))
    times = np.concatenate([counted for _, counted in kinds])
    return times, np.concatenate([of_cell[:, members].sum(axis=2) for members, _ in kinds], axis=1)


def _kinds_of_clusters(
    cell: np.ndarray, clusters: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each size of a cluster: the cells (u, size) of each kind, and how many are so (u,)."""
    order = np.lexsort((cell, clusters))
    _, starts, sizes = np.unique(clusters[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):
        members = cell[order][starts[sizes == size][:, None] + np.arange(size)]
        yield np.unique(members, axis=0, return_counts=True)


def _blocks(n_resamples: int, n_kinds: int) -> Iterator[int]:
    """How many resamples to draw at once, until there are so many."""
    # One stream for all blocks: how many are drawn at once changes no draw.
    at_once = max(1, DRAWN_AT_ONCE // n_kinds)
    for start in range(0, n_resamples, at_once):
        yield min(at_once, n_resamples - start)


def _refuse_other_length(name: str, values: np.ndarray, labels: np.ndarray) -> None:
    if len(values) != len(labels) or not len(labels):
        raise DataError(
            f"Labels and {name} must be as many and at least one, "
            f"found {len(labels):,} labels and {len(values):,} {name}."
        )
