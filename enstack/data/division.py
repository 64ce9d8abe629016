"""One table divided into train, validation and test; what belongs together stays together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from enstack.data.column_cache import Columns, Texts, release
from enstack.data.split_files import SPLITS
from enstack.data.table import Table

__all__ = [
    "DIVISION_EDITION",
    "SHARES",
    "Division",
    "divide",
    "divide_by_time",
    "divided",
    "is_even",
    "strata_of",
]

DIVISION_EDITION = 1  # raise when a table is divided otherwise; runs keep what they began with
SHARES = np.array([0.8, 0.1, 0.1])  # of SPLITS
LEAST = 0.5  # of its share: with less of the functions, or of a label, a split measures little


@dataclass(frozen=True)
class Division:
    """Which split each row of a table went to, and how that was decided.

    split_of: (n_rows,) int8, places in SPLITS. by: project, commit, near_duplicates or date. of:
    tells the rows that were divided, and their groups. details: kept_together, the groups, and
    near_duplicates_from, the Jaccard, that no two splits share; passed_over, why no stricter ones;
    largest, the share of the largest group where splits came out uneven; of dates, the bounds.
    """

    split_of: np.ndarray
    by: str
    seed: int
    of: str
    details: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """What data.json records, as JSON values; rows of each split, those without text too."""
        sizes = np.bincount(self.split_of, minlength=len(SPLITS)).tolist()
        rows = dict(zip(SPLITS, sizes, strict=True))
        return {"by": self.by, "seed": self.seed, "rows": rows, **self.details}

    def in_words(self) -> str:
        """How the table was divided, as in "split by commit"."""
        return f"split by {self.by.replace('_', '-')}"

    def notes(self) -> list[str]:
        """What a user should know of it, short."""
        if self.by == "date":
            return [self._bounds()]
        near = self.details["near_duplicates_from"]
        alike = [f"near-duplicates (Jaccard >= {near:g})"] if near else []
        kept = " and no ".join([*self.details["kept_together"], *alike])
        notes = [f"no {kept} in two splits" + ("" if near else "; near-duplicates may be")]
        notes += [f"not split by {by}: {why}" for by, why in self.details["passed_over"].items()]
        if together := self.details.get("largest"):
            notes.append(f"⚠️  the splits are uneven, for {together} of all belong together")
        return notes

    def _bounds(self) -> str:
        first = " and ".join(f"{split} begins {self.details[split]}" for split in SPLITS[1:])
        n_undated = self.details["undated"]
        return first + (f"; {n_undated:,} without a date are in train" if n_undated else "")


def strata_of(table: Table) -> np.ndarray:
    """The stratum (n_rows,) int64 of each row, by its label as it stands.

    Whatever a label mode makes of it: a table is divided alike under all of them.
    """
    if table.flags is not None:
        return table.flags.astype(np.int64) @ (1 << np.arange(table.flags.shape[1]))
    strata: np.ndarray = np.unique(label_texts(table), return_inverse=True)[1]
    return strata.astype(np.int64)


def label_texts(table: Table) -> list[str]:
    """The labels of a table without flags, as text; the same from a file and from its cache."""
    labels: Iterable[Any] = () if table.labels is None else table.labels
    return [one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in labels]


def divide(strata: np.ndarray, units: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The split (n,) int8 of each row: no unit in two, strata spread by SHARES as far as that goes.

    strata, units: (n,) int64 from 0. ranks: (n,) int64, a seeded number for each row's text: with
    them, the order of rows decides nothing. Each unit, the largest first, goes where chi-square of
    the table of splits and strata, the whole being one of these, grows least.
    """
    totals = np.append(np.bincount(strata), len(strata))
    counts = np.zeros((len(SHARES), len(totals)))
    expected = SHARES[:, None] * totals.clip(1)
    split_of_unit = np.empty(int(units.max()) + 1, dtype=np.int8)
    for unit, own_strata, own in _units(strata, units, ranks, len(totals) - 1):
        there = counts[:, own_strata]
        # Of the sum of counts**2 / expected, which differs from chi-square by a constant.
        growth = ((2 * there + own) * own / expected[:, own_strata]).sum(axis=1)
        split_of_unit[unit] = chosen = int(growth.argmin())
        counts[chosen, own_strata] += own
    of_rows: np.ndarray = split_of_unit[units]
    return of_rows


def _units(
    strata: np.ndarray, units: np.ndarray, ranks: np.ndarray, whole: int
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Each unit, large ones first, with its strata and its rows of each; `whole` is one of them."""
    sizes = np.bincount(units)
    rank = np.full(len(sizes), np.iinfo(np.int64).max)
    np.minimum.at(rank, units, ranks)
    cells, rows = np.unique(units * whole + strata, return_counts=True)
    ends = np.searchsorted(cells // whole, np.arange(len(sizes) + 1))
    return [
        (
            unit,
            np.append(cells[ends[unit] : ends[unit + 1]] % whole, whole),
            np.append(rows[ends[unit] : ends[unit + 1]], sizes[unit]),
        )
        for unit in np.lexsort((rank, -sizes)).tolist()
    ]


def divide_by_time(seconds: np.ndarray) -> np.ndarray:
    """The split (n,) int8 of each row by its time: the oldest train, the newest test.

    seconds: (n,) float64; NaN, which goes to train, for no date. Rows of one instant stay together.
    """
    split_of = np.zeros(len(seconds), dtype=np.int8)
    dated = np.flatnonzero(~np.isnan(seconds))
    _, instant, n_rows = np.unique(seconds[dated], return_inverse=True, return_counts=True)
    # By the middle of an instant's rows, so that neither side gets what is mostly the other's.
    middle = (np.cumsum(n_rows) - n_rows / 2) / len(dated) if len(dated) else n_rows
    split_of[dated] = np.searchsorted(np.cumsum(SHARES)[:-1], middle, side="right")[instant]
    return split_of


def is_even(split_of: np.ndarray, strata: np.ndarray) -> bool:
    """Whether each split has half its share, at least, of all rows and of the two most frequent.

    split_of, strata: (n,) int. The two most frequent strata: vulnerable and clean, mostly.
    """
    frequent = np.argsort(-np.bincount(strata), kind="stable")[:2]
    parts = [np.ones(len(strata), dtype=np.bool_), *(strata == one for one in frequent)]
    shares = [
        np.bincount(split_of[rows], minlength=len(SHARES)) / rows.sum()
        for rows in parts
        if rows.any()
    ]
    return bool((np.stack(shares) >= LEAST * SHARES).all())


def divided(columns: Columns, division: Division) -> dict[str, Columns]:
    """The columns of each split, their texts in memory; rows keep their numbers in the file."""
    return {
        split: _taken(columns, np.flatnonzero(division.split_of == number), division.in_words())
        for number, split in enumerate(SPLITS)
    }


def _taken(columns: Columns, rows: np.ndarray, how: str) -> Columns:
    texts = columns.texts
    inside = np.flatnonzero(np.isin(texts.rows, rows, assume_unique=True))
    taken = pa.array(inside)
    own = Texts(
        texts.sources.take(taken),
        np.searchsorted(rows, texts.rows[inside]),
        texts.decoded_as[inside],
        flaw_lines=None if texts.flaw_lines is None else texts.flaw_lines.take(taken),
    )
    release(texts.mapped)
    return Columns(columns.table.part(rows, how), own)
