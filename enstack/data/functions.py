"""Functions with their labels, split by split: what is read, what is dropped, a fingerprint."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from enstack.counting import counted
from enstack.data.column_cache import Columns, batches_of, digest_of, read_columns, release
from enstack.data.columns import Table, reading_notes
from enstack.data.csv_tables import backslash_notes
from enstack.data.formats import split_files
from enstack.data.labels import (
    CLASS_NAMES,
    CWE_CLASSES,
    NO_FLAG,
    Labelling,
    flag_counts,
    label_functions,
    label_notes,
    label_sentence,
    require_labels,
    task_of,
    what_becomes,
)
from enstack.data.subsets import NOT_DRAWN, choose, shortages
from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask

__all__ = ["Functions", "VulnerabilityData", "read_data"]

HASH_ROWS = 65536  # ids in one frame of a fingerprint; users have stored those, so it stays


@dataclass(frozen=True)
class Functions:
    """The functions of one split, row by row.

    ids: (n,) unicode, the split and the 0-based row in its file, as in "train/17"; a function
    keeps its id through every selection. sources: (n,) pyarrow large_string. labels: (n,) int64,
    indices into the class names, or (n, k) bool in label mode multilabel. mapped: the file behind
    the sources where they are not in memory; known_digest: theirs, where it was stored with them.
    """

    ids: np.ndarray
    sources: pa.Array
    labels: np.ndarray
    mapped: mmap.mmap | None = None
    known_digest: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[pa.Array]:
        """The sources in order, so many at a time; memory holds one batch of mapped ones."""
        return batches_of(self.sources, size, self.mapped)

    @cached_property
    def source_digest(self) -> str:
        """Sha256 over the texts in their order, as hex: what tokens depend on."""
        return self.known_digest or digest_of(self.sources, self.mapped)

    def take(self, rows: np.ndarray) -> Functions:
        """The functions of some rows (m,) int, in that order, in memory."""
        # What was read through the map counts as this program's memory until it is given back.
        sources = self.sources.take(pa.array(rows, type=pa.int64()))
        release(self.mapped)
        return Functions(self.ids[rows], sources, self.labels[rows])


@dataclass(frozen=True)
class VulnerabilityData:
    """All splits of one data folder under one label mode."""

    splits: dict[str, Functions]
    class_names: tuple[str, ...]
    label_mode: str
    label_rule: str  # how a function got its class, one sentence
    notes: list[str] = field(default_factory=list)  # what was dropped, decoded otherwise, short
    # By split and class: the functions there were before a subset was drawn.
    available: dict[str, dict[str, int]] = field(default_factory=dict)
    # By split and reason: the functions of the files that are in no split.
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    # By number of flags and split: the functions of the files; empty where a column has the labels.
    flag_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    flags_become: dict[str, str] = field(default_factory=dict)  # by number of flags

    @property
    def task(self) -> LabelTask:
        """What models are asked of these functions."""
        return task_of(self.label_mode, self.class_names)

    def n_available(self, split: str) -> int:
        """The functions of a split there were before a subset was drawn."""
        return len(self.splits[split]) + self.dropped[split][NOT_DRAWN]

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over class names and every split's ids, labels and sources, as hex.

        The same functions have the same fingerprint, whatever the format of their files.
        """
        digest = hashlib.sha256(_framed("\n".join(self.class_names)))
        for name, functions in self.splits.items():
            digest.update(_framed(name) + len(functions).to_bytes(8, "little"))
            # The byte order is named: two people compare their fingerprints.
            digest.update(functions.labels.astype("<i8").tobytes())
            for start in range(0, len(functions), HASH_ROWS):
                digest.update(_framed("\n".join(functions.ids[start : start + HASH_ROWS])))
            digest.update(functions.source_digest.encode())
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """What a report shows of the data, as JSON values."""
        return {
            "fingerprint": self.fingerprint,
            "label_mode": self.label_mode,
            "label_rule": self.label_rule,
            "class_names": list(self.class_names),
            "counts": {
                name: self.task.class_counts(split.labels) for name, split in self.splits.items()
            },
            "functions": {name: len(split) for name, split in self.splits.items()},
            "available": self.available,
            "dropped": self.dropped,
            "flag_counts": self.flag_counts,
            "flags_become": self.flags_become,
            "notes": list(self.notes),
        }


