"""Which columns of a table hold functions, labels, weaknesses and groups: told, or found by value.

Fixed code, patches and messages are never taken for a function, and where two columns could be
meant, both are named and none is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from enstack.data.column_values import (
    fitting,
    found_by_value,
    holds_functions,
    nested_columns,
    require_values,
)
from enstack.data.formats import CWE_COLUMNS, reader_of
from enstack.data.layouts import LAYOUTS, Layout, OneFunction
from enstack.data.missing_columns import listed, missing_columns, missing_labels
from enstack.data.opened import bare_stem, format_of
from enstack.data.other_names import (
    FLAW_TEXTS,
    USUAL_FLAW_LINES,
    USUAL_GROUPS,
    USUAL_LABELS,
    USUAL_TEXTS,
    USUAL_WEAKNESSES,
    as_setting,
    plain,
)
from enstack.data.readings import AS_FOUND, AUTO, Asked, Reading, Source
from enstack.data.strangers import readable, refuse_strangers
from enstack.errors import ConfigError, DataError

__all__ = ["reading_of"]


def reading_of(source: Source) -> Reading:
    """Where the files of a split have their functions and labels.

    Raises DataError where that can't be told, ConfigError for a layout that is none.
    """
    path, asked = source.paths[0], source.asked
    refuse_strangers(path)
    reader = reader_of(path)
    with readable(path):
        names = reader.columns(path)
    if format_of(path) == "hdf5":
        return _of_vdisc(path, names)
    if not names:
        raise DataError(f"{path.name} must hold at least one function, it has no rows.")
    found = _of_layout(source, names)
    if found is None and asked == AS_FOUND:
        found = _of_our_own(path, names)
    if found is None:
        found = _of_usual_names(path, names, asked)
    found = replace(found, **_beside(path, names, found))
    _refuse_columns_twice(path, [*found.needed, *found.helpful], names)
    require_values(path, found, asked)
    return found


# HDF5 and the columns that enstack asks for


def _of_vdisc(path: Path, names: Sequence[str]) -> Reading:
    _refuse_columns_twice(path, ("functionSource", *CWE_COLUMNS), names)
    lacking = [name for name in ("functionSource", *CWE_COLUMNS) if name not in names]
    if lacking:
        raise DataError(missing_columns(path, lacking, names))
    return Reading("", (OneFunction("functionSource"),), flags=CWE_COLUMNS)


def _of_our_own(path: Path, names: Sequence[str]) -> Reading | None:
    if "func" not in names:
        return None
    if not {"label", *CWE_COLUMNS} & set(names):
        return None
    if any(plain(name) == "funcbefore" for name in names):
        raise DataError(
            f"{path.name} has func and func_before: beside the code before a fix, func may be the "
            f"code after it. Name the right one: {as_setting('text_column', 'func_before')}, or "
            "func."
        )
    has_label = "label" in names
    # All five or none: without one of them, functions of that class would read as clean.
    if set(CWE_COLUMNS) <= set(names):
        return Reading("", (OneFunction("func"),), flags=CWE_COLUMNS, both=has_label)
    return Reading("", (OneFunction("func"),), label="label") if has_label else None


# Layouts of published data sets


def _of_layout(source: Source, names: Sequence[str]) -> Reading | None:
    layout = _layout(source, names)
    if layout is None:
        return None
    asked, functions = source.asked, layout.functions
    if asked.text_column != AUTO:
        functions = (OneFunction(_named(source.paths[0], asked.text_column, names, "text")),)
    label = layout.label
    if asked.label_column != AUTO:
        label = _named(source.paths[0], asked.label_column, names, "label")
    return Reading(
        layout.name,
        tuple(_as_spelled(one, names) for one in functions),
        label=_spelled(label, names),
        flags=() if asked.label_column != AUTO else tuple(_spelled(f, names) for f in layout.flags),
        cwes=_spelled(layout.cwes, names),
        labels_by_file={} if label else layout.labels_by_file,
    )


def _spelled(column: str, names: Sequence[str]) -> str:
    """A layout's column as this table spells it."""
    alike = (name for name in names if plain(name) == plain(column))
    return column if column in names else next(alike, column)


def _as_spelled(one: OneFunction, names: Sequence[str]) -> OneFunction:
    either = _spelled(one.if_vulnerable, names) if one.if_vulnerable else ""
    return replace(one, text=_spelled(one.text, names), if_vulnerable=either)


def _layout(source: Source, names: Sequence[str]) -> Layout | None:
    if source.asked.layout != AUTO:
        return _named_layout(source, names)
    if source.asked != AS_FOUND:
        return None
    fitting = [layout for layout in LAYOUTS if _fits(layout, source, names)]
    # Our own names go first, as they always did.
    if not fitting or ("func" in names and "label" in names):
        return None
    most = max(len(layout.told_by) for layout in fitting)
    best = [layout for layout in fitting if len(layout.told_by) == most]
    if any(_columns(layout) != _columns(best[0]) for layout in best):
        both = " and ".join(layout.name for layout in best)
        raise DataError(
            f"{source.paths[0].name} could be read as {both}, which take other columns. Name one: "
            f"{as_setting('layout', best[0].name)}."
        )
    # Of those that are read alike, the first: its name says most.
    return next(layout for layout in fitting if _columns(layout) == _columns(best[0]))


