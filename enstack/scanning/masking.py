"""Comments and literals out of a text, character for character: braces that are left count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Masked", "comments_in", "masked"]

RAW = r'(?<!\w)(?:u8|[uUL])?R"(?P<delimiter>[^\s()\\"]{0,16})\('
PATTERN = re.compile(
    rf"""
    (?P<comment> //(?:\\[ \t]*\r?\n|[^\n])* | /\*[\s\S]*?(?:\*/|\Z) )
    | (?P<raw> {RAW} )
    | (?P<string> "(?:\\(?:\r\n|[\s\S])|[^"\\\n])*"? )
    | (?P<number> (?<!\w)[0-9][\w.]*(?:'\w[\w.]*)+ )
    | (?P<char> '(?:\\.|[^'\\\n])+' )
    | (?P<continued> (?:\\|\?\?/)[ \t]*\r?\n )
    """,
    re.VERBOSE,
)
# C's other spellings of braces, brackets and #; <:: is < before a name with ::.
SPELLINGS = {
    "??<": "{", "??>": "}", "??(": "[", "??)": "]", "??=": "#",
    "<%": "{", "%>": "}", "<:": "[", ":>": "]", "%:": "#",
}  # fmt: skip
OTHER_SPELLING = re.compile(r"\?\?[<>()=]|<%|%>|%:|<:(?!:[^:>])|(?<!:):>")
LINKAGE = ('"C"', '"C++"')


class Masked(NamedTuple):
    """A text of the same length in which comments, literals and continued lines are blank.

    text: ASCII, so that offsets are those of the file's characters. open_comment: where a comment
    begins that never ends.
    """

    text: str
    open_comment: int | None


class _Part(NamedTuple):
    kind: str
    start: int
    end: int


def masked(text: str) -> Masked:
    """Blank all whose braces mean nothing; line ends stay, but for those inside of comments."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    pieces, done, open_comment = [], 0, None
    for part in _parts(text):
        pieces += [text[done : part.start], _blank(part, text[part.start : part.end])]
        done = part.end
        if part.kind == "comment" and _never_ends(text[part.start : part.end]):
            open_comment = part.start
    plain = "".join([*pieces, text[done:]])
    plain = re.sub(r"[^\S\n]|[\x00-\x09\x0e-\x1f\x7f\ufeff]", " ", plain)
    plain = re.sub(r"[^\x00-\x7f]", "u", plain)
    return Masked(OTHER_SPELLING.sub(_usual_spelling, plain), open_comment)


def comments_in(text: str) -> list[tuple[int, int]]:
    """The start and end of each comment of a text."""
    return [(part.start, part.end) for part in _parts(text) if part.kind == "comment"]


def _parts(text: str) -> Iterator[_Part]:
    """Comments, literals and continued lines in order."""
    at, endless = 0, set[str]()
    while match := PATTERN.search(text, at):
        at = match.end()
        kind = str(match.lastgroup)
        if match["raw"] is not None:
            kind, closing = "string", f'){match["delimiter"]}"'
            # Looked for once: many that never end would be as many walks to the end of the text.
            end = -1 if closing in endless else text.find(closing, at)
            if end < 0:
                endless.add(closing)
                at = match.start() + match[0].index('"')
                at = match.start() + 1 if at == match.start() else at
                continue
            at = end + len(closing)
        yield _Part(kind, match.start(), at)


def _never_ends(comment: str) -> bool:
    return comment.startswith("/*") and (len(comment) < 4 or not comment.endswith("*/"))


def _blank(part: _Part, text: str) -> str:
    if text in LINKAGE:
        return text
    if part.kind == "number":
        return text.replace("'", "0")
    if part.kind in ("string", "char") and len(text) > 1 and text[0] == text[-1] != "R":
        return text[0] + "x" * (len(text) - 2) + text[-1]
    return " " * len(text)


def _usual_spelling(match: re.Match[str]) -> str:
    return SPELLINGS[match[0]].ljust(len(match[0]))
