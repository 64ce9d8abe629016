"""Weaknesses by their CWE numbers: read from any spelling, and rolled up to MITRE's parents."""

from __future__ import annotations

import csv
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from enstack.data.formats import CWE_COLUMNS

__all__ = ["OTHER", "VIEW", "ancestry", "class_of_vdisc", "cwes_of", "in_order", "rolled_up"]

OTHER = CWE_COLUMNS[-1]  # CWE-other
# Where the table of parents comes from; it goes into the notes of a run.
VIEW = "MITRE's CWE 4.14, view 1000"
NUMBER = re.compile(r"CWE[-_ ]?(\d{1,5})\b", re.IGNORECASE)
OTHER_WORD = re.compile(r"(?:NVD-)?CWE-other", re.IGNORECASE)


def cwes_of(value: Any) -> list[str]:
    """The weaknesses that a value names, each once, as in "CWE-787": a list, or a text of some.

    A number alone counts as well. What the NVD calls "noinfo" is none.
    """
    if value is None or value != value:
        return []
    if isinstance(value, bytes):
        return _cwes_of_text(value.decode("latin-1"))
    if isinstance(value, (list, tuple)):
        return list(dict.fromkeys(name for one in value for name in cwes_of(one)))
    return _cwes_of_text(str(value))


@functools.lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[str, ...]:
    if re.fullmatch(r"\s*\d{1,5}(?:\.0*)?\s*", text):
        return (f"CWE-{int(float(text))}",)
    found = [f"CWE-{int(number)}" for number in NUMBER.findall(text)]
    return tuple(dict.fromkeys([*found, *([OTHER] if OTHER_WORD.search(text) else ())]))


def _cwes_of_text(text: str) -> list[str]:
    return list(_numbers(text))


@functools.cache
def _parents() -> dict[str, str]:
    """The primary parent of each weakness in view 1000."""
    text = (files("enstack.data") / "cwe_view_1000.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {f"CWE-{row['weakness']}": f"CWE-{row['parent']}" for row in rows}


def ancestry(cwe: str) -> list[str]:
    """A weakness, its parent, and so on to the top."""
    line = [cwe]
    while parent := _parents().get(line[-1]):
        line.append(parent)
    return line


@functools.lru_cache(maxsize=4096)
def class_of_vdisc(cwe: str) -> str:
    """Of VDISC's five classes the nearest that a weakness is, or is a kind of; else CWE-other."""
    return next((name for name in ancestry(cwe) if name in CWE_COLUMNS), OTHER)


def rolled_up(counts: Mapping[str, int], at_least: int) -> dict[str, str]:
    """The class of each weakness: itself, or the nearest parent with enough functions.

    counts: functions by weakness. A weakness with fewer than at_least is counted as its parent,
    the deepest first; without one it is CWE-other.
    """
    n_functions, becomes = Counter(counts), {}
    # Deepest first: what a parent gets from its children counts when its own turn comes.
    while few := [name for name in n_functions if name != OTHER and n_functions[name] < at_least]:
        name = max(few, key=lambda one: (len(ancestry(one)), one))
        becomes[name] = _parents().get(name, OTHER)
        n_functions[becomes[name]] += n_functions.pop(name)
    return {name: _end(name, becomes) for name in counts}


def _end(name: str, becomes: Mapping[str, str]) -> str:
    while name in becomes:
        name = becomes[name]
    return name


def in_order(names: Iterable[str]) -> list[str]:
    """Weaknesses by their numbers, CWE-other last."""
    return sorted(names, key=lambda name: (name == OTHER, int(name[4:]) if name != OTHER else 0))
