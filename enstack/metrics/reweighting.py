"""Figures as they would be if the classes came with other frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix

from enstack.errors import DataError
from enstack.metrics.classes import (
    figures_of_confusion,
    mcc_of_confusion,
    mean_of_defined,
)
from enstack.metrics.counts import ratio
from enstack.metrics.flags import two_sided


def confusion_at_frequencies(confusion: np.ndarray, frequencies: np.ndarray) -> dict[str, Any]:
    """Figures as they would be if the classes came with these frequencies.

    confusion: (k, k), rows true; frequencies: (k,) >= 0, of any scale. Each row is weighted by its
    class's share among the frequencies over its share here, so recall stays and precision moves
    (importance weighting under a prior shift; Saerens et al. 2002, section 2). A class that has
    a frequency and no rows here can't be weighted: it is left out, and told in `missing`.
    """
    counts, wanted = np.asarray(confusion, dtype=np.float64), np.asarray(frequencies, np.float64)
    support = counts.sum(axis=1)
    weighted = counts * ratio(wanted * (support > 0), support)[:, None]
    if not weighted.any():
        raise DataError("Frequencies must be above 0 for a class that has rows, found none.")
    precision, f1, occurs = figures_of_confusion(weighted)
    return {
        "accuracy": float(np.trace(weighted) / weighted.sum()),
        "macro_precision": float(precision[occurs].mean()),
        "macro_f1": float(f1[occurs].mean()),
        "mcc": float(mcc_of_confusion(weighted)),
        "precision": precision.tolist(),
        "f1": f1.tolist(),
        "missing": np.flatnonzero((wanted > 0) & (support == 0)).tolist(),
    }


def flags_at_frequencies(
    flags: np.ndarray, decisions: np.ndarray, frequencies: np.ndarray
) -> dict[str, Any]:
    """Figures of flags as confusion_at_frequencies has them, each flag by itself against the rest.

    flags, decisions: (n, k) bool; frequencies: (k,), the share of functions that has the flag.
    Macro figures average over the flags that some row has. accuracy is None: the frequencies of
    single flags do not tell how often all are right at once.
    """
    precision, f1, mccs, missing, occurs = [], [], [], [], []
    for place, share in enumerate(frequencies):
        truth, given = flags[:, place].astype(np.int64), decisions[:, place].astype(np.int64)
        counts = confusion_matrix(truth, given, labels=[0, 1])
        figures = confusion_at_frequencies(counts, np.array([1 - share, share]))
        precision.append(figures["precision"][1])
        f1.append(figures["f1"][1])
        mccs.append(figures["mcc"])
        missing += [place] if 1 in figures["missing"] else []
        occurs.append(bool(counts[1].any()))
    return {
        "accuracy": None,
        "macro_precision": float(np.mean(np.array(precision)[occurs])) if any(occurs) else 0.0,
        "macro_f1": float(np.mean(np.array(f1)[occurs])) if any(occurs) else 0.0,
        "mcc": float(np.mean(np.array(mccs)[occurs])) if any(occurs) else 0.0,
        "precision": precision,
        "f1": f1,
        "missing": missing,
    }


def average_precision_at_frequencies(
    has_class: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> float | None:
    """The area under precision over recall, its mean over the classes, or flags, with two sides.

    All (n, k): whether a row has each class, its probabilities, and what it counts for each, as
    LabelTask.row_weights has it. None where no class has two sides that count.
    """
    columns = zip(has_class.T, probabilities.T, weights.T, strict=True)
    return mean_of_defined(
        [
            float(average_precision_score(has, given, sample_weight=counts))
            if two_sided(has[counts > 0])
            else None
            for has, given, counts in columns
        ]
    )
