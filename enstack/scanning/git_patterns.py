"""Patterns of .gitignore files as expressions, byte for byte as git's own matcher takes them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["GitPattern", "git_patterns"]

CLASSES = {
    b"alnum": b"0-9A-Za-z", b"alpha": b"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": b"0-9", b"graph": b"!-~", b"lower": b"a-z", b"print": b" -~",
    b"punct": rb"!-/:-@\[-`{-~", b"space": rb" \t-\r", b"upper": b"A-Z", b"xdigit": b"0-9A-Fa-f",
}  # fmt: skip
PART = re.compile(
    rb"""
    (?P<folders> (?:(?<=/)|(?<=\A)) \*\*+ \\?/ )  # any folders, or none
    | (?P<all> (?:(?<=/)|(?<=\A)) \*\*+ \Z )      # all that a folder has
    | (?P<stars> \*+ )
    | (?P<one> \? )
    | (?P<set> \[ )
    | \\? (?P<byte> (?<=\\). | [^\\] )
    """,
    re.VERBOSE | re.DOTALL,
)
MEMBER = re.compile(
    rb"""
    \[: (?P<class> [^\]]* ) :\]
    | (?P<first> \\. | [^\\] ) (?: - (?P<last> \\. | [^\\\]] ) )?
    """,
    re.VERBOSE | re.DOTALL,
)
SPACES = re.compile(rb"((?:\\.|[^\\ ]| (?= *[^ ]))*(?:\\\Z)?) *", re.DOTALL)


class GitPattern(NamedTuple):
    """A pattern; includes: it takes back what one before leaves out (`!`)."""

    expression: re.Pattern[bytes]
    includes: bool
    folders_only: bool
    by_name: bool

    def means(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether it means an entry, by its path below the pattern's file."""
        asked = path.rpartition(b"/")[2] if self.by_name else path
        kind = is_folder or not self.folders_only
        return kind and self.expression.fullmatch(asked) is not None


def git_patterns(content: bytes) -> list[GitPattern]:
    """The patterns of a file, in its order; those that match nothing are left out."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    read = (_pattern(line.removesuffix(b"\r")) for line in lines if not line.startswith(b"#"))
    return [one for one in read if one is not None]


def _pattern(line: bytes) -> GitPattern | None:
    stripped = SPACES.fullmatch(line)
    text = stripped[1] if stripped else line
    includes = text.startswith(b"!")
    text = text[includes:]
    folders_only = text.endswith(b"/")
    text = text.removesuffix(b"/")
    by_name = b"/" not in text
    try:
        expression = re.compile(_expression(text.removeprefix(b"/")), re.DOTALL)
    except _MatchesNothingError:
        return None
    return GitPattern(expression, includes, folders_only, by_name)


class _MatchesNothingError(Exception):
    """A pattern that git holds against no name, such as one that ends within brackets."""


def _expression(text: bytes) -> bytes:
    made, at, star = b"", 0, -1
    while at < len(text):
        if (part := PART.match(text, at)) is None:
            raise _MatchesNothingError
        kind, piece, at = str(part.lastgroup), re.escape(part["byte"] or b""), part.end()
        if kind == "set":
            piece, at = _set(text, at)
        if kind == "stars" and star >= 0:
            # What stands between two stars is best found early: no other place need be tried.
            made = made[:star] + b"(?>" + made[star:] + b")"
        star = {"stars": len(made), "folders": -1}.get(kind, star)
        made += PIECES.get(kind, piece)
    return made


PIECES = {"folders": b"(?:.*/)?", "all": b".*", "stars": b"[^/]*?", "one": b"[^/]"}


def _set(text: bytes, at: int) -> tuple[bytes, int]:
    """The bytes in brackets that open before a place, as an expression, and where they end."""
    other = text.startswith((b"!", b"^"), at)
    at += other
    members, first = b"", True
    while first or text[at : at + 1] != b"]":
        if (member := MEMBER.match(text, at)) is None:
            raise _MatchesNothingError
        at, first = member.end(), False
        members += _member(member)
    return b"(?!/)[" + b"^" * other + members + b"]", at + 1


def _member(member: re.Match[bytes]) -> bytes:
    if member["class"] is not None:
        if member["class"] not in CLASSES:
            raise _MatchesNothingError
        return CLASSES[member["class"]]
    first, last = (ord(one[-1:]) for one in (member["first"], member["last"] or member["first"]))
    # A range that runs backwards is its first byte.
    return b"\\x%02x-\\x%02x" % (first, last if first < last else first)
