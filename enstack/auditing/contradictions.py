"""Functions that are alike and have different labels: counted, and the first pairs of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from enstack.auditing.content import Contradiction, Contradictions
from enstack.data.functions import VulnerabilityData
from enstack.duplicates.near_duplicates import NearDuplicates

__all__ = ["find_contradictions"]

N_EXAMPLES = 5
SHOWN_CHARACTERS = 4000  # characters of an example's text


def find_contradictions(
    data: VulnerabilityData,
    near: NearDuplicates,
    levels: Mapping[str, float | None],
    splits: Mapping[str, np.ndarray],
) -> Contradictions:
    """For each level, how many functions of a split have one so alike with another label.

    levels: Jaccard similarities by their names, None for the same text; splits: the rows of each.
    """
    # One number a function, so that in multilabel another combination of flags is another label.
    labels = data.task.strata(np.concatenate([split.labels for split in data.splits.values()]))
    counts: dict[str, dict[str, int]] = {}
    pairs: dict[str, int] = {}
    alike = np.empty(0, dtype=np.int64)  # rows of the strictest level that has any
    for level, threshold in levels.items():
        neighbours = near.neighbours(labels, int(labels.max()) + 1, threshold)
        # Neighbours with the same label contradict nothing.
        neighbours[np.arange(len(labels)), labels] = 0
        others = neighbours.sum(axis=1)
        counts[level] = {name: int((others[rows] > 0).sum()) for name, rows in splits.items()}
        # Each of the two counts the other.
        pairs[level] = int(others.sum()) // 2
        alike = alike if len(alike) else np.flatnonzero(others)
    return Contradictions(counts, pairs, _examples(data, near, labels, alike))


def _examples(
    data: VulnerabilityData, near: NearDuplicates, labels: np.ndarray, alike: np.ndarray
) -> list[Contradiction]:
    """The first pairs, each once: of two functions both would name the other."""
    found: dict[tuple[int, int], float] = {}
    for row in alike:
        if len(found) == N_EXAMPLES:
            break
        similarity = near.similarities(row)
        similarity[labels == labels[row]] = 0
        other = int(similarity.argmax())
        found[min(int(row), other), max(int(row), other)] = float(similarity[other])
    ids = np.concatenate([split.ids for split in data.splits.values()])
    named = np.concatenate([split.labels for split in data.splits.values()])
    return [
        Contradiction(
            ids=[str(ids[row]) for row in rows],
            classes=[data.task.label_name(named[row]) for row in rows],
            sources=[_source(data, row) for row in rows],
            jaccard=jaccard,
        )
        for rows, jaccard in found.items()
    ]


def _source(data: VulnerabilityData, row: int) -> str:
    """The text of a row, counted through all splits."""
    for split in data.splits.values():
        if row < len(split):
            text = str(split.sources[row].as_py())
            return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ..."
        row -= len(split)
    raise IndexError(row)
