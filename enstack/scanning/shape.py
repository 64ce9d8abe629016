"""A function as the data that a model was trained on has it, with the place of each line."""

from __future__ import annotations

import re
from typing import NamedTuple

from enstack.bundle.profile import ScanningProfile
from enstack.scanning.ignore_comments import without_ignore_comments
from enstack.scanning.masking import comments_in

__all__ = ["Shaped", "as_learned", "shaped"]

LINE_END = re.compile(r"\r\n|\r|\n")


class Shaped(NamedTuple):
    """What a model reads of a function; lines: of each line of it, its line in the function."""

    text: str
    lines: list[int]


def as_learned(function: str, profile: ScanningProfile) -> Shaped:
    """A function of a file as a model's training functions are, without what ignores findings."""
    text = without_ignore_comments(function)
    form = shaped(text, comments=profile.comments is not False)
    return form._replace(text=f"{form.text}\n") if profile.final_newline else form


def shaped(function: str, *, comments: bool) -> Shaped:
    """A function, cut to start at its name, as training data has it: lines end in LF.

    comments: whether training data has them. Where it has none, they go, with the lines and the
    blanks at line ends that they leave; a line counts from 1, the one of the name.
    """
    text = LINE_END.sub("\n", function)
    if comments:
        return Shaped(text, list(range(1, text.count("\n") + 2)))
    lines = list(enumerate(_without_comments(text).split("\n"), start=1))
    kept = [(number, line.rstrip()) for number, line in lines if line.strip()]
    return Shaped("\n".join(line for _, line in kept), [number for number, _ in kept])


def _without_comments(text: str) -> str:
    pieces, done = [], 0
    for start, end in comments_in(text):
        # A comment separates words; the lines that it takes stay, so that they can be counted.
        pieces += [text[done:start], "\n" * text.count("\n", start, end) or " "]
        done = end
    return "".join([*pieces, text[done:]])
