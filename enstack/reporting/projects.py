"""The chosen model project by project: whether it works everywhere, or on a few projects alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enstack.reporting.evaluation import ProjectFigures, Projects
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.stored_files import unusable
from enstack.reporting.stored_run import StoredRun
from enstack.stacking.baselines import WORDS
from enstack.storage.arrays import read_arrays

__all__ = ["FEWEST_FUNCTIONS", "project_figures"]

FEWEST_FUNCTIONS = 30  # of a project: with fewer, a figure of it is chance
Rows = NDArray[np.bool_]


def project_figures(stored: StoredRun, row: LeaderboardRow) -> Projects | None:
    """The figures of a row by project; None where test names few projects, or none."""
    path = stored.folder.stacking.projects
    if not path.exists():
        return None
    names, numbers, in_train = _read(path, len(stored.labels))
    sizes = np.bincount(numbers[numbers >= 0], minlength=len(names))
    largest = [int(one) for one in np.argsort(-sizes, kind="stable")]
    figures = [
        _figures(stored, row, numbers == one, str(names[one]), bool(in_train[one]))
        for one in largest
        if sizes[one] >= FEWEST_FUNCTIONS
    ]
    small = np.isin(numbers, np.flatnonzero(sizes < FEWEST_FUNCTIONS))
    return Projects(
        n=len(names),
        fewest=FEWEST_FUNCTIONS,
        mean=float(np.mean([one.accuracy for one in figures])) if figures else None,
        figures=figures,
        others=_figures(stored, row, small, None, None) if small.any() else None,
    )


def _figures(
    stored: StoredRun, row: LeaderboardRow, rows: Rows, name: str | None, in_train: bool | None
) -> ProjectFigures:
    """rows: (n,) bool, the test functions that are meant."""
    task, labels = stored.task, stored.labels[rows]
    said = stored.decisions(row)[rows]
    words = next((one for one in stored.rows if one.key == WORDS), None)
    is_so, called = task.vulnerable(labels), task.vulnerable(said)
    vulnerable = alerts = found = None
    if is_so is not None and called is not None:
        vulnerable, alerts = int(is_so.sum()), int(called.sum())
        found = int((is_so & called).sum())
    return ProjectFigures(
        name=name,
        n=len(labels),
        in_train=in_train,
        accuracy=_accuracy(labels, said),
        frequent=float(task.has_class(labels).mean(axis=0).max()),
        words=None if words is None else _accuracy(labels, stored.decisions(words)[rows]),
        vulnerable=vulnerable,
        alerts=alerts,
        found=found,
    )


def _accuracy(labels: np.ndarray, said: np.ndarray) -> float:
    right = labels == said
    return float((right.all(axis=1) if right.ndim == 2 else right).mean())


def _read(path: Path, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The names of projects, the number of each test function's, and whether train has them."""
    try:
        arrays = read_arrays(path, ["names", "numbers", "in_train"])
    except ValueError as error:
        raise unusable(path, error) from error
    names, numbers, in_train = arrays["names"], arrays["numbers"], arrays["in_train"]
    if names.dtype.kind != "U" or names.ndim != 1 or in_train.shape != names.shape:
        raise unusable(path, "it must hold names, and yes or no of each")
    if numbers.shape != (n_rows,) or numbers.dtype != np.int64:
        raise unusable(path, f"numbers must be {n_rows} whole numbers")
    if numbers.min() < -1 or numbers.max() >= len(names):
        raise unusable(path, f"its numbers must be projects, below {len(names)}")
    return names, numbers, in_train
