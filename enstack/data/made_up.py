"""Functions that nobody wrote for use: the mark in their folder, and how it is told."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

MARK = "MADE_UP.txt"
MARK_TEXT = """The functions in this folder are made up: `enstack toy` wrote them. What is trained
on them, or measured, says nothing of real code. Runs and audits tell that while this file is here.
"""
MADE_UP_NOTE = (
    "The functions are made up: the figures show that everything works, and say nothing of real "
    "code."
)


def is_made_up(data_dir: str) -> bool:
    """Whether a setting data_dir means made-up functions."""
    return data_dir == "toy" or (Path(data_dir) / MARK).is_file()


def says_made_up(data_dir: object, notes: Collection[str]) -> bool:
    """Whether a run's own record says so, wherever its data lies now."""
    # Older runs of the toy data have no note.
    return data_dir == "toy" or MADE_UP_NOTE in notes
