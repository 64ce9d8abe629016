"""Functions that are compared otherwise than they stand: counted and named, split by split."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enstack.counting import counted
from enstack.data.functions import Functions, VulnerabilityData
from enstack.duplicates.lexer import LONGEST, comment_kept_from

__all__ = ["comparison_notes"]

FUNCTIONS_AT_ONCE = 4096
N_NAMED = 3
# As the lexer's own SEVERAL_LINES, in the syntax of Arrow, which stops at a text's first match.
SEVERAL_LINES = r"[^\s]\s*[\r\n]\s*[^\s]"


def comparison_notes(data: VulnerabilityData) -> list[str]:
    """What a comparison of functions makes of some texts, one line for each kind and split."""
    notes = []
    for split, functions in data.splits.items():
        if rows := _rows(functions, _with_hidden_code):
            notes.append(
                f"{split}: {_named(functions, rows)} on one line with // inside, where a comment's "
                "end is lost: duplicates are looked for with its text kept"
            )
        if rows := _rows(functions, _too_long):
            notes.append(
                f"{split}: {_named(functions, rows)} longer than {LONGEST:,} characters: "
                "duplicates are looked for in so many, and models read max_length tokens"
            )
    return notes


def _rows(functions: Functions, which: Callable[[pa.Array], np.ndarray]) -> list[int]:
    """The rows for which a question about a batch of texts has the answer yes."""
    rows: list[int] = []
    for number, batch in enumerate(functions.batches(FUNCTIONS_AT_ONCE)):
        rows += (number * FUNCTIONS_AT_ONCE + np.flatnonzero(which(batch))).tolist()
    return rows


def _with_hidden_code(batch: pa.Array) -> np.ndarray:
    # Nearly no text is left for Python: of those with several lines, Arrow reads the first alone.
    one_line = pc.invert(pc.match_substring_regex(batch, SEVERAL_LINES))
    asked = np.flatnonzero(pc.and_(one_line, pc.match_substring(batch, "//")))
    hidden = np.zeros(len(batch), dtype=np.bool_)
    hidden[asked] = [comment_kept_from(batch[int(row)].as_py()) is not None for row in asked]
    return hidden


def _too_long(batch: pa.Array) -> np.ndarray:
    # Bytes are known without reading; no text has more characters than bytes.
    long = np.flatnonzero(pc.greater(pc.binary_length(batch), LONGEST))
    too_long = np.zeros(len(batch), dtype=np.bool_)
    too_long[long] = [pc.utf8_length(batch[int(row)]).as_py() > LONGEST for row in long]
    return too_long


def _named(functions: Functions, rows: list[int]) -> str:
    names = ", ".join(str(functions.ids[row]) for row in islice(rows, N_NAMED))
    more = ", ..." if len(rows) > N_NAMED else ""
    return f"{counted(len(rows), 'function is', 'functions are')} ({names}{more})"
