"""What functions belong to beside their class, as numbers, and which belong together by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from enstack.data.other_names import USUAL_GROUPS

__all__ = ["NO_GROUP", "Groups", "group_numbers", "groups_of_splits", "joined"]

NO_GROUP = -1


@dataclass(frozen=True)
class Groups:
    """The groups of one kind, such as projects, over all splits.

    names: of each group. numbers: by split, the group (n,) int64 of each function, a place in
    names, or NO_GROUP.
    """

    names: list[str]
    numbers: dict[str, np.ndarray]

    @property
    def shared(self) -> dict[str, dict[str, int]]:
        """By split, how many of its functions have their group in each other split too."""
        there = {split: one[one != NO_GROUP] for split, one in self.numbers.items()}
        return {
            split: {
                other: int(np.isin(one, others).sum())
                for other, others in there.items()
                if other != split
            }
            for split, one in there.items()
        }


def groups_of_splits(
    tables: Mapping[str, pa.Table | None], sizes: Sequence[int]
) -> dict[str, Groups]:
    """By kind, the groups that functions of any split name, numbered through; dates are none.

    tables: of each split, its groups, as far as it has such columns; sizes: its functions.
    """
    columns = {name for one in tables.values() if one is not None for name in one.column_names}
    found = {}
    ends = np.cumsum(sizes)[:-1]
    for kind in [kind for kind in USUAL_GROUPS if kind in columns and kind != "date"]:
        parts = [
            one.select([kind]) if one is not None and kind in one.column_names else _empty(kind, n)
            for one, n in zip(tables.values(), sizes, strict=True)
        ]
        every = pa.concat_tables(parts)
        numbers = group_numbers(every, kind)
        if numbers is not None:
            names = every[kind].combine_chunks().dictionary_encode().dictionary.to_pylist()
            by_split = dict(zip(tables, np.split(numbers, ends), strict=True))
            found[kind] = Groups(names, by_split)
    return found


def _empty(kind: str, n_rows: int) -> pa.Table:
    return pa.table({kind: pa.nulls(n_rows, pa.large_string())})


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
