"""Lines that a data set marks as the flaw of a function, whatever way it writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from enstack.data.other_names import plain
from enstack.storage.json_text import parsed_json

__all__ = ["Mark", "counted_from", "in_numbers", "marks_of", "with_texts"]

COUNTED_FROM_0 = ("flawlineindex",)  # Big-Vul's convention; other columns count from 1
BETWEEN = "/~/"  # the lines of LineVul's flaw_line
NUMBERS = re.compile(r"\d{1,7}(?:\.0*)?(?:\s*[,; ]\s*\d{1,7}(?:\.0*)?)*")
HUNK = re.compile(r"^@@ -(\d+)", re.MULTILINE)
# What holds the lines before the fix, in a row that has those after it too.
BEFORE = ("deleted", "deleted_lines")
WORD = re.compile(r"\w")


class Mark(NamedTuple):
    """One marked line: its number as the file counts, its text, or both."""

    number: int | None
    text: str | None


def counted_from(column: str) -> int:
    """The number of the first line, 0 or 1, in a column by that name."""
    return 0 if plain(column) in COUNTED_FROM_0 else 1


def marks_of(value: Any) -> list[Mark]:
    """The marks that a value holds: numbers, lines, both in pairs or objects, or a diff.

    Of what was before a fix and what came after it, the first.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, (list, tuple)):
        if _is_pair(value):
            return [Mark(int(value[0]), value[1])]
        return [mark for one in value for mark in marks_of(one)]
    whole = _is_number(value) and value == int(value)
    return [Mark(int(value), None)] if whole else []


def with_texts(marks: list[Mark], texts: Any) -> list[Mark]:
    """The marks with the lines that another column has for them, where there are as many."""
    listed = marks_of(texts)
    if len(listed) != len(marks):
        return marks
    return [Mark(mark.number, one.text) for mark, one in zip(marks, listed, strict=True)]


def in_numbers(source: str, marks: Sequence[Mark], first: int) -> list[int]:
    """The marked lines of a function by their numbers from 1, sorted; none where nothing fits.

    first: the number of the first line as the file counts. Where it gives lines beside their
    numbers, these decide: the other way of counting is tried, and then the texts alone.
    """
    lines = [line.strip() for line in source.split("\n")]
    numbered = [mark for mark in marks if mark.number is not None]
    told = any(mark.text is not None for mark in numbered)
    for start in (first, 1 - first) if told else (first,):
        places = {_place(lines, mark, start) for mark in numbered}
        if places and None not in places:
            return sorted(place + 1 for place in places if place is not None)
    # A brace alone stands in every function, and marks nothing.
    texts = {mark.text.strip() for mark in marks if mark.text and WORD.search(mark.text)}
    return [number for number, line in enumerate(lines, start=1) if line in texts]


def _place(lines: Sequence[str], mark: Mark, start: int) -> int | None:
    """Where a mark lies among the lines, from 0; None where it can't."""
    place = (mark.number or 0) - start
    fits = 0 <= place < len(lines) and (mark.text is None or lines[place] == mark.text.strip())
    return place if fits else None


def _of_text(text: str) -> list[Mark]:
    if HUNK.search(text):
        return list(_of_diff(text))
    bare = text.strip()
    if NUMBERS.fullmatch(bare):
        return [Mark(int(float(number)), None) for number in re.split(r"[,; ]+", bare)]
    if bare[:1] in ("[", "{") and (parsed := _parsed(bare)) is not None:
        return marks_of(parsed)
    lines = re.split(rf"{re.escape(BETWEEN)}|\n", text)
    return [Mark(None, line) for line in lines] if bare else []


def _parsed(text: str) -> Any:
    """What a table without lists and objects has in their place; None for a line of code."""
    try:
        return parsed_json(text)
    except (ValueError, RecursionError):
        pass  # pandas writes them as Python does
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, (list, dict)) else None


def _of_object(value: Mapping[str, Any]) -> list[Mark]:
    before = next((value[name] for name in BEFORE if name in value), None)
    if before is not None:
        return marks_of(before)
    number, text = value.get("line_no"), value.get("line")
    text = text if isinstance(text, str) else None
    return [Mark(int(number), text)] if number is not None and _is_number(number) else []


def _of_diff(text: str) -> Iterator[Mark]:
    """The lines that a unified diff takes away, by their numbers before."""
    number = None
    for line in text.split("\n"):
        if hunk := HUNK.match(line):
            number = int(hunk[1])
        elif number is not None and not line.startswith(("+", "\\")):
            if line.startswith("-"):
                yield Mark(number, line[1:])
            number += 1


def _is_pair(value: Sequence[Any]) -> bool:
    return len(value) == 2 and _is_number(value[0]) and isinstance(value[1], str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
