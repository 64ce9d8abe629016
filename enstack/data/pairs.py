"""A flaw and its fix: functions of one commit and one name, of which one is vulnerable."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from enstack.data.vulnerability_data import Functions

__all__ = ["pairs_of"]

# What is called, or defined, first: both versions of a function begin alike.
NAME = re.compile(r"([A-Za-z_~]\w*)\s*\(")
BATCH = 8192


def pairs_of(functions: Functions, vulnerable: np.ndarray) -> np.ndarray:
    """The rows (m, 2) int64 of a vulnerable function and of its fixed version.

    vulnerable: (n,) bool. A pair are the only two functions that have a name in their commit, where
    one is vulnerable and the other is not; of more, nobody knows which belong together. Without
    commits there is none.
    """
    if functions.groups is None or "commit" not in functions.groups.column_names:
        return np.empty((0, 2), dtype=np.int64)
    commits = functions.groups["commit"].to_pylist()
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    row = 0
    for batch in functions.batches(BATCH):
        for text in batch:
            if commits[row] and (name := NAME.search(text.as_py())):
                alike[commits[row], name[1]].append(row)
            row += 1
    pairs = [
        sorted(rows, key=lambda one: not vulnerable[one])
        for rows in alike.values()
        if len(rows) == 2 and vulnerable[rows].sum() == 1
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
