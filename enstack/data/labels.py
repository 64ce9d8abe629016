"""Label modes and rules: what a function's five CWE flags, or its label column, make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from enstack.data.columns import Table
from enstack.data.formats import CWE_COLUMNS
from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import NO_FLAG, SeveralFlags

__all__ = [
    "CLASS_NAMES",
    "CWE_CLASSES",
    "NO_FLAG",
    "Labelling",
    "flag_counts",
    "label_functions",
    "label_notes",
    "label_sentence",
    "task_of",
    "what_becomes",
]

CWE_CLASSES = CWE_COLUMNS
CLASS_NAMES = {
    "cwe": CWE_CLASSES,
    "cwe_or_clean": (*CWE_CLASSES, "clean"),
    "binary": ("clean", "vulnerable"),
    "multilabel": CWE_CLASSES,
}
ONE_CLASS_OF_MANY = ("cwe", "cwe_or_clean")  # the modes in which several flags must become one
# A vulnerable function of VDISC has 1.48 flags, and the paper doesn't say how they became one
# class: so the rule is a setting, and every run records it.
PRIORITY = " > ".join(CWE_CLASSES)
ONE_FLAG, SEVERAL_FLAGS = "one flag", "several flags"
UNKNOWN = -1


@dataclass(frozen=True)
class Labelling:
    """The labels of every row of a file, and the rows that the label mode leaves out.

    labels: (n,) int64, indices into the class names; (n, k) bool in label mode multilabel, whether
    the function has each flag. left_out: (n,) bool by reason; no row is left out for two reasons.
    """

    labels: np.ndarray
    left_out: dict[str, np.ndarray]

    @property
    def kept(self) -> np.ndarray:
        """Whether each row has a label: (n,) bool."""
        kept = np.ones(len(self.labels), dtype=np.bool_)
        for rows in self.left_out.values():
            kept &= ~rows
        return kept


def task_of(label_mode: str, class_names: tuple[str, ...]) -> LabelTask:
    """What models are asked in a label mode: one of the classes, or any of the flags."""
    return SeveralFlags(class_names) if label_mode == "multilabel" else OneClass(class_names)


def label_functions(table: Table, label_mode: str, label_rule: str) -> Labelling:
    """Label every row of a file; DataError for a label column that holds no classes."""
    if table.flags is None:
        return Labelling(_from_label_column(table, label_mode), {})
    n_flags = table.flags.sum(axis=1)
    if label_mode == "multilabel":
        # Bytes of 0 and 1 until here: their ~ is never 0, and as an index they pick rows 0 and 1.
        return Labelling(table.flags.astype(np.bool_), {})
    if label_mode == "binary":
        return Labelling((n_flags > 0).astype(np.int64), {})
    # argmax: the first flag that is set.
    labels = np.asarray(table.flags.argmax(axis=1), dtype=np.int64)
    # Of no flag at all argmax says 0, which is CWE-119: these are clean, or left out.
    labels[n_flags == 0] = len(CWE_CLASSES)
    left_out = {NO_FLAG: n_flags == 0} if label_mode == "cwe" else {}
    if label_rule == "strict_single":
        left_out[SEVERAL_FLAGS] = n_flags > 1
    return Labelling(labels, left_out)


def flag_counts(tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
    """By number of flags and split, the functions of the files; empty without flag columns."""
    n_flags = {
        split: table.flags.sum(axis=1) for split, table in tables.items() if table.flags is not None
    }
    if not n_flags:
        return {}
    return {
        NO_FLAG: {split: int((of_rows == 0).sum()) for split, of_rows in n_flags.items()},
        ONE_FLAG: {split: int((of_rows == 1).sum()) for split, of_rows in n_flags.items()},
        SEVERAL_FLAGS: {split: int((of_rows > 1).sum()) for split, of_rows in n_flags.items()},
    }


def what_becomes(label_mode: str, label_rule: str) -> dict[str, str]:
    """By number of flags, what a label mode and rule make of a function."""
    if label_mode == "binary":
        return {NO_FLAG: "clean", ONE_FLAG: "vulnerable", SEVERAL_FLAGS: "vulnerable"}
    if label_mode == "multilabel":
        return {NO_FLAG: "kept, without a flag", ONE_FLAG: "the flag", SEVERAL_FLAGS: "all of them"}
    # The other modes never ask which of several flags it is; RunConfig refuses the rule for them.
    several = "dropped" if label_rule == "strict_single" else "the first by priority"
    unflagged = "dropped" if label_mode == "cwe" else "clean"
    return {NO_FLAG: unflagged, ONE_FLAG: "its class", SEVERAL_FLAGS: several}


def label_sentence(tables: Mapping[str, Table], label_mode: str, label_rule: str) -> str:
    """How functions got their labels, with the number of those that had several flags."""
    counts = flag_counts(tables)
    if not counts:
        return "The class is what the label column says."
    if label_mode == "binary":
        return "A function with any of the five CWE flags is vulnerable, one without is clean."
    # Of the files, not of a subset: how much the rule decides is a fact of the data.
    n_several = sum(counts[SEVERAL_FLAGS].values())
    n_vulnerable = n_several + sum(counts[ONE_FLAG].values())
    share = f"{n_several:,} of {n_vulnerable:,} vulnerable functions read"
    if label_mode == "multilabel":
        return (
            f"A function keeps every flag it has, several at a time ({share}); one without any "
            "flag stays, with none."
        )
    several = (
        f"is dropped ({share}, label_rule=strict_single)"
        if label_rule == "strict_single"
        else f"takes the first of {PRIORITY} ({share})"
    )
    unflagged = "dropped" if label_mode == "cwe" else "clean"
    return f"A function with several flags {several}; one without any flag is {unflagged}."


def label_notes(split: str, table: Table, label_mode: str, label_rule: str) -> list[str]:
    """What users should know of the labels of one split, short."""
    if table.flags is not None:
        return _several_flags_note(split, table.flags, label_mode, label_rule)
    # Labels of 0 and 1 mostly mean clean and vulnerable, and read as the first two classes.
    values = table.labels if table.labels is not None else ()
    if label_mode == "binary" or {_label_word(value) for value in values} != {"0", "1"}:
        return []
    first, second = CLASS_NAMES[label_mode][:2]
    return [
        f"⚠️  {split}: labels are 0 and 1 alone, read as {first} and {second}; if 1 means "
        "vulnerable, use label_mode=binary"
    ]


def _several_flags_note(
    split: str, flags: np.ndarray, label_mode: str, label_rule: str
) -> list[str]:
    n_several = int((flags.sum(axis=1) > 1).sum())
    if not n_several or label_mode not in ONE_CLASS_OF_MANY:
        return []
    done = "dropped" if label_rule == "strict_single" else "the first of them won"
    return [f"{split}: {n_several:,} functions have several flags, {done}"]


def _from_label_column(table: Table, label_mode: str) -> np.ndarray:
    """Classes by name or number; in label mode multilabel, one flag or, for clean, none."""
    if label_mode != "multilabel":
        return _named_labels(table, CLASS_NAMES[label_mode])
    labels = _named_labels(table, CLASS_NAMES["cwe_or_clean"])
    flags: np.ndarray = labels[:, None] == np.arange(len(CWE_CLASSES))
    return flags


def _named_labels(table: Table, class_names: Sequence[str]) -> np.ndarray:
    known = {name: index for index, name in enumerate(class_names)}
    known |= {str(index): index for index in range(len(class_names))}
    values = table.labels if table.labels is not None else ()
    # By its text: True and False equal 1 and 0 in Python, and are no class's number.
    labels = np.fromiter((known.get(_label_word(value), UNKNOWN) for value in values), np.int64)
    bad = np.flatnonzero(labels == UNKNOWN)
    if len(bad):
        raise DataError(
            f"{table.path.name}: label must be 0 to {len(class_names) - 1} or one of "
            f"{', '.join(class_names)}, row {bad[0]} has {_shown(values[bad[0]])} "
            f"(rows count from 0; {len(bad):,} such rows)."
        )
    return labels


def _label_word(value: Any) -> str:
    """A label as text; 3.0, as tables with gaps store whole numbers, reads as 3."""
    word = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return word.strip().removesuffix(".0")


def _shown(value: Any) -> str:
    return repr(value.decode("latin-1") if isinstance(value, bytes) else value)[:60]
