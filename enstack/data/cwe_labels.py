"""Labels out of lists of weaknesses: VDISC's five classes, or every weakness that is frequent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enstack.data.columns import MISSING_WORDS
from enstack.data.cwes import VIEW, class_of_vdisc, cwes_of, in_order, rolled_up
from enstack.data.formats import CWE_COLUMNS, as_objects
from enstack.data.label_column import vulnerable_or_not
from enstack.data.table import Table
from enstack.errors import DataError

__all__ = [
    "NO_CWE",
    "CweClasses",
    "as_flags",
    "class_of_each",
    "cwe_classes",
    "has_weaknesses",
    "require_weaknesses",
    "several_cwes",
    "with_cwe_lists",
]

NO_CWE = "vulnerable, without a CWE"
FIVE = set(CWE_COLUMNS)


@dataclass(frozen=True)
class CweClasses:
    """The classes of label mode cwe_all, and which of them each weakness is counted as."""

    names: tuple[str, ...]
    becomes: Mapping[str, str]

    def sentence(self, at_least: int) -> str:
        """How a function gets its class."""
        n_rolled = sum(name != end for name, end in self.becomes.items())
        return (
            f"The class is the first CWE that a function is listed with; {n_rolled:,} CWEs of "
            f"fewer than {at_least:,} train functions count as their parents, else as CWE-other "
            f"({VIEW})."
        )


def with_cwe_lists(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables, with the weaknesses out of label columns that list them.

    The label is then whether a row has any. Names of VDISC's five classes alone are left as labels.
    """
    plain = [table for table in tables.values() if table.flags is None]
    values = [value for table in plain for value in _labels(table)]
    told = [value for value in values if str(value).strip().lower() not in MISSING_WORDS]
    are_lists = all(_lists_weaknesses(value) for value in told) and any(
        isinstance(value, (list, tuple)) or not FIVE.issuperset(cwes_of(value)) for value in told
    )
    if not are_lists:
        return dict(tables)
    return {
        split: table if table.flags is not None else _listing(table)
        for split, table in tables.items()
    }


def has_weaknesses(table: Table) -> bool:
    """Whether a table tells vulnerable functions from others, and names the weaknesses of those."""
    return table.flags is None and table.cwes is not None and vulnerable_or_not(table) is not None


def as_flags(table: Table) -> Table:
    """A table with the five flags that its lists of weaknesses mean; others are left as they are.

    Each counts as the nearest of VDISC's classes that it is a kind of in MITRE's view 1000.
    """
    if not has_weaknesses(table):
        return table
    vulnerable = np.asarray(vulnerable_or_not(table))
    flags = np.zeros((table.n_rows, len(CWE_COLUMNS)), dtype=np.int8)
    for row, names in zip(np.flatnonzero(vulnerable), _of(table, vulnerable), strict=True):
        for name in names:
            flags[row, CWE_COLUMNS.index(class_of_vdisc(name))] = 1
    return replace(table, flags=flags, labels=None, unnamed=vulnerable & ~flags.any(axis=1))


def require_weaknesses(tables: Mapping[str, Table]) -> None:
    """DataError for tables that name no weaknesses, where every one is to be a class."""
    for table in tables.values():
        if not has_weaknesses(table):
            raise DataError(
                f"{table.path.name} must list the weaknesses of its vulnerable functions for "
                "label_mode=cwe_all, in a column such as cwe or cwe_id; it has none. Use "
                "label_mode=auto, by what the labels are."
            )


def cwe_classes(tables: Mapping[str, Table], at_least: int) -> CweClasses:
    """The classes of all weaknesses; those with fewer than at_least train functions are rolled up.

    A weakness that train lacks is counted as the nearest class above it, else as CWE-other.
    """
    firsts = {split: _firsts(table) for split, table in tables.items()}
    learned_from = next(iter(firsts.values()))  # train, or the one table
    counts = Counter({name: 0 for of_split in firsts.values() for name in of_split if name})
    counts.update(name for name in learned_from if name)
    becomes = rolled_up(counts, at_least)
    return CweClasses(tuple(in_order(set(becomes.values()))), becomes)


def class_of_each(table: Table, classes: CweClasses) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The class (n,) int64 of each row in label mode cwe_all, and whether it has no CWE."""
    index = {name: number for number, name in enumerate(classes.names)}
    firsts = _firsts(table)
    labels = np.array([index[classes.becomes[name]] if name else -1 for name in firsts], np.int64)
    return labels, {NO_CWE: np.asarray(vulnerable_or_not(table)) & (labels < 0)}


def several_cwes(table: Table) -> np.ndarray:
    """Whether each row is listed with more than one weakness: (n,) bool."""
    lengths = pc.list_value_length(table.cwes).fill_null(0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False) > 1)


def _firsts(table: Table) -> list[str | None]:
    """The first weakness of each vulnerable row; None for others, and where none is named."""
    vulnerable = np.asarray(vulnerable_or_not(table))
    firsts: list[str | None] = [None] * table.n_rows
    for row, names in zip(np.flatnonzero(vulnerable), _of(table, vulnerable), strict=True):
        firsts[row] = names[0] if names else None
    return firsts


def _of(table: Table, rows: np.ndarray) -> list[list[str]]:
    """The weaknesses of some rows (n,) bool."""
    lists = table.cwes.filter(pa.array(rows)) if table.cwes is not None else pa.array([])
    return [names or [] for names in lists.to_pylist()]


def _labels(table: Table) -> Any:
    return table.labels if table.labels is not None else ()


def _lists_weaknesses(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        # No weakness has the number 0 or 1: a label in brackets, or one of each class.
        return not {"CWE-0", "CWE-1"} & set(cwes_of(value))
    word = (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip().lower()
    return word in ("clean", "[]") or "cwe" in word


def _listing(table: Table) -> Table:
    values = list(_labels(table))
    cwes = [cwes_of(value) for value in values]
    return replace(
        table,
        labels=as_objects(map(_as_yes_or_no, values)),
        cwes=pa.array(cwes, type=pa.list_(pa.large_string())),
    )


def _as_yes_or_no(value: Any) -> Any:
    """A list of weaknesses as a label; what is missing stays, to be refused with its row."""
    if isinstance(value, (list, tuple)):
        return "vulnerable" if value else "clean"
    word = (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip().lower()
    if word in MISSING_WORDS:
        return value
    return "clean" if word in ("clean", "[]") else "vulnerable"