def _columns(layout: Layout) -> tuple[Any, ...]:
    return layout.functions, layout.label, layout.flags


def _fits(layout: Layout, source: Source, names: Sequence[str]) -> bool:
    columns = {plain(name) for name in names}
    if not {plain(name) for name in layout.told_by} <= columns:
        return False
    stems = {bare_stem(path) for path in source.paths}
    return not layout.labels_by_file or stems == set(layout.labels_by_file)


def _named_layout(source: Source, names: Sequence[str]) -> Layout:
    by_name = {plain(layout.name): layout for layout in LAYOUTS}
    if plain(source.asked.layout) not in by_name:
        raise ConfigError(
            f"layout must be auto or one of {', '.join(layout.name for layout in LAYOUTS)}, found "
            f"{source.asked.layout!r}."
        )
    layout = by_name[plain(source.asked.layout)]
    if not _fits(layout, source, names):
        raise DataError(
            f"{source.paths[0].name} must have the columns {', '.join(layout.told_by)} to be read "
            f"as {layout.name}; it has {listed(names)}. Leave layout out, or name another."
        )
    return layout


# Any other table, by usual names and by values


def _of_usual_names(path: Path, names: Sequence[str], asked: Asked) -> Reading:
    flags = _flags(names)
    text = _one_of(path, names, asked.text_column, "text")
    label = _one_of(path, names, asked.label_column, "label")
    if asked.label_column == AUTO and flags:
        return Reading(
            "", (OneFunction(text or _lacking(path, names, "func")),), flags=flags, both=bool(label)
        )
    # A list of weaknesses is a label too, where there is no other.
    label = label or next(iter(_usual(names, USUAL_WEAKNESSES)), "")
    if not text or not label:
        missing = ([] if text else ["func"]) + missing_labels(names, label)
        found = {c: alike for c, alike in found_by_value(path, names).items() if c in missing}
        raise DataError(nested_columns(path, names) or missing_columns(path, missing, names, found))
    return Reading("", (OneFunction(text),), label=label)


def _flags(names: Sequence[str]) -> tuple[str, ...]:
    by_plain = {plain(name): name for name in names}
    found = tuple(by_plain[plain(flag)] for flag in CWE_COLUMNS if plain(flag) in by_plain)
    return found if len(found) == len(CWE_COLUMNS) else ()


def _lacking(path: Path, names: Sequence[str], column: str) -> str:
    raise DataError(missing_columns(path, [column], names))


def _one_of(path: Path, names: Sequence[str], asked: str, kind: str) -> str:
    """The column of texts or labels that is asked for, or found; empty for none."""
    if asked != AUTO:
        return _named(path, asked, names, kind)
    ours, usual = ("func", USUAL_TEXTS) if kind == "text" else ("label", USUAL_LABELS)
    if ours in names and not (kind == "text" and "funcbefore" in map(plain, names)):
        return ours
    found = _usual(names, usual)
    if len(found) > 1:
        found = fitting(path, found, kind)
    if len(found) > 1:
        raise DataError(
            f"{path.name} has several columns that could be the {kind}: {' and '.join(found)}. "
            f"Name the right one: {as_setting(f'{kind}_column', found[0])}."
        )
    return found[0] if found else ""


def _usual(names: Sequence[str], usual: Iterable[str]) -> list[str]:
    """The columns with a usual name, in the order of these; code after a fix has none."""
    by_plain: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        by_plain.setdefault(plain(name), []).append(name)
    # Target beside target: two columns that could be meant.
    return [name for one in dict.fromkeys(map(plain, usual)) for name in by_plain.get(one, ())]


def _named(path: Path, column: str, names: Sequence[str], kind: str) -> str:
    if column not in names:
        raise DataError(
            f"{kind}_column must name a column, {path.name} has no {column!r}; it has "
            f"{listed(names)}."
        )
    return column


# What else is kept, and what the values say


def _beside(path: Path, names: Sequence[str], reading: Reading) -> dict[str, Any]:
    """The columns of weaknesses, groups and marked lines; one that stands there twice is none."""
    once = [name for name in names if names.count(name) == 1 and name not in reading.needed]
    groups = {
        kind: found[0] for kind, usual in USUAL_GROUPS.items() if (found := _usual(once, usual))
    }
    # A column called source may hold code as well.
    if "source" in groups and holds_functions(path, groups["source"]):
        del groups["source"]
    cwes = reading.cwes or next(iter(_usual(once, USUAL_WEAKNESSES)), "")
    marking = next(iter(_usual(once, USUAL_FLAW_LINES)), "")
    texts = next(iter(_usual(once, [FLAW_TEXTS])), "") if marking else ""
    return {
        "groups": groups,
        "cwes": "" if reading.flags else cwes,
        "flaw_lines": marking,
        "flaw_texts": texts if texts != marking else "",
    }


def _refuse_columns_twice(path: Path, columns: Iterable[str], names: Sequence[str]) -> None:
    twice = [column for column in columns if names.count(column) > 1]
    if twice:
        raise DataError(
            f"{path.name} must have each column once, {twice[0]} stands there "
            f"{names.count(twice[0])} times. Remove or rename all but one."
        )
