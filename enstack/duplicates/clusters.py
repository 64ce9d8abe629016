"""Train functions that must not lie in two folds, for what is alike tells of each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from enstack.data.functions import VulnerabilityData
from enstack.duplicates.contamination import HIGHER_THRESHOLDS, NEAR
from enstack.duplicates.near_duplicates import find_near_duplicates

__all__ = ["train_clusters"]


def train_clusters(data: VulnerabilityData, n_folds: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The cluster (n_train,) int64 of each train function, and how they were found.

    Near-duplicates are alike from the lowest Jaccard on at which each cluster fits into a fold:
    by links over many functions, half of a data set can become one cluster.
    """
    sources = data.splits["train"].sources
    found = find_near_duplicates([sources], NEAR, "Near-duplicates in train")
    every = np.arange(len(sources))
    for threshold in (NEAR, *(one for one in HIGHER_THRESHOLDS if one > NEAR)):
        clusters = found.clusters(every, threshold)
        if np.bincount(clusters).max() * n_folds <= len(sources):
            break
    return clusters, {"near_duplicates_from": threshold}