def read_data(
    folder: Path,
    *,
    label_mode: str = "cwe",
    label_rule: str = "priority",
    subset: str | int = "all",
    seed: int = 42,
    cache_dir: Path | None = None,
) -> VulnerabilityData:
    """Read the three splits of a folder and give every function one class, or its flags.

    Folder: VDISC_{train,validate,test}.hdf5, or {train,validation,test} as .jsonl, .csv or
    .parquet. cache_dir: where the columns are kept, for any label mode and subset, so that the next
    read is quick and texts need no memory; None reads them into memory. The other settings are
    those of RunConfig, which checks them. Raises DataError for data that can't be used.
    """
    task = task_of(label_mode, CLASS_NAMES[label_mode])
    files = split_files(Path(folder))
    read = {split: read_columns(path, cache_dir) for split, path in files.items()}
    tables = {split: columns.table for split, columns in read.items()}
    # All splits at once: one alone may lack the label that tells what the others mean.
    require_labels(tables, label_mode)
    notes = label_notes(tables, label_mode, label_rule)
    dropped: dict[str, dict[str, int]] = {}
    available: dict[str, dict[str, int]] = {}
    splits: dict[str, Functions] = {}
    for number, (split, columns) in enumerate(read.items()):
        texts = columns.texts
        batches = batches_of(texts.sources, HASH_ROWS, texts.mapped)
        notes += backslash_notes(columns.table.path, batches)
        labelling = label_functions(columns.table, label_mode, label_rule)
        notes += _label_notes(split, columns.table, labelling, label_mode, label_rule)
        functions, n_blank = _with_text(split, columns, labelling, notes)
        available[split] = task.class_counts(functions.labels)
        notes += shortages(available[split], len(functions), subset, split)
        # A stream for each split: the size of one moves no draw of another.
        splits[split] = _drawn(functions, task, subset, split, [seed, number])
        dropped[split] = _dropped(labelling, n_blank, len(functions) - len(splits[split]))
        notes += _subset_notes(split, splits[split], dropped[split], task)
    # Of train alone: a class that validation or test lacks is worth a note, no more.
    task.require_two_sides(
        splits["train"].labels,
        "The training split",
        "Choose another label_mode, label_rule or subset.",
    )
    return VulnerabilityData(
        splits,
        task.class_names,
        label_mode,
        label_sentence(tables, label_mode, label_rule),
        notes,
        available=available,
        dropped=dropped,
        flag_counts=(counts := flag_counts(tables)),
        flags_become=what_becomes(label_mode, label_rule) if counts else {},
    )


def _label_notes(
    split: str, table: Table, labelling: Labelling, label_mode: str, label_rule: str
) -> list[str]:
    """What users should know of a split's labels; DataError where no function has one."""
    notes = []
    if table.both:
        notes.append(f"{table.path.name}: the five CWE columns were used, its label column not.")
    n_rows, n_unflagged = len(labelling.labels), _n_left_out(labelling).get(NO_FLAG, 0)
    if n_unflagged:
        notes.append(
            f"{split}: {n_unflagged:,} of {counted(n_rows, 'function')} without a flag, dropped"
        )
    if not labelling.kept.any():
        wanted = "exactly one flag" if label_rule == "strict_single" else "a flag"
        raise DataError(
            f"{table.path.name} must hold functions of {', '.join(CWE_CLASSES)} for label_mode="
            f"{label_mode}, none of its {counted(n_rows, 'function')} has {wanted}."
        )
    return notes


def _n_left_out(labelling: Labelling) -> dict[str, int]:
    return {reason: int(rows.sum()) for reason, rows in labelling.left_out.items()}


def _with_text(
    split: str, columns: Columns, labelling: Labelling, notes: list[str]
) -> tuple[Functions, int]:
    """The functions that have a label and a text, and how many have a label alone."""
    texts, kept = columns.texts, labelling.kept
    labelled = kept[texts.rows]
    notes += reading_notes(split, texts.rows[labelled], texts.decoded_as[labelled])
    n_blank = int(kept.sum() - labelled.sum())
    if n_blank:
        notes.append(f"{split}: {counted(n_blank, 'function')} without any text, dropped")
    if not labelled.any():
        raise DataError(
            f"{columns.table.path.name} must hold functions, all {n_blank:,} texts are blank."
        )
    labels = labelling.labels[texts.rows]
    ids = _ids(split, texts.rows)
    every = Functions(ids, texts.sources, labels, texts.mapped, texts.digest)
    return (every if labelled.all() else every.take(np.flatnonzero(labelled))), n_blank


def _drawn(
    functions: Functions, task: LabelTask, subset: str | int, split: str, seed: Sequence[int]
) -> Functions:
    """The subset of a split; the whole of it is left where it lies."""
    if subset == "all":
        return functions
    return functions.take(choose(task.strata(functions.labels), subset, split, seed))


def _dropped(labelling: Labelling, n_blank: int, n_not_drawn: int) -> dict[str, int]:
    """By reason, the functions of a file that are not in its split."""
    return {
        NO_FLAG: 0,
        **_n_left_out(labelling),
        "no text": n_blank,
        NOT_DRAWN: n_not_drawn,
    }


def _subset_notes(
    split: str, functions: Functions, dropped: dict[str, int], task: LabelTask
) -> list[str]:
    """How many functions a subset leaves out, and the classes that have none in the split."""
    notes = []
    if dropped[NOT_DRAWN]:
        notes.append(f"{split}: {counted(dropped[NOT_DRAWN], 'function')} not in the subset")
    counts = task.class_counts(functions.labels)
    absent = [name for name, count in counts.items() if not count]
    if absent:
        notes.append(f"{split}: no function of {', '.join(absent)}")
    return notes


def _ids(split: str, rows: np.ndarray) -> np.ndarray:
    # The last row is the longest. numpy would take 21 characters for any int64, 84 bytes a row.
    width = len(f"{split}/{rows[-1]}")
    ids: np.ndarray = np.char.add(f"{split}/", rows.astype(np.str_)).astype(f"U{width}")
    return ids


def _framed(text: str) -> bytes:
    """A text with its length before it, so that no two lists of texts look alike."""
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded
