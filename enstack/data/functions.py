"""From the files of a folder to functions with their labels: what is read, and what is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enstack.config.label_modes import label_mode_fault
from enstack.counting import counted
from enstack.data.column_cache import Columns, Texts, batches_of, read_columns
from enstack.data.csv_tables import backslash_notes
from enstack.data.known_labels import known_labels, require_one_reading
from enstack.data.labels import (
    CWE_CLASSES,
    NO_FLAG,
    Labelling,
    flag_counts,
    label_functions,
    label_notes,
    what_becomes,
)
from enstack.data.readings import AS_FOUND, Asked, sources_of
from enstack.data.split_files import WHOLE
from enstack.data.strangers import unchanged
from enstack.data.subsets import NOT_DRAWN, choose, shortages
from enstack.data.table import Table
from enstack.data.texts import reading_notes
from enstack.data.vulnerability_data import HASH_ROWS, Functions, VulnerabilityData
from enstack.errors import ConfigError, DataError
from enstack.metrics.label_task import LabelTask

__all__ = [
    "Functions",
    "VulnerabilityData",
    "labelled",
    "read_data",
    "read_tables",
]


def read_data(
    place: Path,
    *,
    label_mode: str = "cwe",
    label_rule: str = "priority",
    min_functions_per_cwe: int = 100,
    subset: str | int = "all",
    seed: int = 42,
    asked: Asked = AS_FOUND,
    keep_clean: bool = False,
    cache_dir: Path | None = None,
) -> VulnerabilityData:
    """Read the splits of a folder and give every function one class, or its flags.

    A table without splits is one split, "all".

    The other settings are those of RunConfig, which checks them; see read_tables for place, asked
    and cache_dir. keep_clean: of label_mode=auto, leave no clean function out. Raises DataError for
    data that can't be used.
    """
    return labelled(
        read_tables(Path(place), asked, cache_dir),
        label_mode=label_mode,
        label_rule=label_rule,
        min_functions_per_cwe=min_functions_per_cwe,
        subset=subset,
        seed=seed,
        keep_clean=keep_clean,
    )


def read_tables(
    place: Path, asked: Asked = AS_FOUND, cache_dir: Path | None = None
) -> dict[str, Columns]:
    """The columns of each split of a folder, or under "all" those of a table without splits.

    place: a folder or one file, as docs/data.md lists them. cache_dir: where the columns are kept,
    for any label mode and subset, so that the next read is quick and texts need no memory; None
    reads them into memory. Raises DataError for what can't be read, or in two ways.
    """
    sources = sources_of(place, asked)
    with unchanged([path for source in sources.values() for path in source.paths]):
        columns = {split: read_columns(source, cache_dir) for split, source in sources.items()}
    require_one_reading({split: one.table for split, one in columns.items()})
    return columns


def labelled(
    read: Mapping[str, Columns],
    *,
    label_mode: str,
    label_rule: str = "priority",
    min_functions_per_cwe: int = 100,
    subset: str | int = "all",
    seed: int = 42,
    keep_clean: bool = False,
) -> VulnerabilityData:
    """The functions of columns that were read, with the labels that a label mode gives them."""
    known = known_labels(
        {split: columns.table for split, columns in read.items()},
        label_mode,
        label_rule,
        min_functions_per_cwe,
        keep_clean=keep_clean,
    )
    # RunConfig has asked it of the mode that was named, and `auto` is known only now.
    if fault := label_mode_fault(known.mode, label_rule, subset):
        raise ConfigError(f"By the labels of the data, {fault}.")
    tables, label_mode, task = known.tables, known.mode, known.task
    notes = [*known.notes, *label_notes(tables, label_mode, label_rule)]
    dropped: dict[str, dict[str, int]] = {}
    available: dict[str, dict[str, int]] = {}
    splits: dict[str, Functions] = {}
    for number, (split, columns) in enumerate(read.items()):
        texts = columns.texts
        batches = batches_of(texts.sources, HASH_ROWS, texts.mapped)
        notes += backslash_notes(columns.table.path, batches)
        labelling = label_functions(tables[split], label_mode, label_rule, known.classes)
        notes += _label_notes(split, tables[split], labelling, label_mode, label_rule)
        functions, n_blank = _with_text(split, columns, labelling, notes)
        available[split] = task.class_counts(functions.labels)
        notes += shortages(available[split], len(functions), subset, split)
        # A stream for each split: the size of one moves no draw of another.
        splits[split] = _drawn(functions, task, subset, split, [seed, number])
        dropped[split] = _dropped(labelling, n_blank, len(functions) - len(splits[split]))
        notes += _subset_notes(split, splits[split], dropped[split], task)
    first = next(iter(splits))
    # Of train alone: a class that validation or test lacks is worth a note, no more.
    task.require_two_sides(
        splits[first].labels,
        "The table" if first == WHOLE else "The training split",
        "Choose another label_mode, label_rule or subset.",
    )
    return VulnerabilityData(
        splits,
        task.class_names,
        label_mode,
        known.sentence,
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
    rows = columns.table.row_in_files(texts.rows)
    notes += reading_notes(split, rows[labelled], texts.decoded_as[labelled])
    n_blank = int(kept.sum() - labelled.sum())
    if n_blank:
        notes.append(f"{split}: {counted(n_blank, 'function')} without any text, dropped")
    if not labelled.any():
        raise DataError(
            f"{columns.table.path.name} must hold functions, all {n_blank:,} texts are blank."
        )
    labels = labelling.labels[texts.rows]
    ids = _ids(WHOLE if columns.table.divided else split, rows)
    groups = columns.table.groups
    if groups is not None and len(texts.rows) < len(groups):
        groups = groups.take(pa.array(texts.rows))
    marked = _flaw_lines(split, texts, labelled, notes)
    every = Functions(ids, texts.sources, labels, texts.mapped, texts.digest, groups, marked)
    return (every if labelled.all() else every.take(np.flatnonzero(labelled))), n_blank


def _flaw_lines(
    split: str, texts: Texts, labelled: np.ndarray, notes: list[str]
) -> pa.Array | None:
    """The marked lines of each text, after a note on how many have some."""
    marked = texts.flaw_lines
    if marked is None:
        return None
    sizes = pc.list_value_length(marked).fill_null(0).to_numpy(zero_copy_only=False)
    n_marked, n_lost = (
        int((sizes[labelled] > 0).sum()),
        marked.filter(pa.array(labelled)).null_count,
    )
    if n_marked:
        notes.append(f"{split}: {counted(n_marked, 'function')} with lines marked as the flaw")
    if n_lost:
        notes.append(
            f"{split}: {counted(n_lost, 'function')} whose marked lines are none of the text's, "
            "left unmarked"
        )
    return pa.ListArray.from_arrays(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), marked.flatten()
    )


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
