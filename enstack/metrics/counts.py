"""What rows add to figures, so that any sum of them, drawn or weighted, has its figures at once.

Counts are (..., 2 + 3k): the rows, those with all of it right; then of each of k classes, or flags,
the rows that have it and were given it, those that have it, those that were given it.
"""

from __future__ import annotations

import numpy as np


def counts_of_rows(right: np.ndarray, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """What each row adds: (n, 2 + 3k) float64; right: (n,) bool, the others (n, k) bool."""
    rows = np.ones((len(labels), 1), dtype=bool)
    # Products of integers are not handed to BLAS; whole numbers are exact in float64 too.
    return np.hstack([rows, right[:, None], labels & decisions, labels, decisions]).astype(
        np.float64
    )


def by_class(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that were hit, that have the class, that were given it: each (..., k)."""
    hit, having, given = np.split(counts[..., 2:], 3, axis=-1)
    return hit, having, given


def accuracy(counts: np.ndarray) -> np.ndarray:
    """The share of rows (...,) with all of it right."""
    return ratio(counts[..., 1], counts[..., 0])


def f1_of_classes(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F1 of each class (..., k), and whether the rows have it, whatever they were given."""
    hit, having, given = by_class(counts)
    # Not those that were given alone: models of the same rows would be divided by other numbers.
    occurs: np.ndarray = having > 0
    return ratio(2 * hit, having + given), occurs


def macro_f1(counts: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """The mean F1 (...,) of the classes that the rows have; 0 where there is none.

    classes: (k,) bool, those that count; None for all.
    """
    f1, occurs = f1_of_classes(counts)
    counting = occurs if classes is None else occurs & classes
    return ratio((f1 * counting).sum(axis=-1), counting.sum(axis=-1))


def mcc_of_classes(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation (...,) of rows of one class each (Gorodkin 2004, R_K); else 0."""
    _, having, given = by_class(counts)
    rows, right = counts[..., 0], counts[..., 1]
    together = right * rows - (having * given).sum(axis=-1)
    found = ratio(
        together,
        np.sqrt(rows**2 - (having**2).sum(axis=-1)) * np.sqrt(rows**2 - (given**2).sum(axis=-1)),
    )
    within: np.ndarray = np.clip(found, -1, 1)  # two roots may round to a little too little
    return within


def mean_mcc_of_flags(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation of each flag that rows have, and their mean."""
    hit, having, given = by_class(counts)
    rows = counts[..., :1]
    each = ratio(
        hit * rows - having * given,
        np.sqrt(having * (rows - having)) * np.sqrt(given * (rows - given)),
    )
    each, occurs = np.clip(each, -1, 1), having > 0
    return ratio((each * occurs).sum(axis=-1), occurs.sum(axis=-1))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where there is nothing below."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    shape = np.broadcast_shapes(above.shape, below.shape)
    result: np.ndarray = np.divide(above, below, out=np.zeros(shape), where=below > 0)
    return result
