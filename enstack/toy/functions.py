"""Toy data in the shape of Draper VDISC, and three tiny base models: all made offline.

The functions are written here, from templates. What makes one vulnerable is mostly a relation:
the bound of a copy and the size of its buffer, a check before or after the use, two pointers into
one array or into two. Safe blocks of every kind stand in every class.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import h5py
import numpy as np

from enstack.data.labels import CWE_CLASSES
from enstack.data.split_files import FLAW_LINES, VDISC_NAMES
from enstack.storage.files import write_bytes, write_text
from enstack.storage.json_text import json_text
from enstack.toy.templates import BLOCKS, COMMENTS, FILLERS

TOY_EDITION = 3  # raise when what is written changes, so that no cached copy of old ones is used
TOY_SIZES = {"train": 600, "validation": 240, "test": 240}
LABEL_NOISE = 0.04  # share of functions with a wrong class, as tools that label are wrong at times
AHEAD = 2  # lines of a function before its body: the head and the brace
SHARE_LONG = 0.015  # share of functions longer than most models read
# Share of each class among functions, in the order of CWE_CLASSES; the rest is clean.
CLASS_SHARES = (0.20, 0.18, 0.08, 0.15, 0.17)


VERBS = ("read", "parse", "copy", "get", "set", "open", "update", "send", "load", "scan")
# Functions of one class tend to do the same kind of work.
USUAL_VERBS = {
    "CWE-119": "read",
    "CWE-120": "copy",
    "CWE-469": "scan",
    "CWE-476": "get",
    "CWE-other": "open",
    "clean": "set",
}
USUAL = 0.3  # share of functions with their class's usual verb
NOUNS = ("header", "packet", "name", "entry", "frame", "option", "table", "record", "path", "key")
POOLS = {
    "b": ("buf", "tmp", "line", "data", "dest", "out", "cache", "field"),
    "p": ("cur", "ptr", "head", "item", "first", "res"),
    "q": ("end", "last", "tail", "pos", "other"),
    "i": ("i", "j", "n", "len", "idx", "pos", "cnt"),
}
BUFFER_SIZES = (16, 32, 48, 64, 100, 128, 256)


class _MadeUp(NamedTuple):
    """A function's text, the classes it is labelled with, and its flawed lines, from 1."""

    source: str
    flags: set[str]
    flaw_lines: list[int]


def write_toy_data(folder: Path, *, seed: int = 42, sizes: Mapping[str, int] = TOY_SIZES) -> Path:
    """Write three VDISC_*.hdf5 files of made-up functions, byte for byte the same for a seed.

    And the lines of their flaws, which labels that are wrong do not change.
    """
    random, marks = Random(seed), list[str]()
    for split, size in sizes.items():
        functions = [_function(random, name) for name in _class_of_each(random, size)]
        write_bytes(folder / f"{VDISC_NAMES[split]}.hdf5", _vdisc_bytes(functions))
        marks += _marks(split, functions)
    write_text(folder / f"{FLAW_LINES}.jsonl", "".join(marks))
    return folder


def _marks(split: str, functions: list[_MadeUp]) -> Iterator[str]:
    """The lines of flaw_lines.jsonl for a split."""
    for row, function in enumerate(functions):
        if function.flaw_lines:
            yield f"{json_text({'split': split, 'row': row, 'lines': function.flaw_lines})}\n"


def _vdisc_bytes(functions: list[_MadeUp]) -> bytes:
    """An HDF5 file as VDISC has them: five boolean columns and variable-length UTF-8."""
    file = io.BytesIO()
    with h5py.File(file, "w") as hdf5:
        for name in CWE_CLASSES:
            hdf5[name] = np.array([name in one.flags for one in functions], dtype=bool)
        sources = np.array([one.source.encode() for one in functions], dtype=object)
        hdf5.create_dataset("functionSource", data=sources, dtype=h5py.string_dtype())
    return file.getvalue()


