"""What the values of a column are: functions, labels, or something else that is told by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["what_labels_are", "what_texts_are"]

# A call or a body; parentheses alone stand in messages too.
CODE = re.compile(r"\)\s*\{|;\s*\}|;\s*$|\w\s*\([^()]*\)\s*;", re.MULTILINE)
# How a commit message, a patch and VulRepair's pairs begin.
PATCH = re.compile(r"\A(?:diff --git|@@ -\d|--- a/)|^@@ -\d+(?:,\d+)? \+\d", re.MULTILINE)
LONGEST_LABEL = 200  # characters: twenty weaknesses are shorter


def what_texts_are(values: Sequence[Any]) -> str:
    """What is at fault with values that should be functions, in words; empty for nothing."""
    told = [value for value in values if not _is_blank(value)]
    for value in told[:1]:
        if isinstance(value, (list, tuple)):
            return f"it holds lists, such as tokens, found {value!r:.40}"
        if not isinstance(value, (str, bytes)):
            return f"it holds no text, found {value!r:.40}"
    texts = [_text(value) for value in told]
    if any(map(PATCH.search, texts[:50])):
        return "it holds patches"
    n_code = sum(CODE.search(text) is not None or "{" in text for text in texts)
    if texts and 2 * n_code < len(texts):
        return f"most of its texts are no code, found {texts[0]!r:.60}"
    return ""


def what_labels_are(values: Sequence[Any]) -> str:
    """What is at fault with values that should be labels, in words; empty for nothing."""
    for row, value in enumerate(values):
        if isinstance(value, dict):
            return f"row {row} has an object"
        if not isinstance(value, (str, bytes)):
            continue
        text = _text(value)
        if PATCH.search(text) or CODE.search(text):
            return f"row {row} has code"
        if len(text) > LONGEST_LABEL or "\n" in text.strip():
            return f"row {row} has a text of {len(text):,} characters"
    return ""


def _is_blank(value: Any) -> bool:
    return (
        value is None or value != value or (isinstance(value, (str, bytes)) and not value.strip())
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
