"""Train functions that must not lie in two folds, for what is alike tells of each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from enstack.data.functions import VulnerabilityData
from enstack.data.groups import joined
from enstack.duplicates.contamination import HIGHER_THRESHOLDS, NEAR
from enstack.duplicates.dependence import groups_of_folds
from enstack.duplicates.near_duplicates import find_near_duplicates

__all__ = ["train_clusters"]


def train_clusters(data: VulnerabilityData, n_folds: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The cluster (n_train,) int64 of each train function, and how they were found.

    Near-duplicates are alike from the lowest Jaccard on at which each cluster fits into a fold:
    by links over many functions, half of a data set can become one cluster. Groups are in one
    cluster as far as it still fits: projects and commits, else commits, else neither.
    """
    sources = data.splits["train"].sources
    found = find_near_duplicates([sources], NEAR, "Near-duplicates in train")
    every = np.arange(len(sources))
    groups = groups_of_folds(data)
    for left_out in range(len(groups) + 1):
        kept = dict(list(groups.items())[left_out:])
        for threshold in (NEAR, *(one for one in HIGHER_THRESHOLDS if one > NEAR)):
            clusters = found.clusters(every, threshold)
            if kept:
                clusters = joined(clusters, *kept.values())
            if np.bincount(clusters).max() * n_folds <= len(sources):
                return clusters, _how(threshold, list(kept))
    return clusters, _how(threshold, [])


def _how(threshold: float, groups: list[str]) -> dict[str, Any]:
    return {"near_duplicates_from": threshold, **({"groups": groups} if groups else {})}
