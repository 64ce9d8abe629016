"""What columns hold that were found by their names: judged by the first rows of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from enstack.data.formats import reader_of
from enstack.data.opened import format_of
from enstack.data.other_names import (
    USUAL_LABELS,
    USUAL_TEXTS,
    as_setting,
    holds_code,
    is_no_function,
    plain,
)
from enstack.data.readings import AS_FOUND, AUTO, Asked, Reading
from enstack.data.values import are_two_labels, what_labels_are, what_texts_are
from enstack.errors import DataError

__all__ = ["fitting", "found_by_value", "holds_functions", "nested_columns", "require_values"]

SAMPLE_ROWS = 500


def fitting(path: Path, columns: Sequence[str], kind: str) -> list[str]:
    """Those of some columns that hold functions, or labels, by kind; all where none does."""
    fault = what_texts_are if kind == "text" else what_labels_are
    sample = _sample(path, columns)
    return [column for column in columns if not fault(sample[column])] or list(columns)


def holds_functions(path: Path, column: str) -> bool:
    """Whether the first values of a column are functions, as far as that can be told."""
    return not what_texts_are(_sample(path, [column])[column])


def require_values(path: Path, reading: Reading, asked: Asked) -> None:
    """DataError where columns hold something else than a reading takes them for."""
    # What a user has named, by hand or as we ask for it, may be in any language, or after its fix.
    named = asked.text_column != AUTO or (reading.is_our_own and asked == AS_FOUND)
    texts = [] if named else [one.text for one in reading.functions]
    labels = [reading.label] if reading.label else []
    sample = _sample(path, [*texts, *labels])
    # A patch or a name of a weakness is told by what it is, before it becomes a label that is none.
    for column in labels:
        if fault := what_labels_are(sample[column]):
            raise DataError(
                f"{path.name}: {column} must hold labels, {fault} (read as {reading.in_words()}). "
                "Where a model is to write the fix (VulRepair and its like) there is nothing to "
                f"classify; else name the column: {as_setting('label_column', 'NAME')}."
            )
    for column in texts:
        if fault := what_texts_are(sample[column]):
            raise DataError(
                f"{path.name}: {column} must hold functions, {fault} (read as "
                f"{reading.in_words()}). Mend such rows, or name the column: "
                f"{as_setting('text_column', 'NAME')}."
            )


def found_by_value(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Of func and label, the columns whose first values are such, whatever their names."""
    once = [name for name in names if names.count(name) == 1]
    # What stands in the place of names may be a csv's first function and label, or a comment.
    if holds_code(names) or names[0].startswith("#"):
        return {}
    sample = {
        name: [value for value in values if value is not None]
        for name, values in _sample(path, once).items()
    }
    texts = [
        name
        for name, values in sample.items()
        if values and not what_texts_are(values) and not is_no_function(name)
    ]
    return {
        "func": texts,
        "label": [name for name, values in sample.items() if are_two_labels(values)],
    }


def nested_columns(path: Path, names: Sequence[str]) -> str:
    """What is said of a table whose usual columns lie inside of others; empty for no such."""
    if format_of(path) == "csv":
        return ""
    sample = _sample(path, list(dict.fromkeys(names)))
    usual = {plain(name) for name in (*USUAL_TEXTS, *USUAL_LABELS)}
    for column, values in sample.items():
        first = next((value for value in values if value is not None), None)
        if isinstance(first, Mapping) and (inside := [key for key in first if plain(key) in usual]):
            return (
                f"{path.name} must have a column each for functions and labels, "
                f"{', '.join(inside[:4])} lie inside of {column[:40]}. Write them as columns of "
                "their own, as pandas.json_normalize does."
            )
    return ""


def _sample(path: Path, columns: Sequence[str]) -> dict[str, list[Any]]:
    if not columns:
        return {}
    batches = reader_of(path).batches(path, (), columns)
    batch: Mapping[str, Any] = next(batches, {column: [] for column in columns})
    return {column: list(islice(batch[column], SAMPLE_ROWS)) for column in columns}
