"""What the values of a column are: functions, labels, or something else that is told by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from enstack.counting import counted

__all__ = ["are_two_labels", "what_labels_are", "what_texts_are"]

# A call or a body; parentheses alone stand in messages too.
CODE = re.compile(r"\)\s*\{|;\s*\}|;\s*$|\w\s*\([^()]*\)\s*;", re.MULTILINE)
# How a commit message, a patch and VulRepair's pairs begin.
PATCH = re.compile(
    r"\A(?:diff --git|@@ -\d|--- a/)|^@@ -\d+(?:,\d+)? \+\d|<S2SV_Mod(?:Start|End)>", re.MULTILINE
)
BYTES = re.compile(r"b(['\"]).*\1", re.DOTALL)  # what str makes of bytes
MOST_LABELS = 100  # of one function
LONGEST_LABEL = 200  # characters: twenty weaknesses are shorter


def what_texts_are(values: Sequence[Any]) -> str:
    """What is at fault with values that should be functions, in words; empty for nothing."""
    told = {row: value for row, value in enumerate(values) if not _is_blank(value)}
    for row, value in told.items():
        if not isinstance(value, (str, bytes)):
            return f"row {row} has {_of_what_kind(value)}"
    texts = {row: _text(value) for row, value in told.items()}
    if patches := [row for row in list(texts)[:50] if PATCH.search(texts[row])]:
        return f"row {patches[0]} has a patch"
    if texts and all(BYTES.fullmatch(text) for text in texts.values()):
        return f"row {min(texts)} has bytes as Python shows them (b'...'): decode them first"
    no_code = [row for row, text in texts.items() if not CODE.search(text) and "{" not in text]
    if 2 * len(no_code) > len(texts):
        return f"most of its texts are no code, row {no_code[0]} has {_shown(texts[no_code[0]])}"
    return ""


def what_labels_are(values: Sequence[Any]) -> str:
    """What is at fault with values that should be labels, in words; empty for nothing."""
    for row, value in enumerate(values):
        if isinstance(value, dict):
            return f"row {row} has {_of_what_kind(value)}"
        if isinstance(value, (list, tuple)) and len(value) > MOST_LABELS:
            return f"row {row} has {_of_what_kind(value)}"
        if not isinstance(value, (str, bytes)):
            continue
        text = _text(value)
        if PATCH.search(text) or CODE.search(text):
            return f"row {row} has code"
        if len(text) > LONGEST_LABEL or "\n" in text.strip():
            return f"row {row} has a text of {len(text):,} characters"
    return ""


def are_two_labels(values: Sequence[Any]) -> bool:
    """Whether values are 0 and 1, or true and false, and both are there."""
    words = {
        _text(value).strip().lower() if isinstance(value, (str, bytes)) else str(value).lower()
        for value in values
        if not isinstance(value, (list, tuple, dict)) and not _is_blank(value)
    }
    return {word.removesuffix(".0") for word in words} in ({"0", "1"}, {"false", "true"})


def _of_what_kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a list of {counted(len(value), 'item')}, as of tokens: {_shown(value[:5])}"
    if isinstance(value, dict):
        return f"an object of {', '.join(str(key)[:20] for key in islice(value, 4)) or 'nothing'}"
    return f"no text, found {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_blank(value: Any) -> bool:
    return (
        value is None or value != value or (isinstance(value, (str, bytes)) and not value.strip())
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
