"""Words and signs of a declaration, with what parentheses and angle brackets enclose among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "BLOCK", "NAME", "TOKEN", "Call", "Token", "angle_end", "calls", "group_end", "outermost",
    "text_at", "without_templates",
]  # fmt: skip

NAME = re.compile(r"[A-Za-z_$][\w$]*")
TOKEN = re.compile(
    r"""[A-Za-z_$][\w$]* | [0-9][\w.]* | "[^"\n]*"? | 'x*' | :: | -> | \S""", re.VERBOSE
)
BLOCK = "{}"  # the token that stands for a block within a declaration
CLOSING = {"(": ")", "[": "]"}
# What stands before parentheses without being called or declared.
TYPES = {
    "void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "bool",
    "_Bool", "const", "volatile", "static", "extern", "inline", "auto", "register", "typedef",
    "struct", "union", "class", "enum", "typename", "template", "virtual", "constexpr",
    "restrict", "mutable", "friend", "namespace", "using", "new", "delete",
}  # fmt: skip
OPERATOR_TOKENS = 8  # at most, from `operator` to its parameters: operator unsigned long long(


class Token(NamedTuple):
    """A word or sign, and where it starts; a block is one token."""

    text: str
    start: int


class Call(NamedTuple):
    """A name with parentheses behind it: the places of the name's token and of both."""

    name: int
    opened: int
    closed: int


def text_at(tokens: Sequence[Token], place: int) -> str:
    """The token at a place; empty where there is none."""
    return tokens[place].text if 0 <= place < len(tokens) else ""


def without_templates(tokens: Sequence[Token]) -> list[int]:
    """The places of all tokens but those of `template <...>`."""
    places, at = [], 0
    while at < len(tokens):
        if tokens[at].text == "template" and text_at(tokens, at + 1) == "<":
            at = angle_end(tokens, at + 1) + 1
        else:
            places.append(at)
            at += 1
    return places


def angle_end(tokens: Sequence[Token], at: int) -> int:
    """The place of the `>` that closes the `<` at a place; the last token where none does."""
    angles = parentheses = 0
    for place in range(at, len(tokens)):
        text = tokens[place].text
        parentheses += (text in CLOSING) - (text in CLOSING.values())
        if not parentheses:
            angles += (text == "<") - (text == ">")
            if not angles:
                return place
    return len(tokens) - 1


def _angle_start(tokens: Sequence[Token], at: int) -> int:
    angles = 0
    for place in range(at, -1, -1):
        angles += (tokens[place].text == ">") - (tokens[place].text == "<")
        if not angles:
            return place
    return 0


def group_end(tokens: Sequence[Token], at: int) -> int:
    """The place of what closes the parenthesis or bracket at a place."""
    depth = 0
    for place in range(at, len(tokens)):
        text = tokens[place].text
        depth += (text in CLOSING) - (text in CLOSING.values())
        if not depth:
            return place
    return len(tokens) - 1


def outermost(tokens: Sequence[Token], places: Sequence[int]) -> Iterator[int]:
    """The places outside of all parentheses and brackets, these included."""
    depth = 0
    for place in places:
        depth -= tokens[place].text in CLOSING.values()
        if not depth:
            yield place
        depth += tokens[place].text in CLOSING


def calls(tokens: Sequence[Token], places: Sequence[int]) -> Iterator[Call]:
    """The names with parentheses at the outermost level, in order."""
    depth, opened = 0, 0
    for place in places:
        text = tokens[place].text
        if text in CLOSING:
            depth += 1
            opened = place if depth == 1 else opened
        elif text in CLOSING.values():
            depth -= 1
            if not depth and text == ")" and (name := _name_before(tokens, opened)) is not None:
                yield Call(name, opened, place)


def _name_before(tokens: Sequence[Token], opened: int) -> int | None:
    """The place of the name that parentheses belong to; None where they belong to none."""
    for place in range(opened - 1, max(-1, opened - OPERATOR_TOKENS), -1):
        if tokens[place].text == "operator":
            return None if opened == place + 1 else place  # operator() has a second pair
    at = opened - 1
    if text_at(tokens, at) == ">":
        at = _angle_start(tokens, at) - 1
    if not NAME.fullmatch(text_at(tokens, at)) or tokens[at].text in TYPES:
        return None
    return at - 1 if text_at(tokens, at - 1) == "~" else at
