"""What a split says of each function but its text: labels, weaknesses, groups, its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from enstack.data.readings import OUR_OWN, Reading

__all__ = ["Divided", "Table"]


@dataclass(frozen=True)
class Divided:
    """What became of a table without splits: how, in words, and its own rows (n_rows,) int64."""

    how: str
    rows: np.ndarray


@dataclass(frozen=True)
class Table:
    """What a split says of each function but its text.

    flags: (n_rows, 5) int8, 0 or 1, or labels: (n_rows,) object, as the file holds them. cwes: the
    weaknesses of each row, list of large_string (n_rows,), where a column names them. groups:
    project, commit, cve and date, as far as there are such columns.
    """

    path: Path  # of the first file
    n_rows: int
    flags: np.ndarray | None
    labels: np.ndarray | None
    both: bool = False  # the file has a label column too, which the flags overrule
    cwes: pa.Array | None = None
    groups: pa.Table | None = None
    reading: Reading = OUR_OWN
    starts: tuple[tuple[str, int], ...] = ()  # of several files: the name and first row of each
    unnamed: np.ndarray | None = None  # (n_rows,) bool: vulnerable, and no weakness is named
    divided: Divided | None = None  # of a split that is a part of a table

    def row_in_files(self, rows: np.ndarray) -> np.ndarray:
        """The rows (m,) int64 of the files, counted through all of them, that these rows are."""
        return rows if self.divided is None else self.divided.rows[rows]

    def place(self, row: int) -> tuple[str, int]:
        """The name of the file that a row lies in, and its number there, from 0."""
        row = int(self.row_in_files(np.array(row)))
        later = [(name, start) for name, start in self.starts if start <= row]
        name, start = later[-1] if later else (self.path.name, 0)
        return name, row - start

    def part(self, rows: np.ndarray, how: str) -> Table:
        """Some rows (m,) int64, in order, of a table that is divided; how: in words."""
        taken = pa.array(rows)
        return replace(
            self,
            n_rows=len(rows),
            flags=None if self.flags is None else self.flags[rows],
            labels=None if self.labels is None else self.labels[rows],
            cwes=None if self.cwes is None else self.cwes.take(taken),
            groups=None if self.groups is None else self.groups.take(taken),
            divided=Divided(how, rows),
        )
