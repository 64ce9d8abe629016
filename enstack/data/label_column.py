"""What a label column says: names, numbers, true and false; refused where it fits another mode."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from enstack.data.columns import MISSING_WORDS
from enstack.data.formats import CWE_COLUMNS
from enstack.data.table import Table
from enstack.errors import DataError

__all__ = [
    "LEFT_OUT",
    "VULNERABILITY",
    "column_labels",
    "label_column_notes",
    "numbered_classes",
    "require_labels_of_mode",
    "says_vulnerable_or_not",
    "vulnerable_or_not",
]

VULNERABILITY = ("clean", "vulnerable")  # the classes of label mode binary
YES_AND_NO = {
    "0": False,
    "1": True,
    "false": False,
    "true": True,
    "clean": False,
    "vulnerable": True,
}
LEFT_OUT, UNKNOWN = -1, -2  # what stands for a clean function under cwe, and for no label at all
# Case and signs apart, as in cwe_119 or "CWE 119": these are one name each.
NAMES = {
    re.sub(r"[\W_]", "", name.lower()): name
    for name in (*CWE_COLUMNS, *VULNERABILITY, "true", "false")
}
# 3.0 and 3.00 too, as tables with gaps and decimals store whole numbers.
NUMBER = re.compile(r"([+-]?\d{1,9})(?:\.0*)?")


def require_labels_of_mode(
    tables: Mapping[str, Table], label_mode: str, class_names: Sequence[str]
) -> None:
    """Raise DataError for label columns that another label mode goes with, or that fit none.

    All splits are judged together: one that lacks a class says nothing of what 0 and 1 mean.
    """
    # Several splits may be of one file.
    by_file: dict[str, set[str]] = defaultdict(set)
    for table in tables.values():
        if table.flags is None:
            # An empty field tells no mode from another; it is refused with its row.
            by_file[table.path.name] |= {
                word for word in _words(table) if word.lower() not in MISSING_WORDS
            }
    words = set().union(*by_file.values())
    # Beside names of CWEs 0 may be the first of them, or clean: in no mode can it be told.
    _refuse_names_beside_numbers(by_file, CWE_COLUMNS)
    if label_mode != "binary":
        _refuse_labels_without_a_class(words, label_mode)
        _refuse_names_beside_numbers(by_file, ("clean",))
        _refuse_numbers_without_zero(words, class_names)
    for table in tables.values():
        if table.flags is None:
            _require_known_labels(table, label_mode, class_names, words)


def says_vulnerable_or_not(tables: Mapping[str, Table]) -> bool:
    """Whether all label columns together say no more than whether a function is vulnerable."""
    words = set().union(*(_words(table) for table in tables.values()))
    told = {word for word in words if word.lower() not in MISSING_WORDS}
    # 0 alone may be the first of five classes.
    return told <= YES_AND_NO.keys() and bool(told - {"0"})


def vulnerable_or_not(table: Table) -> np.ndarray | None:
    """Whether each row is vulnerable: (n,) bool; None where a label says something else."""
    told = [YES_AND_NO.get(_word(value)) for value in _values(table)]
    return None if None in told else np.array(told, dtype=np.bool_)


def numbered_classes(tables: Mapping[str, Table]) -> set[int]:
    """The numbers among all labels."""
    return _numbers(set().union(*(_words(table) for table in tables.values())))


def column_labels(table: Table, label_mode: str, class_names: Sequence[str]) -> np.ndarray:
    """The class (n,) int64 of each row of a label column: its index, LEFT_OUT or UNKNOWN."""
    known = _known_labels(label_mode, class_names)
    return np.fromiter((known.get(_word(value), UNKNOWN) for value in _values(table)), np.int64)


def label_column_notes(tables: Mapping[str, Table], class_names: Sequence[str]) -> list[str]:
    """What numbers in label columns were taken for, short; names speak for themselves."""
    words = set().union(*(_words(table) for table in tables.values()))
    numbers = sorted(_numbers(words))
    if not numbers:
        return []
    meaning = ", ".join(f"{number} {class_names[number]}" for number in numbers)
    others = sorted(words - {str(number) for number in numbers})
    if not others:
        return [f"labels are numbers, read as {meaning}"]
    # Other modes refuse what is no number beside numbers.
    known = _known_labels("binary", class_names)
    meaning += "".join(f", {word} {class_names[known[word]]}" for word in others)
    return [f"labels are written in several ways, read as {meaning}"]


def _refuse_labels_without_a_class(words: set[str], label_mode: str) -> None:
    """Labels that say whether a function is vulnerable, where a class is asked for."""
    says_nothing_else = words <= {"0", "1", "true", "false", *VULNERABILITY, *CWE_COLUMNS}
    no_class = words & {"true", "false", "vulnerable"}
    if (words <= {"0", "1"} and "1" in words) or (no_class and says_nothing_else):
        raise DataError(
            f"label must name a class for label_mode={label_mode}, found {_listed(words)} in all "
            "splits together: these tell clean from vulnerable functions. Use label_mode=binary "
            "(enstack audit: --label-mode binary), or write the names of the classes."
        )


def _refuse_names_beside_numbers(by_file: Mapping[str, set[str]], refused: Sequence[str]) -> None:
    words = set().union(*by_file.values())
    names = words & set(refused)
    numbers = words & {str(number) for number in range(len(CWE_COLUMNS) + 1)}
    if names and numbers:
        name, number = (
            f"{word} in {next(file for file, own in by_file.items() if word in own)}"
            for word in (min(names), min(numbers))
        )
        raise DataError(
            f"label must be a name in all splits or a number in all, found {name} and {number}. "
            f"Write names throughout: {', '.join(CWE_COLUMNS)}, clean."
        )


def _refuse_numbers_without_zero(words: set[str], class_names: Sequence[str]) -> None:
    numbers = _numbers(words)
    counted = len(numbers) == len(words) and numbers <= set(range(1, len(CWE_COLUMNS) + 2))
    if numbers and counted:
        raise DataError(
            f"label must count classes from 0 ({class_names[0]}), found {_listed(words)} in all "
            "splits together and never 0: counted from 1, each would be read as the class after "
            f"its own. Write names: {', '.join(class_names)}.{_pair_advice(words)}"
        )


def _require_known_labels(
    table: Table, label_mode: str, class_names: Sequence[str], words: set[str]
) -> None:
    labels = column_labels(table, label_mode, class_names)
    bad = np.flatnonzero(labels == UNKNOWN)
    if len(bad):
        name, row = table.place(int(bad[0]))
        raise DataError(
            f"{name}: label must be 0 to {len(class_names) - 1} or one of "
            f"{', '.join(class_names)}, row {row} has {_shown(_values(table)[bad[0]])} "
            f"(rows count from 0; {len(bad):,} such rows)."
            f"{_mode_advice(words) or _value_advice(_values(table)[bad[0]], class_names)}"
            f"{'' if label_mode == 'binary' else _pair_advice(words)}"
        )


def _value_advice(value: Any, class_names: Sequence[str]) -> str:
    """What to write in the place of a label that is none."""
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return (
            " A row has one label: write that alone, or the five CWE columns where a function has "
            "several."
        )
    if _is_missing(value):
        return " Write the label of these rows, or remove them."
    if tuple(class_names) == VULNERABILITY:
        return " Write 0 or clean for clean functions, 1 or vulnerable for the others."
    return " Write one of these names in their place, or remove these rows."


def _mode_advice(words: set[str]) -> str:
    """The label mode of numbered classes, where these are such; else nothing."""
    numbers = _numbers(words)
    if len(numbers) < len(words) or not {0, 2} <= numbers or max(numbers) > len(CWE_COLUMNS):
        return ""
    mode = "cwe" if max(numbers) < len(CWE_COLUMNS) else "cwe_or_clean"
    return f" Labels {min(numbers)} to {max(numbers)} go with label_mode={mode}."


def _pair_advice(words: set[str]) -> str:
    """What to write in the place of two labels that may only tell clean from vulnerable."""
    if len(words) != 2 or words & set(CWE_COLUMNS):
        return ""
    return " Where these two labels only tell clean from vulnerable functions, write 0 and 1."


def _known_labels(label_mode: str, class_names: Sequence[str]) -> dict[str, int]:
    known = {str(index): index for index in range(len(class_names))}
    known |= {name: index for index, name in enumerate(class_names)}
    if label_mode == "binary":
        return known | {"false": 0, "true": 1} | dict.fromkeys(CWE_COLUMNS, 1)
    return {"clean": LEFT_OUT} | known


def _values(table: Table) -> Any:
    return table.labels if table.labels is not None else ()


def _words(table: Table) -> set[str]:
    return {_word(value) for value in _values(table)}


def _word(value: Any) -> str:
    # latin-1 never fails: what is no label is to be told with its row, not as a decoding error.
    return _spelled(value.decode("latin-1") if isinstance(value, bytes) else str(value))


@functools.lru_cache(maxsize=4096)
def _spelled(text: str) -> str:
    """A label as it is spelled here; what is no label stays as it is."""
    word = text.strip().lower()
    if number := NUMBER.fullmatch(word):
        return str(int(number[1]))
    # A sign that no one sees is damage: cut out, it would make a label of what is none.
    return NAMES.get(re.sub(r"[\W_]", "", word), text) if word.isprintable() else text


def _numbers(words: set[str]) -> set[int]:
    return {int(word) for word in words if NUMBER.fullmatch(word)}


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words))


def _is_missing(value: Any) -> bool:
    return _word(value).strip().lower() in MISSING_WORDS


def _shown(value: Any) -> str:
    # A word such as "none" stands in the file; what stands for a gap is the reader's own.
    if _is_missing(value) and (not isinstance(value, str | bytes) or not value.strip()):
        return "no label (NaN, null or empty)"
    return repr(value.decode("latin-1") if isinstance(value, bytes) else value)[:60]
