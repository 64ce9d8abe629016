"""What is said of a table that lacks a column: its name, the nearest there is, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from enstack.data.formats import CWE_COLUMNS
from enstack.data.layouts import LAYOUTS, nearest_layout
from enstack.data.opened import bare_stem, format_of
from enstack.data.other_names import (
    as_setting,
    column_advice,
    described,
    is_fixed_code,
    nearest,
    plain,
)

__all__ = ["listed", "missing_columns", "missing_labels"]

LISTED = 40  # columns that a message names


def missing_labels(names: Sequence[str], label: str) -> list[str]:
    """The columns of labels that a table lacks; none where it has the label."""
    if label:
        return []
    # Who has no flag under any name has, or wants, a column of labels.
    there = {plain(name) for name in names}
    lacking = [column for column in CWE_COLUMNS if plain(column) not in there]
    return lacking if len(lacking) < len(CWE_COLUMNS) else ["label"]


def missing_columns(
    path: Path,
    missing: Sequence[str],
    names: Sequence[str],
    by_value: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What a file lacks, what it has, and what to do: the text of an error.

    by_value: of func and label, the columns that hold such under names that are not known.
    """
    known = {"func", "label", "functionSource", *CWE_COLUMNS}
    others = [name for name in names if name not in known and not is_fixed_code(name)]
    near = {column: nearest(column, others) for column in missing}
    if format_of(path) == "hdf5":
        rule = "must have functionSource and the five CWE keys"
    else:
        rule = "must have the columns func and label, or func and the five CWE columns"
    told = {
        column: found for column, found in (by_value or {}).items() if found and not near[column]
    }
    rest = {column: name for column, name in near.items() if column not in told}
    advice = " ".join(
        [
            *(_by_value(column, found) for column, found in told.items()),
            *([column_advice(rest, names, format_of(path) == "csv")] if rest else ()),
        ]
    )
    lacking = f"{path.name} {rule}; missing {described(near)}."
    return f"{lacking}\nFound {listed(names)}. {advice}{_other_half(path) or _nearest(names)}"


def _by_value(column: str, found: Sequence[str]) -> str:
    kind, what = ("text", "functions") if column == "func" else ("label", "labels")
    which = f"{listed(found[:4])} may hold the {what}"
    return f"{which}: name {as_setting(f'{kind}_column', found[0])}."


def _other_half(path: Path) -> str:
    """Which files go with one whose name would be the label; empty for others."""
    for layout in LAYOUTS:
        if bare_stem(path) in layout.labels_by_file:
            endings = path.name.removeprefix(bare_stem(path))
            both = " and ".join(f"{name}{endings}" for name in layout.labels_by_file)
            return f" Of {layout.name} both {both} are read: name the folder that holds them."
    return ""


def _nearest(names: Sequence[str]) -> str:
    layout = nearest_layout(names)
    if layout is None:
        return ""
    there = {plain(name) for name in names}
    lacking = [name for name in layout.told_by if plain(name) not in there]
    if not lacking:
        return ""
    return f" The nearest layout is {layout.name}, which has {', '.join(lacking)} too."


def listed(names: Sequence[str]) -> str:
    """The names of columns, as many as a message takes."""
    # pandas leaves its column of row numbers without a name.
    shown = (" ".join(name.split())[:40] or "(no name)" for name in names[:LISTED])
    text = ", ".join(shown) or "nothing"
    return text + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")
