"""The leaderboard elsewhere: at natural frequencies of classes, and where train has no answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from enstack.data.labels import NO_FLAG
from enstack.data.subsets import NOT_DRAWN
from enstack.metrics.flags import two_sided
from enstack.metrics.reweighting import average_precision_at_frequencies
from enstack.reporting.content import (
    NaturalFrequencies,
    NaturalFrequenciesRow,
    WithoutNearDuplicates,
    WithoutNearDuplicatesRow,
)
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.measuring import measure_detection
from enstack.reporting.stored_run import StoredRun

__all__ = ["at_natural_frequencies", "without_near_duplicates"]

SAME_SHARES = 0.1  # classes whose shares differ by less than this part were drawn as they come


def at_natural_frequencies(stored: StoredRun) -> NaturalFrequencies | None:
    """The rows at the frequencies that classes had before the subset was drawn; None where alike.

    Of flags, each is weighted by itself, and accuracy, which needs all of them at once, is None.
    """
    names, before = stored.data["class_names"], stored.data["available"]["test"]
    n_before = _n_before(stored, before)
    shares = np.array([before.get(name, 0) / n_before for name in names])
    counts_here = stored.task.class_counts(stored.labels)
    here = np.array([counts_here[name] / len(stored.labels) for name in names])
    # Relative alone: a rare class that is drawn a fifth more often moves precision as well.
    if np.allclose(here, shares, rtol=SAME_SHARES, atol=0):
        return None
    rows = [_natural_row(stored, row, shares) for row in stored.rows]
    # The labels alone decide what is missing, so it is the same in every row.
    missing = [names[number] for number in rows[0].missing]
    return NaturalFrequencies(frequencies=before, of=n_before, missing=missing, rows=rows)


def _natural_row(
    stored: StoredRun, row: LeaderboardRow, shares: NDArray[np.float64]
) -> NaturalFrequenciesRow:
    task, labels = stored.task, stored.labels
    weights = task.row_weights(labels, shares)
    of_rows = _vulnerable_weights(stored) if task.has_thresholds else weights[:, 0]
    return NaturalFrequenciesRow(
        key=row.key,
        **task.at_frequencies(labels, stored.decisions(row), shares),
        average_precision=average_precision_at_frequencies(
            task.has_class(labels), stored.probabilities[row.key], weights
        ),
        detection=None if of_rows is None else measure_detection(stored, row, of_rows),
    )


def _vulnerable_weights(stored: StoredRun) -> NDArray[np.float64] | None:
    """What each function with several flags counts if as many were vulnerable as in the files."""
    # The frequencies of single flags do not tell how many functions have any.
    in_files = {
        number: counts.get("test", 0) for number, counts in stored.data["flag_counts"].items()
    }
    vulnerable, n_files = stored.task.vulnerable(stored.labels), sum(in_files.values())
    if vulnerable is None or not n_files or not two_sided(vulnerable):
        return None
    share, here = 1 - in_files[NO_FLAG] / n_files, float(vulnerable.mean())
    weights: NDArray[np.float64] = np.where(vulnerable, share / here, (1 - share) / (1 - here))
    return weights


def _n_before(stored: StoredRun, before: Mapping[str, int]) -> int:
    """Test functions before the subset was drawn; with flags, one may count often or not at all."""
    if not stored.task.has_thresholds:
        return sum(before.values())
    n_before: int = stored.data["functions"]["test"] + stored.data["dropped"]["test"][NOT_DRAWN]
    return n_before


def without_near_duplicates(stored: StoredRun) -> WithoutNearDuplicates:
    """Accuracy and macro-F1 of every row where train does not hold the answer."""
    # On all rows a model is also paid for functions that it may have learnt by heart.
    kept = ~stored.contamination.rows
    return WithoutNearDuplicates(
        threshold=stored.contamination.threshold,
        n=int(kept.sum()),
        rows=[_row_on(stored, row, kept) for row in stored.rows],
    )


def _row_on(
    stored: StoredRun, row: LeaderboardRow, chosen: NDArray[np.bool_]
) -> WithoutNearDuplicatesRow:
    accuracy, macro_f1 = None, None
    if chosen.any():
        decisions = stored.decisions(row)
        accuracy, macro_f1 = stored.task.accuracy_and_macro_f1(
            stored.labels[chosen], decisions[chosen]
        )
    return WithoutNearDuplicatesRow(row.key, row.kind, row.name, row.title, accuracy, macro_f1)
