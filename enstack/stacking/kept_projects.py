"""The projects of test functions, kept for reports: figures of each say where a model works."""

from __future__ import annotations

import numpy as np

from enstack.data.groups import NO_GROUP
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.stacking_folder import StackingFolder

__all__ = ["FEWEST_PROJECTS", "write_projects"]

FEWEST_PROJECTS = 5  # in test: from so many on, figures of each are worth a table


def write_projects(data: VulnerabilityData, folder: StackingFolder) -> None:
    """Store the project of each test function, where they name several."""
    projects = data.groups.get("project")
    if projects is None:
        return
    test, train = projects.numbers["test"], projects.numbers["train"]
    there = np.unique(test[test != NO_GROUP])
    if len(there) < FEWEST_PROJECTS:
        return
    numbers = np.where(test == NO_GROUP, NO_GROUP, np.searchsorted(there, test))
    names = np.array([projects.names[number] for number in there], dtype=np.str_)
    np.savez(folder.projects, names=names, numbers=numbers, in_train=np.isin(there, train))