def _class_of_each(random: Random, size: int) -> list[str]:
    """A class for each function of a split, in the shares above, shuffled."""
    names = [
        name
        for name, share in zip(CWE_CLASSES, CLASS_SHARES, strict=True)
        for _ in range(round(size * share))
    ]
    # Cut: rounded up, the shares may come to a function more than there are.
    names = [*names, *["clean"] * size][:size]
    random.shuffle(names)
    return names


def _function(random: Random, name: str) -> _MadeUp:
    """One function; name is its class."""
    unsafe = {name} - {"clean"}
    # Several flags occur in VDISC, and the rules for them must have something to do.
    if unsafe and random.random() < 1 / 6:
        unsafe.add(random.choice(CWE_CLASSES))
    verb = USUAL_VERBS[name] if random.random() < USUAL else random.choice(VERBS)
    # Sorted: a set of texts has another order in each process, and a seed gives the same bytes.
    source, flaw_lines = _source(random, verb, sorted(unsafe))
    return _MadeUp(source, _noisy(random, unsafe), flaw_lines)


def _noisy(random: Random, flags: set[str]) -> set[str]:
    if random.random() >= LABEL_NOISE:
        return flags
    others = [name for name in (*CWE_CLASSES, "clean") if name not in flags]
    return {random.choice(others)} - {"clean"}


def _source(random: Random, verb: str, unsafe: list[str]) -> tuple[str, list[int]]:
    """The text of a function with these flaws, among safe blocks of any kind, and their lines."""
    kinds = [(kind, True) for kind in unsafe for _ in range(random.choice((1, 2)))]
    n_more = random.randint(25, 40) if random.random() < SHARE_LONG else random.randint(1, 3)
    kinds += [(random.choice(CWE_CLASSES), False) for _ in range(max(1, n_more - len(unsafe)))]
    random.shuffle(kinds)
    source, declared = random.choice(("ctx", "req", "dev", "msg")), ["int total = 0;"]
    done: list[tuple[str, int | None]] = []
    for number, (kind, is_unsafe) in enumerate(kinds):
        block, names = random.choice(BLOCKS[kind]), _names(random, source, number)
        declared.append(block.declare.format(**names))
        text = (block.unsafe if is_unsafe else block.safe).format(**names)
        done.append((text, block.flaw_line if is_unsafe else None))
        if random.random() < 0.5:
            done.append((random.choice(FILLERS).format(**names), None))
    if random.random() < 0.5:
        done.insert(random.randrange(len(done) + 1), (random.choice(COMMENTS), None))
    return _written(random, verb, source, declared, done)


def _names(random: Random, source: str, number: int) -> dict[str, str]:
    size = random.choice(BUFFER_SIZES)
    # Numbered: two blocks of a function must not declare the same name.
    names = {
        key: random.choice(pool) + (str(number) if number else "") for key, pool in POOLS.items()
    }
    return {
        **names,
        "s": source,
        "n": str(size),
        "k": str(size - random.choice((1, 4, 8))),
        "m": str(size + random.choice((8, 16, 64))),
    }


def _written(
    random: Random, verb: str, source: str, declared: list[str], done: list[tuple[str, int | None]]
) -> tuple[str, list[int]]:
    """A whole function from its name on: VDISC strips the return type; and its flawed lines.

    done: pieces of code, each with the line of its flaw, from 0, where it has one.
    """
    name = f"{verb}_{random.choice(NOUNS)}"
    lines, flaw_lines = "\n".join(declared).split("\n"), []
    for text, flaw in done:
        if flaw is not None:
            flaw_lines.append(AHEAD + len(lines) + flaw + 1)
        lines += text.split("\n")
    body = "\n".join(f"    {line}" for line in [*lines, "return total;"])
    return f"{name}(struct {random.choice(NOUNS)} *{source})\n{{\n{body}\n}}\n", flaw_lines
