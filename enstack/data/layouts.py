"""How published data sets lay out their functions: one entry each, told by its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from enstack.data.formats import CWE_COLUMNS
from enstack.data.other_names import plain

__all__ = ["LAYOUTS", "Layout", "OneFunction", "nearest_layout"]


@dataclass(frozen=True)
class OneFunction:
    """A function that a row holds.

    text: its column; if_vulnerable: the column instead, where the row's label says vulnerable;
    label: 0 or 1 where the column alone tells it.
    """

    text: str
    if_vulnerable: str = ""
    label: int | None = None


@dataclass(frozen=True)
class Layout:
    """Where a data set has its functions and their labels.

    told_by: columns that it has, and no other layout has together. functions: those of each row.
    label: the column; empty where flags, file names or `functions` tell. cwes: the column of
    weaknesses; found by its usual names if left out. labels_by_file: labels by names of files.
    """

    name: str
    told_by: tuple[str, ...]
    functions: tuple[OneFunction, ...]
    label: str = ""
    flags: tuple[str, ...] = ()
    cwes: str = ""
    labels_by_file: Mapping[str, int] = field(default_factory=dict)


# To add one: its columns as published, and a sample in tests/support/layout_samples.py. Of several
# that fit and are read alike, the first gives the name.
LAYOUTS = (
    # func_after and vul_func_with_fix of the first two are the code after its fix.
    Layout(
        "Big-Vul",
        told_by=("func_before", "func_after", "vul"),
        functions=(OneFunction("func_before"),),
        label="vul",
    ),
    Layout(
        "LineVul",
        told_by=("processed_func", "target", "flaw_line", "flaw_line_index"),
        functions=(OneFunction("processed_func"),),
        label="target",
    ),
    Layout(
        "PrimeVul",
        told_by=("func", "target", "idx", "func_hash"),
        functions=(OneFunction("func"),),
        label="target",
    ),
    Layout(
        "DiverseVul",
        told_by=("func", "target", "cwe", "hash", "message"),
        functions=(OneFunction("func"),),
        label="target",
    ),
    Layout(
        "CodeXGLUE",
        told_by=("func", "target", "idx"),
        functions=(OneFunction("func"),),
        label="target",
    ),
    Layout(
        "CodeXGLUE on the hub",
        told_by=("func", "target", "id", "project", "commit_id"),
        functions=(OneFunction("func"),),
        label="target",
    ),
    Layout(
        "Devign",
        told_by=("func", "target", "project", "commit_id"),
        functions=(OneFunction("func"),),
        label="target",
    ),
    Layout(
        "ReVeal",
        told_by=("code",),
        functions=(OneFunction("code"),),
        labels_by_file={"vulnerables": 1, "non-vulnerables": 0},
    ),
    # func of a vulnerable row is the code after its fix.
    Layout(
        "MegaVul",
        told_by=("func", "func_before", "is_vul"),
        functions=(OneFunction("func", if_vulnerable="func_before"),),
        label="is_vul",
    ),
    Layout(
        "Draper VDISC",
        told_by=("functionSource", *CWE_COLUMNS),
        functions=(OneFunction("functionSource"),),
        flags=CWE_COLUMNS,
    ),
    # Two functions a row, and the fixed one is meant as the clean one.
    Layout(
        "SVEN",
        told_by=("func_src_before", "func_src_after"),
        functions=(OneFunction("func_src_before", label=1), OneFunction("func_src_after", label=0)),
    ),
    Layout(
        "SecVulEval",
        told_by=("func_body", "is_vulnerable"),
        functions=(OneFunction("func_body"),),
        label="is_vulnerable",
    ),
)


def nearest_layout(names: Iterable[str]) -> Layout | None:
    """The layout that has most of its columns in a table, half at least; None for none.

    One whose files tell the labels has no columns to lack.
    """
    there = {plain(name) for name in names}

    def share(layout: Layout) -> float:
        return sum(plain(name) in there for name in layout.told_by) / len(layout.told_by)

    best = max((one for one in LAYOUTS if not one.labels_by_file), key=share)
    return best if share(best) >= 0.5 else None
