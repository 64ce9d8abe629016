"""Functions with their labels: label modes, splits, subsets, stratified parts, fingerprint."""

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

from enstack.errors import ConfigError, DataError
from enstack.readers import CWE_COLUMNS, SPLITS, Table, split_files
from enstack.stored import Columns, batches_of, digest_of, read_columns, release

__all__ = [
    "CLASS_NAMES",
    "CWE_CLASSES",
    "PAPER_COUNTS",
    "SPLITS",
    "Functions",
    "VulnerabilityData",
    "read_data",
    "stratified_parts",
]

CWE_CLASSES = CWE_COLUMNS
CLASS_NAMES = {
    "cwe": CWE_CLASSES,
    "cwe_or_clean": (*CWE_CLASSES, "clean"),
    "binary": ("clean", "vulnerable"),
}
# EnStack (arXiv 2411.16561), table of the data: functions per class in the order of CWE_CLASSES.
PAPER_COUNTS = {
    "train": (5942, 5777, 249, 2755, 5582),
    "validation": (1142, 1099, 53, 535, 1071),
    "test": (1142, 1099, 53, 535, 1071),
}
PRIORITY = " > ".join(CWE_CLASSES)
DROPPED = -1
HASH_ROWS = 65536


@dataclass(frozen=True)
class Functions:
    """The functions of one split, row by row.

    ids: (n,) unicode, the split and the 0-based row in its file, as in "train/17"; a function
    keeps its id through every selection. sources: (n,) pyarrow large_string. labels: (n,) int64,
    indices into the class names. mapped: the file behind the sources where they are not in memory;
    known_digest: theirs, where it was stored with them.
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

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over class names and every split's ids, labels and sources, as hex.

        The same functions have the same fingerprint, whatever the format of their files.
        """
        digest = hashlib.sha256(_framed("\n".join(self.class_names)))
        for name, functions in self.splits.items():
            digest.update(_framed(name) + len(functions).to_bytes(8, "little"))
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
                name: _counts(split, self.class_names) for name, split in self.splits.items()
            },
            "available": self.available,
            "dropped": self.dropped,
            "notes": list(self.notes),
        }


def _counts(functions: Functions, class_names: Sequence[str]) -> dict[str, int]:
    """Functions of each class."""
    counts = np.bincount(functions.labels, minlength=len(class_names))
    return {name: int(count) for name, count in zip(class_names, counts, strict=True)}


def read_data(
    folder: Path,
    *,
    label_mode: str = "cwe",
    subset: str | int = "all",
    seed: int = 42,
    cache_dir: Path | None = None,
) -> VulnerabilityData:
    """Read the three splits of a folder and give every function one class.

    Folder: VDISC_{train,validate,test}.hdf5, or {train,validation,test} as .jsonl, .csv or
    .parquet. cache_dir: where the columns are kept, for any label mode and subset, so that the next
    read is quick and texts need no memory; None reads them into memory. Raises DataError for data
    that can't be used, ConfigError for wrong settings.
    """
    class_names = _class_names(label_mode)
    _require_subset(subset, label_mode)
    files = split_files(Path(folder))
    tables: dict[str, Table] = {}
    notes: list[str] = []
    dropped: dict[str, dict[str, int]] = {}
    available: dict[str, dict[str, int]] = {}
    splits: dict[str, Functions] = {}
    for number, (split, path) in enumerate(files.items()):
        columns = read_columns(path, cache_dir)
        tables[split] = columns.table
        functions, dropped[split] = _read_split(split, columns, label_mode, notes)
        available[split] = _counts(functions, class_names)
        splits[split] = _subset(functions, subset, split, class_names, [seed, number], notes)
        n_left_out = len(functions) - len(splits[split])
        dropped[split]["not in the subset"] = n_left_out
        if n_left_out:
            notes.append(f"{split}: {n_left_out:,} functions are not in the subset")
        _note_absent_classes(split, splits[split], class_names, notes)
    _require_two_classes(splits["train"], class_names)
    return VulnerabilityData(
        splits,
        class_names,
        label_mode,
        _label_rule(tables, label_mode),
        notes,
        available=available,
        dropped=dropped,
    )


