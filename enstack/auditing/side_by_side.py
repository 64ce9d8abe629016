"""Two texts side by side, line by line, as their lines match."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import zip_longest

from rich.cells import set_cell_size

from enstack.auditing.content import Contradiction
from enstack.console import printable
from enstack.reporting.console import shortened

__all__ = ["matched_rows", "side_by_side"]

Row = tuple[str, str, bool]  # a line of each text, and whether they differ
N_LINES = 400  # of each text: matching takes their product
COLUMN, N_ROWS = 36, 12  # what a terminal of 80 columns shows of them


def side_by_side(pair: Contradiction) -> str:
    """Two functions in two columns of a console, around the first line in which they differ."""
    one, other = (f"{name} ({label})" for name, label in zip(pair.ids, pair.classes, strict=True))
    left, right = pair.sources
    rows: list[Row] = [(one, other, False), *_rows_that_differ(left, right)]
    lines = (
        f"  {'≠' if differs else ' '} {_cell(left)}  {_cell(right)}"
        for left, right, differs in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _cell(text: str) -> str:
    return set_cell_size(shortened(printable(text.expandtabs(4)), COLUMN), COLUMN)


def matched_rows(left: str, right: str) -> list[Row]:
    """The lines of two texts, equal ones beside each other; "..." at the end where more come."""
    lefts, rights = left.splitlines(), right.splitlines()
    one, other = lefts[:N_LINES], rights[:N_LINES]
    rows: list[Row] = []
    for kind, l0, l1, r0, r1 in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        beside = zip_longest(one[l0:l1], other[r0:r1], fillvalue="")
        rows += ((a, b, kind != "equal") for a, b in beside)
    return [*rows, ("...", "...", False)] if (one, other) != (lefts, rights) else rows


def _rows_that_differ(left: str, right: str) -> list[Row]:
    """The first N_ROWS from the line before the first difference on; of one line, from there on."""
    if "\n" not in left.strip() and "\n" not in right.strip():
        left, right = _from_difference(left, right)
    rows = matched_rows(left, right)
    first = next((place for place, row in enumerate(rows) if row[2]), 0)
    start = max(first - 1, 0)
    return rows[start : start + N_ROWS]


def _from_difference(left: str, right: str) -> tuple[str, str]:
    same = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
    start = max(same - 10, 0)
    return left[start:], right[start:]
