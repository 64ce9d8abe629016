"""Label modes and rules: what a function's five CWE flags, or its label column, make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from enstack.counting import counted
from enstack.data.cwe_labels import (
    NO_CWE,
    CweClasses,
    class_of_each,
    require_weaknesses,
    several_cwes,
)
from enstack.data.cwes import VIEW
from enstack.data.formats import CWE_COLUMNS
from enstack.data.label_column import (
    LEFT_OUT,
    VULNERABILITY,
    column_labels,
    label_column_notes,
    numbered_classes,
    require_labels_of_mode,
    says_vulnerable_or_not,
    vulnerable_or_not,
)
from enstack.data.table import Table
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import NO_FLAG, SeveralFlags

__all__ = [
    "CLASS_NAMES",
    "CWE_CLASSES",
    "FIVE_CLASSES",
    "NO_FLAG",
    "Labelling",
    "flag_counts",
    "label_functions",
    "label_notes",
    "label_sentence",
    "mode_of",
    "require_labels",
    "task_of",
    "what_becomes",
]

CWE_CLASSES = CWE_COLUMNS
CLASS_NAMES = {
    "cwe": CWE_CLASSES,
    "cwe_or_clean": (*CWE_CLASSES, "clean"),
    "binary": VULNERABILITY,
    "multilabel": CWE_CLASSES,
}
FIVE_CLASSES = ("cwe", "cwe_or_clean", "multilabel")  # the modes of VDISC's flags
ONE_CLASS_OF_MANY = ("cwe", "cwe_or_clean")  # the modes in which several flags must become one
# A vulnerable function of VDISC has 1.48 flags, and the paper doesn't say how they became one
# class: so the rule is a setting, and every run records it.
PRIORITY = " > ".join(CWE_CLASSES)
ONE_FLAG, SEVERAL_FLAGS = "one flag", "several flags"


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


def mode_of(tables: Mapping[str, Table], listed: bool, *, keep_clean: bool = False) -> str:
    """The label mode that label_mode=auto means for these tables.

    listed: the label columns list weaknesses. keep_clean: leave no clean function out.
    """
    of_classes = "cwe_or_clean" if keep_clean else "cwe"
    columns = {split: table for split, table in tables.items() if table.flags is None}
    if listed or len(columns) < len(tables):
        return of_classes
    if says_vulnerable_or_not(columns):
        return "binary"
    return "cwe_or_clean" if len(CWE_CLASSES) in numbered_classes(columns) else of_classes


def require_labels(tables: Mapping[str, Table], label_mode: str) -> None:
    """Raise DataError for label columns, of all splits together, that the label mode can't read."""
    if label_mode == "cwe_all":
        require_weaknesses(tables)
        return
    require_labels_of_mode(tables, label_mode, _label_names(label_mode))


def label_functions(
    table: Table, label_mode: str, label_rule: str, classes: CweClasses | None = None
) -> Labelling:
    """Label every row of a file whose labels `require_labels` lets pass.

    classes: of label mode cwe_all.
    """
    if classes is not None:
        return _from_weaknesses(table, label_rule, classes)
    if table.flags is None:
        return _from_label_column(table, label_mode)
    labelling = _from_flags(table.flags, label_mode, label_rule)
    if table.unnamed is None or not table.unnamed.any():
        return labelling
    left_out = {why: rows & ~table.unnamed for why, rows in labelling.left_out.items()}
    return Labelling(labelling.labels, {**left_out, NO_CWE: table.unnamed})


def _from_weaknesses(table: Table, label_rule: str, classes: CweClasses) -> Labelling:
    labels, left_out = class_of_each(table, classes)
    left_out[NO_FLAG] = ~np.asarray(vulnerable_or_not(table))
    if label_rule == "strict_single":
        left_out[SEVERAL_FLAGS] = several_cwes(table) & (labels >= 0)
    return Labelling(labels, left_out)


def _from_flags(flags: np.ndarray, label_mode: str, label_rule: str) -> Labelling:
    n_flags = flags.sum(axis=1)
    if label_mode == "multilabel":
        # Bytes of 0 and 1 until here: their ~ is never 0, and as an index they pick rows 0 and 1.
        return Labelling(flags.astype(np.bool_), {})
    if label_mode == "binary":
        return Labelling((n_flags > 0).astype(np.int64), {})
    # argmax: the first flag that is set.
    labels = np.asarray(flags.argmax(axis=1), dtype=np.int64)
    # Of no flag at all argmax says 0, which is CWE-119: these are clean, or left out.
    labels[n_flags == 0] = len(CWE_CLASSES)
    left_out = {NO_FLAG: n_flags == 0} if label_mode == "cwe" else {}
    if label_rule == "strict_single":
        left_out[SEVERAL_FLAGS] = n_flags > 1
    return Labelling(labels, left_out)


def flag_counts(tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
    """By number of flags and split, the functions of the files; empty without flag columns."""
    n_flags = {
        # A function whose weakness is not named has some flag, and nobody knows which.
        split: table.flags[... if table.unnamed is None else ~table.unnamed].sum(axis=1)
        for split, table in tables.items()
        if table.flags is not None
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
    share = f"{n_several:,} of {counted(n_vulnerable, 'vulnerable function')} read"
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
    sentence = f"A function with several flags {several}; one without any flag is {unflagged}."
    # Flags that stand for lists: the file itself has none.
    listed = any(table.unnamed is not None for table in tables.values())
    means = f" A CWE counts as the nearest of the five classes that it is a kind of ({VIEW})."
    return sentence + means if listed else sentence


def label_notes(tables: Mapping[str, Table], label_mode: str, label_rule: str) -> list[str]:
    """What users should know of the labels of the files, short."""
    notes = label_column_notes(tables, _label_names(label_mode))
    if label_mode in ONE_CLASS_OF_MANY:
        done = "dropped" if label_rule == "strict_single" else "the first of them won"
        several = flag_counts(tables).get(SEVERAL_FLAGS, {})
        notes += [
            f"{split}: {counted(count, 'function')} with several flags, {done}"
            for split, count in several.items()
            if count
        ]
    return notes


def _from_label_column(table: Table, label_mode: str) -> Labelling:
    """Classes by name or number; in label mode multilabel, one flag or, for clean, none."""
    labels = column_labels(table, label_mode, _label_names(label_mode))
    if label_mode == "multilabel":
        flags: np.ndarray = labels[:, None] == np.arange(len(CWE_CLASSES))
        return Labelling(flags, {})
    return Labelling(labels, {NO_FLAG: labels == LEFT_OUT} if label_mode == "cwe" else {})


def _label_names(label_mode: str) -> tuple[str, ...]:
    """The classes that a label column can name, in the order of their numbers."""
    # Where each weakness is a class, the column says no more than whether there is any.
    as_if = {"multilabel": "cwe_or_clean", "cwe_all": "binary"}
    return CLASS_NAMES[as_if.get(label_mode, label_mode)]