def stratified_parts(labels: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """The part (n,) int64 of each row: every class, and the whole, spread as evenly as possible.

    Part sizes differ by at most one, and so do the parts of each class. Rows are dealt class by
    class, in shuffled order, to the parts in turn.
    """
    random = np.random.RandomState(seed)
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    parts = np.empty(len(labels), dtype=np.int64)
    parts[by_class] = random.permutation(n_parts)[np.arange(len(labels)) % n_parts]
    return parts


def _class_names(label_mode: str) -> tuple[str, ...]:
    if label_mode not in CLASS_NAMES:
        raise ConfigError(
            f"label_mode must be one of {', '.join(CLASS_NAMES)}, found {label_mode!r}."
        )
    return CLASS_NAMES[label_mode]


def _require_subset(subset: str | int, label_mode: str) -> None:
    if subset == "paper" and label_mode != "cwe":
        raise ConfigError(
            f"subset=paper must go with label_mode=cwe (the paper has no clean class), "
            f"found label_mode={label_mode}."
        )
    whole = isinstance(subset, int) and not isinstance(subset, bool) and subset >= 1
    if not whole and subset not in ("all", "paper"):
        raise ConfigError(f"subset must be all, paper or a number from 1, found {subset!r}.")


def _read_split(
    split: str, columns: Columns, label_mode: str, notes: list[str]
) -> tuple[Functions, dict[str, int]]:
    """The functions of one file that have a class and a text, and how many have not, by reason."""
    table = columns.table
    if table.both:
        notes.append(f"{table.path.name}: the five CWE columns were used, its label column not.")
    labels = _labels(table, label_mode)
    n_unflagged = int((labels == DROPPED).sum())
    if n_unflagged:
        notes.append(f"{split}: {n_unflagged:,} of {len(labels):,} functions have no flag, dropped")
    if n_unflagged == len(labels):
        raise DataError(
            f"{table.path.name} must hold functions of {', '.join(CWE_CLASSES)} for label_mode="
            f"{label_mode}, none of its {len(labels):,} functions has a flag."
        )
    _note_several_flags(split, table, label_mode, notes)
    _note_two_numbers(split, table, label_mode, notes)
    functions = _with_text(split, columns, labels, notes)
    n_blank = len(labels) - n_unflagged - len(functions)
    return functions, {"no flag": n_unflagged, "no text": n_blank}


def _labels(table: Table, label_mode: str) -> np.ndarray:
    """The class (n,) int64 of each row, DROPPED where the label mode has none."""
    if table.flags is None:
        return _named_labels(table, CLASS_NAMES[label_mode])
    vulnerable = table.flags.any(axis=1)
    if label_mode == "binary":
        return np.asarray(vulnerable, dtype=np.int64)
    # argmax: the first flag that is set.
    unflagged = DROPPED if label_mode == "cwe" else len(CWE_CLASSES)
    labels = np.asarray(table.flags.argmax(axis=1), dtype=np.int64)
    labels[~vulnerable] = unflagged
    return labels


def _named_labels(table: Table, class_names: Sequence[str]) -> np.ndarray:
    known = {name: index for index, name in enumerate(class_names)}
    known |= {str(index): index for index in range(len(class_names))}
    values = table.labels if table.labels is not None else ()
    labels = np.fromiter((known.get(_label_word(value), DROPPED) for value in values), np.int64)
    bad = np.flatnonzero(labels == DROPPED)
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


def _with_text(split: str, columns: Columns, labels: np.ndarray, notes: list[str]) -> Functions:
    """The functions that have a class and a text; labels: (n_rows,), DROPPED for those without."""
    texts = columns.texts
    labelled = labels[texts.rows] != DROPPED
    n_latin = int((labelled & texts.decoded_otherwise).sum())
    if n_latin:
        notes.append(f"{split}: {n_latin:,} functions are not UTF-8 and were read as latin-1")
    n_blank = int((labels != DROPPED).sum() - labelled.sum())
    if n_blank:
        notes.append(f"{split}: {n_blank:,} functions without any text, dropped")
    if not labelled.any():
        raise DataError(
            f"{columns.table.path.name} must hold functions, all {n_blank:,} texts are blank."
        )
    every = Functions(
        _ids(split, texts.rows), texts.sources, labels[texts.rows], texts.mapped, texts.digest
    )
    return every if labelled.all() else every.take(np.flatnonzero(labelled))


def _ids(split: str, rows: np.ndarray) -> np.ndarray:
    width = len(f"{split}/{rows[-1]}")
    ids: np.ndarray = np.char.add(f"{split}/", rows.astype(np.str_)).astype(f"U{width}")
    return ids


def _n_several(table: Table) -> int:
    return 0 if table.flags is None else int((table.flags.sum(axis=1) > 1).sum())


def _note_several_flags(split: str, table: Table, label_mode: str, notes: list[str]) -> None:
    n_several = _n_several(table)
    if n_several and label_mode != "binary":
        notes.append(f"{split}: {n_several:,} functions have several flags, the first of them won")


def _note_two_numbers(split: str, table: Table, label_mode: str, notes: list[str]) -> None:
    """Labels of 0 and 1 mostly mean clean and vulnerable, and read as the first two classes."""
    if label_mode == "binary" or table.labels is None:
        return
    if {_label_word(value) for value in table.labels} == {"0", "1"}:
        first, second = CLASS_NAMES[label_mode][:2]
        notes.append(
            f"⚠️  {split}: labels are 0 and 1 alone, read as {first} and {second}; if 1 means "
            "vulnerable, use label_mode=binary"
        )


def _label_rule(tables: dict[str, Table], label_mode: str) -> str:
    """How functions got their class, with the number of those that had several flags."""
    flagged = [table for table in tables.values() if table.flags is not None]
    if not flagged:
        return "The class is what the label column says."
    if label_mode == "binary":
        return "A function with any of the five CWE flags is vulnerable, one without is clean."
    n_several = sum(_n_several(table) for table in flagged)
    n_vulnerable = sum(int(t.flags.any(axis=1).sum()) for t in flagged if t.flags is not None)
    unflagged = "dropped" if label_mode == "cwe" else "clean"
    return (
        f"A function with several flags takes the first of {PRIORITY} ({n_several:,} of "
        f"{n_vulnerable:,} vulnerable functions read); one without any flag is {unflagged}."
    )


def _subset(
    functions: Functions,
    subset: str | int,
    split: str,
    class_names: Sequence[str],
    seed: Sequence[int],
    notes: list[str],
) -> Functions:
    """A seeded choice of functions in file order; asked for more than there are, it says so."""
    if subset == "all":
        return functions
    available = np.bincount(functions.labels, minlength=len(class_names))
    if subset == "paper":
        wanted = np.array(PAPER_COUNTS[split])
        for name, want, have in zip(class_names, wanted, available, strict=True):
            if have < want:
                notes.append(
                    f"{split}: {name} has {have:,} functions, the paper's count is {want:,}"
                )
    else:
        wanted = _shares(available, int(subset))
        if len(functions) < int(subset):
            notes.append(f"{split}: has {len(functions):,} functions, subset asks for {subset:,}")
    return functions.take(_choice(functions.labels, wanted, seed))


def _shares(available: np.ndarray, n_rows: int) -> np.ndarray:
    """How many of each class make n_rows: in proportion, one at least of each while they last."""
    n_rows = min(n_rows, int(available.sum()))
    exact = available * n_rows / available.sum()
    shares: np.ndarray = np.minimum(np.maximum(exact.astype(np.int64), 1), available)
    while shares.sum() != n_rows:
        over = shares.sum() > n_rows
        # A class gives up its only row last.
        spare = shares > min(1, int(shares.max()) - 1)
        distance = np.where(spare, shares - exact, -np.inf) if over else exact - shares
        shares[distance.argmax()] += -1 if over else 1
    return shares


def _choice(labels: np.ndarray, wanted: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Rows (m,), sorted: a random choice of `wanted` functions of each class."""
    # RandomState: its stream is frozen, so a subset is the same under every NumPy.
    random = np.random.RandomState(seed)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in enumerate(wanted)
    ]
    return np.sort(np.concatenate(chosen))


def _note_absent_classes(
    split: str, functions: Functions, class_names: Sequence[str], notes: list[str]
) -> None:
    present = set(functions.labels.tolist())
    absent = [name for index, name in enumerate(class_names) if index not in present]
    if absent:
        notes.append(f"{split}: no function of {', '.join(absent)}")


def _require_two_classes(train: Functions, class_names: Sequence[str]) -> None:
    found = np.unique(train.labels)
    if len(found) < 2:
        raise DataError(
            f"The training split must hold at least two classes, all of its {len(train):,} "
            f"functions are {class_names[found[0]]}. Choose another label_mode or subset."
        )


def _framed(text: str) -> bytes:
    """A text with its length before it, so that no two lists of texts look alike."""
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded
