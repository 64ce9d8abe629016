"""A function's own name, found in its head and masked wherever it stands in the function."""

from __future__ import annotations

import re
from collections.abc import Sequence

from enstack.duplicates.lexer import lexer_tokens

__all__ = ["MASKED", "mask_own_name", "own_name"]

MASKED = "FUNCTION"
HEAD_CHARACTERS = 2000  # longer heads are none
# What stands before a bracket in a head, and is no function's name.
NO_NAMES = frozenset((
    "if", "for", "while", "switch", "return", "sizeof", "catch", "alignas", "decltype", "noexcept",
    "throw", "requires", "explicit", "typeof", "__typeof__", "__attribute__", "__attribute",
    "__declspec", "_Alignas", "_Atomic", "__asm__", "asm",
))  # fmt: skip


def mask_own_name(source: str) -> str:
    """A function with MASKED for its own name, in its body, its comments and its texts too."""
    name = own_name(source)
    return source if name is None else re.sub(rf"\b{name}\b", MASKED, source)


def own_name(source: str) -> str | None:
    """The name in front of the parameters; None where the text does not begin with a head."""
    named = _before_brackets(lexer_tokens(source[:HEAD_CHARACTERS]))
    if not named:
        return None
    (first, _, end), *others = named
    # A macro for the result's type stands right before the name: EXPORT(int) f(int a).
    if first.isupper() and others and others[0][1] == end + 1:
        return others[0][0]
    return first


def _before_brackets(tokens: Sequence[str]) -> list[tuple[str, int, int]]:
    """The names before outer brackets, with their places and those of the closing brackets."""
    found: list[tuple[str, int, int]] = []
    depth, opened = 0, 0
    for place, token in enumerate(tokens):
        if token == "{" and not depth:
            break
        if token == "(":
            opened = place if not depth else opened
            depth += 1
        elif token == ")" and depth:
            depth -= 1
            name = tokens[opened - 1] if opened else ""
            if not depth and re.fullmatch(r"[^\W\d]\w*", name) and name not in NO_NAMES:
                found.append((name, opened - 1, place))
    return found
