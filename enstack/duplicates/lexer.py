"""C and C++ cut into lexer tokens: comments and layout fall away."""

from __future__ import annotations

import re

__all__ = ["LONGEST", "comment_kept_from", "has_comment", "lexer_tokens"]

LONGEST = 1 << 20  # characters of a function that are cut into tokens; more would fill the memory
# A comment is matched outside of the group, so that it gives an empty text. A comment or literal
# that never ends goes to the end of the text, or of the line. CR ends a line as LF does, and \
# before either continues it.
# Longer operators come first, as the first alternative that fits is taken.
SKIPPED = r"\\(?:\r\n|\r|\n) | //(?:\\(?:\r\n|\r|\n)|[^\r\n])* | /\*[\s\S]*?(?:\*/|\Z)"
RAW_STRING = r'(?:u8|[uUL])?R"(?P<delimiter>[^\s()\\"]{0,16})\([\s\S]*?\)(?P=delimiter)"'
TOKEN = r"""
    "(?:\\(?:\r\n|[\s\S])|[^"\\\r\n])*"? | '(?:\\(?:\r\n|[\s\S])|[^'\\\r\n])*'?
    | [0-9]\w*(?:'\w+)* | \w+
    | \.\.\. | <<= | >>= | -> | :: | \+\+ | -- | && | \|\| | << | >> | [-+*/%&|^=!<>]=
    | [^\w\s]
"""
PATTERN = re.compile(f"{SKIPPED} | ({TOKEN})", re.VERBOSE)
# Apart, for its second group makes it half as fast.
PATTERN_WITH_RAW_STRINGS = re.compile(f"{SKIPPED} | ({RAW_STRING} | {TOKEN})", re.VERBOSE)
PLAIN = re.compile(r"//|\w+|[^\w\s]")
SEVERAL_LINES = re.compile(r"\S\s*[\r\n]\s*\S")


def lexer_tokens(source: str) -> list[str]:
    """The names, numbers, literals and operators of a function, in order; comments are none.

    Of a function on one line, what stands behind `//` is kept: see `comment_kept_from`.
    """
    source = source[:LONGEST]
    kept_from = comment_kept_from(source)
    if kept_from is None:
        return _tokens(source)
    # Where a comment ends nobody can tell, so neither its quotes nor its /* mean anything.
    return _tokens(source[:kept_from]) + PLAIN.findall(source, kept_from)


def has_comment(source: str) -> bool:
    """Whether a comment stands anywhere in a function."""
    found = PATTERN.finditer(source[:LONGEST]) if "/" in source else ()
    return any(match[0].startswith(("//", "/*")) and not match[1] for match in found)


def _tokens(source: str) -> list[str]:
    if 'R"' in source:
        return [match[1] for match in PATTERN_WITH_RAW_STRINGS.finditer(source) if match[1]]
    return [token for token in PATTERN.findall(source) if token]


def comment_kept_from(source: str) -> int | None:
    """Where a `//` begins that hides code, as its function was put on one line; else None.

    Of two functions that differ behind it, nothing but the part before would be compared.
    """
    if "//" not in source or SEVERAL_LINES.search(source):
        return None
    before: list[str] = []
    for match in PATTERN_WITH_RAW_STRINGS.finditer(source):
        if match[0].startswith("//"):
            return None if _whole(before, match[0]) else match.start()
        before.append(match[1])
    return None


def _whole(before: list[str], comment: str) -> bool:
    """Whether a function is over before a comment in which no other one follows."""
    closed = before.count("{") == before.count("}") > 0
    return closed and not re.search("[{}]", comment)
