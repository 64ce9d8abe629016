"""How a table without splits is divided: by project, commit, near-duplicates or date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enstack.counting import counted
from enstack.data.column_cache import Columns, digest_of
from enstack.data.dates import as_day, seconds_of
from enstack.data.division import (
    Division,
    divide,
    divide_by_time,
    is_even,
    label_texts,
    strata_of,
)
from enstack.data.groups import NO_GROUP, group_numbers, joined
from enstack.data.split_files import SPLITS
from enstack.duplicates.contamination import HIGHER_THRESHOLDS, NEAR
from enstack.duplicates.near_duplicates import NearDuplicates, find_near_duplicates
from enstack.errors import DataError
from enstack.rounding import percent

__all__ = ["digest_of_table", "divide_table"]

# From the strictest on. What a division by one keeps together, beside near-duplicates.
KEPT_TOGETHER = {"project": ("project", "commit"), "commit": ("commit",), "near_duplicates": ()}
FEWEST_GROUPS = 5  # with fewer, a split by them would measure single projects
NAMED = 0.5  # of the functions: a column that names fewer groups says too little
THRESHOLDS = tuple(one for one in HIGHER_THRESHOLDS if one >= NEAR)


def digest_of_table(columns: Columns) -> str:
    """Tells the texts, labels and groups of a table from others, as hex."""
    table, texts = columns.table, columns.texts
    groups = [] if table.groups is None else table.groups.columns
    labels = [str(row) for row in table.flags.tolist()] if table.flags is not None else None
    every = [pa.array(labels or label_texts(table), type=pa.large_string())]
    every += [column.combine_chunks().fill_null("") for column in groups]
    digests = [texts.digest or digest_of(texts.sources, texts.mapped), *map(digest_of, every)]
    return digest_of(pa.array(digests, type=pa.large_string()))


def divide_table(columns: Columns, split_by: str, seed: int) -> Division:
    """Divide a table by what split_by names; `auto`: the strictest that leaves even splits.

    Raises DataError where its columns do not allow that.
    """
    rows, table = columns.texts.rows, columns.table
    if not len(rows):
        raise DataError(f"{table.path.name} must hold functions, all its texts are blank.")
    groups = None if table.groups is None else table.groups.take(pa.array(rows))
    if split_by == "date":
        by, (found, details) = split_by, _by_date(groups)
    else:
        near = find_near_duplicates([columns.texts.sources], NEAR, "Near-duplicates in the table")
        by, found, details = _by_groups(near, groups, strata_of(table)[rows], split_by, seed)
    _require_all_splits(found, by, groups)
    # A row without any text is in no split in the end, and counted where most are.
    split_of = np.zeros(table.n_rows, dtype=np.int8)
    split_of[rows] = found
    return Division(split_of, by, seed, digest_of_table(columns), details)


def _by_groups(
    near: NearDuplicates, groups: pa.Table | None, strata: np.ndarray, split_by: str, seed: int
) -> tuple[str, np.ndarray, dict[str, Any]]:
    """By what rows are divided in the end, the split (n,) of each, and what to record of it."""
    ranks = np.random.RandomState(seed).permutation(int(near.texts.max()) + 1)[near.texts]
    passed_over: dict[str, str] = {}
    for by in _allowed(groups, split_by, passed_over):
        tried = _tried(near, groups, strata, ranks, by)
        # What was asked for, or comes last, is taken as it is.
        if tried.even or by in (split_by, "near_duplicates"):
            break
        largest = tried.details["largest"]
        passed_over[by] = f"the splits would be uneven, for {largest} of all belong together"
    return by, tried.split_of, {**tried.details, "passed_over": passed_over}


class _Tried(NamedTuple):
    """A division that was tried: the split (n,) of each row, whether even, what to record of it."""

    split_of: np.ndarray
    even: bool
    details: dict[str, Any]


def _tried(
    near: NearDuplicates, groups: pa.Table | None, strata: np.ndarray, ranks: np.ndarray, by: str
) -> _Tried:
    """The strictest even division by groups of one kind, or the last one there is."""
    for units, details in _units(near, groups, by):
        split_of = divide(strata, units, ranks)
        largest = percent(np.bincount(units).max() / len(units), 0)
        if is_even(split_of, strata):
            return _Tried(split_of, True, details)
    return _Tried(split_of, False, {**details, "largest": largest})


def _allowed(groups: pa.Table | None, split_by: str, passed_over: dict[str, str]) -> Iterator[str]:
    """What a table may be divided by, the strictest first; what says too little is passed over."""
    for by in KEPT_TOGETHER if split_by == "auto" else (split_by,):
        own = None if by == "near_duplicates" else group_numbers(groups, by)
        if split_by == "auto" and own is not None and (why := _too_little(own)):
            passed_over[by] = why
        elif by == "near_duplicates" or own is not None:
            yield by
        elif split_by != "auto":
            raise DataError(_lacks(by, groups))


def _too_little(own: np.ndarray) -> str | None:
    """Why groups (n,) are no reason to divide by them unasked; None where they are."""
    n_groups, named = len(np.unique(own[own != NO_GROUP])), (own != NO_GROUP).mean()
    if named < NAMED:
        return f"{percent(1 - named, 0)} of the functions name none"
    return f"only {counted(n_groups, 'group')}" if n_groups < FEWEST_GROUPS else None


def _lacks(by: str, groups: pa.Table | None) -> str:
    there = "none" if groups is None else ", ".join(groups.column_names)
    return (
        f"split_by={by} needs a column that names each function's {by}; the table has, of project, "
        f"commit, cve and date: {there}. Add it, or use split_by=auto."
    )


def _units(
    near: NearDuplicates, groups: pa.Table | None, by: str
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """What must stay together (n,), and what that is, to be recorded; the strictest first.

    By links over many functions, nearly all can become one.
    """
    found = {kind: group_numbers(groups, kind) for kind in KEPT_TOGETHER[by]}
    own = {kind: numbers for kind, numbers in found.items() if numbers is not None}
    every = np.arange(len(near.tokens))
    for threshold in THRESHOLDS:
        units = joined(near.clusters(every, threshold), *own.values())
        yield units, {"kept_together": list(own), "near_duplicates_from": threshold}
    if own:
        yield joined(own[by]), {"kept_together": [by], "near_duplicates_from": None}


def _by_date(groups: pa.Table | None) -> tuple[np.ndarray, dict[str, Any]]:
    if groups is None or "date" not in groups.column_names:
        raise DataError(_lacks("date", groups))
    dates = groups["date"].to_pylist()
    seconds = seconds_of(dates)
    undated = np.isnan(seconds)
    if undated.mean() > 1 - NAMED:
        odd = next((date for date, no in zip(dates, undated, strict=True) if no and date), None)
        raise DataError(
            "split_by=date needs dates such as 2019-03-04, as git writes them, or seconds since "
            f"1970; {percent(undated.mean(), 0)} of the functions have none"
            f"{f', such as {odd!r:.40}' if odd else ''}. Use split_by=auto."
        )
    split_of = divide_by_time(seconds)
    firsts = {
        split: as_day(seconds[split_of == number].min())
        for number, split in enumerate(SPLITS)
        if number and (split_of == number).any()
    }
    return split_of, {**firsts, "undated": int(undated.sum())}


def _require_all_splits(split_of: np.ndarray, by: str, groups: pa.Table | None) -> None:
    sizes = np.bincount(split_of, minlength=len(SPLITS))
    if not sizes.all():
        told = ", ".join(f"{size:,} {split}" for size, split in zip(sizes, SPLITS, strict=True))
        there = {"near_duplicates", *(() if groups is None else groups.column_names)}
        others = [one for one in (*KEPT_TOGETHER, "date") if one != by and one in there]
        other = f"split_by={' or '.join(others)}, " if others else ""
        raise DataError(
            f"A table without splits must leave functions for train, validation and test; by "
            f"{by.replace('_', '-')} they would be {told}, for too many belong together. Use "
            f"{other}more functions, or three files."
        )
