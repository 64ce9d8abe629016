"""Pairs of a flaw and its fix that a file lists beside the test split, found again in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from enstack.counting import counted
from enstack.data.column_cache import read_columns
from enstack.data.functions import labelled
from enstack.data.readings import Asked, Source
from enstack.data.split_files import paired_test_file
from enstack.data.vulnerability_data import Functions, ListedPairs, VulnerabilityData
from enstack.errors import DataError

__all__ = ["listed_pairs"]

BATCH = 8192
Pair = tuple[str, str]


def listed_pairs(
    place: Path, asked: Asked, data: VulnerabilityData
) -> tuple[ListedPairs | None, list[str]]:
    """The pairs that a file in a data folder lists, as far as test has both functions, and notes.

    As PrimeVul has it: two rows after each other are a pair. None where no file lists any, and
    where labels do not tell what is vulnerable. A file that can't be read is told in a note.
    """
    test = data.splits.get("test")
    vulnerable = data.task.vulnerable(test.labels) if test else None
    path = paired_test_file(place) if vulnerable is not None else None
    if path is None or test is None or vulnerable is None:
        return None, []
    try:
        columns = read_columns(Source((path,), asked, "test"))
        pairs = _pairs(labelled({"test": columns}, label_mode="binary").splits["test"])
    except DataError as error:
        # No run depends on it: without the file, commits and names tell of pairs.
        return None, [f"⚠️  No pairs are read from {path.name}: {error}"]
    if not pairs:
        return None, [
            f"⚠️  {path.name} must list pairs of a flaw and its fix, two rows after each other: "
            "it has none, and is left alone"
        ]
    flaws = _rows_of({flaw for flaw, _ in pairs}, test, vulnerable)
    fixes = _rows_of({fix for _, fix in pairs}, test, ~vulnerable)
    rows = [(flaws[flaw], fixes[fix]) for flaw, fix in pairs if flaw in flaws and fix in fixes]
    note = (
        f"{path.name}: {len(rows):,} of its {counted(len(pairs), 'pair')} of a flaw and its fix "
        "have both in test; figures of pairs are of these, and nothing else uses the file"
    )
    listed = ListedPairs(path.name, len(pairs), np.array(rows, dtype=np.int64).reshape(-1, 2))
    return listed, [note]


def _pairs(functions: Functions) -> list[Pair]:
    """The texts of a flaw and of its fix: of two rows after each other, of one commit if known."""
    row_in_file = [int(name.rpartition("/")[2]) for name in functions.ids.tolist()]
    commits = [""] * len(functions)
    if functions.groups is not None and "commit" in functions.groups.column_names:
        commits = functions.groups["commit"].to_pylist()
    texts, labels = functions.sources.to_pylist(), functions.labels.tolist()
    rows = {in_file: row for row, in_file in enumerate(row_in_file)}
    both = [
        sorted((rows[first], rows[first + 1]), key=lambda row: -labels[row])
        for first in range(0, row_in_file[-1], 2)
        if first in rows and first + 1 in rows
    ]
    return [
        (texts[flaw], texts[fix])
        for flaw, fix in both
        if labels[flaw] > labels[fix] and commits[flaw] == commits[fix]
    ]


def _rows_of(texts: set[str], functions: Functions, such: np.ndarray) -> dict[str, int]:
    """The first row of each of some texts among the functions that are such, (n,) bool."""
    found: dict[str, int] = {}
    row = 0
    for batch in functions.batches(BATCH):
        for text in batch.to_pylist():
            if such[row] and text in texts:
                found.setdefault(text, row)
            row += 1
    return found
