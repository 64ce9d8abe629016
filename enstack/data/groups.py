"""What functions belong to beside their class, as numbers, and which belong together by it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

__all__ = ["NO_GROUP", "group_numbers", "joined"]

NO_GROUP = -1


def group_numbers(groups: pa.Table | None, kind: str) -> np.ndarray | None:
    """The number (n,) int64 from 0 of each row's project, commit and so on; NO_GROUP for none.

    None where the table has no such column, or names nothing in it.
    """
    if groups is None or kind not in groups.column_names:
        return None
    column = groups[kind].combine_chunks().dictionary_encode()
    if not len(column.dictionary):
        return None
    numbers: np.ndarray = column.indices.fill_null(NO_GROUP).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64)


def joined(*memberships: np.ndarray) -> np.ndarray:
    """The unit (n,) int64 from 0 of each row: rows that share a group in any membership share it.

    memberships: (n,) int each, NO_GROUP for a row that is in none. Rows linked through others are
    in one unit too.
    """
    n_rows = len(memberships[0])
    rows, groups, n_groups = [], [], 0
    for membership in memberships:
        inside = np.flatnonzero(membership != NO_GROUP)
        rows.append(inside)
        groups.append(n_rows + n_groups + membership[inside])
        n_groups += int(membership.max(initial=NO_GROUP)) + 1
    # Each group is a node of its own: pairs of rows would be as many as its rows squared.
    links = np.concatenate(rows), np.concatenate(groups)
    size = n_rows + n_groups
    graph = csr_array((np.ones(len(links[0]), np.int8), links), shape=(size, size))
    component = connected_components(graph, directed=False)[1][:n_rows]
    units: np.ndarray = np.unique(component, return_inverse=True)[1]
    return units.astype(np.int64)
