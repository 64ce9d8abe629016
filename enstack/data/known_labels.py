"""What the labels of all splits say together: the mode, the classes, how each function gets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enstack.data.cwe_labels import (
    CweClasses,
    as_flags,
    cwe_classes,
    has_weaknesses,
    with_cwe_lists,
)
from enstack.data.labels import (
    CLASS_NAMES,
    FIVE_CLASSES,
    label_sentence,
    mode_of,
    require_labels,
    task_of,
)
from enstack.data.table import Table
from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask

__all__ = ["KnownLabels", "known_labels", "require_one_reading"]


@dataclass(frozen=True)
class KnownLabels:
    """The tables as a label mode reads them; classes: of label mode cwe_all, else None."""

    tables: Mapping[str, Table]
    mode: str
    task: LabelTask
    sentence: str
    notes: list[str]
    classes: CweClasses | None = None


def known_labels(
    tables: Mapping[str, Table],
    label_mode: str,
    label_rule: str,
    min_functions_per_cwe: int,
    *,
    keep_clean: bool,
) -> KnownLabels:
    """What a label mode makes of the tables of all splits; DataError where it does not fit them.

    keep_clean: of label_mode=auto, leave no clean function out.
    """
    # All splits at once: one alone may lack the label that tells what the others mean.
    listed = with_cwe_lists(tables)
    are_lists = any(listed[split] is not table for split, table in tables.items())
    mode = label_mode
    if mode == "auto":
        mode = mode_of(listed, are_lists, keep_clean=keep_clean)
    notes = [_read_as(listed, mode)] if _was_guessed(tables, label_mode, mode) else []
    if mode in FIVE_CLASSES:
        listed = {split: as_flags(table) for split, table in listed.items()}
    require_labels(listed, mode)
    if mode == "cwe_all":
        classes = cwe_classes(listed, min_functions_per_cwe)
        sentence = classes.sentence(min_functions_per_cwe)
        return KnownLabels(listed, mode, task_of(mode, classes.names), sentence, notes, classes)
    sentence = label_sentence(listed, mode, label_rule)
    return KnownLabels(listed, mode, task_of(mode, CLASS_NAMES[mode]), sentence, notes)


def require_one_reading(tables: Mapping[str, Table]) -> None:
    """DataError for splits whose functions or labels would come from different columns."""
    first, *others = tables.values()
    for table in others:
        one, other = first.reading, table.reading
        if (one.functions, one.label, one.flags) != (other.functions, other.label, other.flags):
            raise DataError(
                f"All splits must be read alike: {first.path.name} would be read as "
                f"{one.in_words()}, {table.path.name} as {other.in_words()}. Give them the same "
                "columns, or name them: text_column, label_column."
            )


def _was_guessed(tables: Mapping[str, Table], label_mode: str, mode: str) -> bool:
    """Whether columns or label mode were found out in a way that a user should see."""
    ours = all(table.reading.is_our_own for table in tables.values())
    divided = any(table.divided for table in tables.values())
    return not ours or divided or (label_mode == "auto" and mode == "binary")


def _read_as(tables: Mapping[str, Table], mode: str) -> str:
    """The line of it, as in "read as PrimeVul: func, target; binary; 3 splits"."""
    first = next(iter(tables.values()))
    kept = [
        *(first.groups.column_names if first.groups is not None else ()),
        *(["cwe"] if has_weaknesses(first) else ()),
    ]
    splits = f"{len(tables)} splits" if len(tables) > 1 else "one table"
    if first.divided is not None:
        splits = f"one table, {first.divided.how}"
    beside = f"; with {', '.join(kept)}" if kept else ""
    return f"read as {first.reading.in_words()}; {mode}; {splits}{beside}"
