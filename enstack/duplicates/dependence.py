"""Which functions depend on each other beside near-duplicates: those of a commit, or a project."""

from __future__ import annotations

import numpy as np

from enstack.data.groups import NO_GROUP
from enstack.data.vulnerability_data import VulnerabilityData

__all__ = ["groups_of_folds", "groups_of_test"]

FEWEST_PROJECTS = 30  # of test: intervals of fewer that are drawn whole say too little


def groups_of_folds(data: VulnerabilityData) -> dict[str, np.ndarray]:
    """By kind, the groups (n_train,) that no two folds should share: what test shares none of.

    Commits always. Projects where test has others than train: then base models are asked about
    projects that they do not know, and so they must be in the folds.
    """
    return {kind: data.groups[kind].numbers["train"] for kind in _kinds(data)}


def groups_of_test(data: VulnerabilityData) -> dict[str, np.ndarray]:
    """By kind, the groups (n_test,) that are drawn whole into a resample.

    Commits always. Projects where test has others than train, and many of them: then the figures
    are about projects that nobody has seen, and those of test are a draw of these.
    """
    found = {kind: data.groups[kind].numbers["test"] for kind in _kinds(data)}
    projects = found.get("project", np.empty(0))
    if len(np.unique(projects[projects != NO_GROUP])) < FEWEST_PROJECTS:
        found.pop("project", None)
    return found


def _kinds(data: VulnerabilityData) -> list[str]:
    projects = data.groups.get("project")
    named = projects is not None and (projects.numbers["test"] != NO_GROUP).any()
    apart = projects is not None and named and not projects.shared["test"]["train"]
    return [*(["project"] if apart else ()), *(["commit"] if "commit" in data.groups else ())]
