"""Projects, commits and the like in a data folder: shared by splits, and what they alone tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enstack.auditing.content import Project, SharedGroups, Telling
from enstack.data.groups import NO_GROUP, Groups
from enstack.data.vulnerability_data import VulnerabilityData

__all__ = [
    "GROUP_TITLES",
    "TELLS_ALONE",
    "group_baselines",
    "projects_of",
    "shared_groups",
    "telling_groups",
]

TELLS_ALONE = ("project", "source")  # kinds with so many functions each that they may tell a label
GROUP_TITLES = {kind: f"{kind} alone" for kind in TELLS_ALONE}
FEWEST_PROJECTS = 5  # from so many on, figures of each are worth a table
FEWEST_FUNCTIONS = 30  # of a project: with fewer, a figure of it is chance
OFTEN = 1.5  # times as many functions with a class as by chance, from which a group tells it
N_SHOWN, N_TELLING = 20, 3


def shared_groups(data: VulnerabilityData) -> dict[str, SharedGroups]:
    """By kind, how many functions of each split have their group in each other split too."""
    return {
        kind: SharedGroups(
            n_groups=len(groups.names),
            named={split: int((one != NO_GROUP).sum()) for split, one in groups.numbers.items()},
            shared=groups.shared,
        )
        for kind, groups in data.groups.items()
    }


def group_baselines(data: VulnerabilityData, asked: Sequence[str]) -> dict[str, np.ndarray]:
    """What a group alone says (n, k) float32 of the functions of some splits, by its kind.

    How often train's functions of the group have each class, or flag; where train has none of it,
    how often all have.
    """
    found, prior = {}, _prior(data)
    for kind in [kind for kind in TELLS_ALONE if kind in data.groups]:
        groups = data.groups[kind]
        counts, sizes = _train_counts(data, groups)
        # As if each group had one function more, of the mixture of all.
        shares = (counts + prior) / (sizes[:, None] + 1)
        of_asked = np.concatenate([groups.numbers[split] for split in asked])
        said = np.where(of_asked[:, None] == NO_GROUP, prior, shares[of_asked])
        found[kind] = said.astype(np.float32)
    return found


def telling_groups(data: VulnerabilityData) -> dict[str, list[Telling]]:
    """By kind, the groups whose train functions have one class far more often than others do."""
    found, prior = {}, _prior(data)
    for kind in [kind for kind in TELLS_ALONE if kind in data.groups]:
        groups = data.groups[kind]
        counts, sizes = _train_counts(data, groups)
        expected = sizes[:, None] * prior
        excess = counts - expected
        # Its part of chi-square: how much a group tells, of how many functions.
        part = np.divide(excess**2, expected, out=np.zeros_like(excess), where=expected > 0)
        part = np.where(sizes >= FEWEST_FUNCTIONS, part.sum(axis=1), 0)
        most = excess.argmax(axis=1)
        often = counts[np.arange(len(most)), most] >= OFTEN * expected[np.arange(len(most)), most]
        found[kind] = [
            Telling(
                name=groups.names[group],
                class_name=data.class_names[most[group]],
                functions=int(counts[group, most[group]]),
                of=int(sizes[group]),
            )
            for group in np.argsort(-part, kind="stable")[:N_TELLING]
            if part[group] > 0 and often[group]
        ]
    return found


def projects_of(data: VulnerabilityData, right: np.ndarray) -> list[Project]:
    """The largest projects, where there are several: sizes, labels, and how words do on them.

    right: (n_test,) bool, whether counted words are right about each test function.
    """
    groups = data.groups.get("project")
    if groups is None or len(groups.names) < FEWEST_PROJECTS:
        return []
    every = np.concatenate(list(groups.numbers.values()))
    has_class = data.task.has_class(
        np.concatenate([split.labels for split in data.splits.values()])
    )
    sizes = np.bincount(every[every != NO_GROUP])
    found = []
    for project in np.argsort(-sizes, kind="stable")[:N_SHOWN].tolist():
        having = has_class[every == project].sum(axis=0)
        of_test = right[groups.numbers["test"] == project]
        found.append(
            Project(
                name=groups.names[project],
                functions={
                    split: int((one == project).sum()) for split, one in groups.numbers.items()
                },
                frequent=data.class_names[int(having.argmax())],
                share=float(having.max() / sizes[project]),
                words=float(of_test.mean()) if len(of_test) >= FEWEST_FUNCTIONS else None,
            )
        )
    return found


def _prior(data: VulnerabilityData) -> np.ndarray:
    """How often train has each class, or flag: (k,)."""
    shares: np.ndarray = data.task.has_class(data.splits["train"].labels).mean(axis=0)
    return shares


def _train_counts(data: VulnerabilityData, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Train functions of each group with each class, or flag (n_groups, k), and in all."""
    train, n_groups = groups.numbers["train"], len(groups.names)
    named = train != NO_GROUP
    has_class = data.task.has_class(data.splits["train"].labels)[named]
    counts = [np.bincount(train[named], column, n_groups) for column in has_class.T]
    return np.stack(counts, axis=1), np.bincount(train[named], minlength=n_groups)
