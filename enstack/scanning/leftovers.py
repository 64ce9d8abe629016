"""Brace blocks outside of functions that are none, by kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enstack.scanning.source_text import Place

__all__ = ["KINDS", "Leftover"]

TYPE, ENUM, NAMESPACE, LINKAGE = "type", "enum", "namespace", "linkage"
INITIALIZER, MEMBER, ARGUMENT = "initializer", "member initializer", "argument"
STATEMENT, MACRO, UNKNOWN = "statement", "macro", "unknown"
NEVER, ANOTHER = "#if 0", "other branch"
STRAY, UNCLOSED, COMMENT = "stray brace", "unclosed brace", "unclosed comment"

KINDS = {
    TYPE: "a class, structure or union; functions in it are functions",
    ENUM: "an enumeration",
    NAMESPACE: "a namespace; functions in it are functions",
    LINKAGE: 'extern "C" { } or export { }; functions in it are functions',
    INITIALIZER: "the value of a variable, a lambda outside of functions among them",
    MEMBER: "the value of a member, before a constructor that could not be read",
    ARGUMENT: "a block in parentheses, or the one of a requires clause",
    STATEMENT: "if, for, do and the like outside of functions, or a macro with else behind it",
    MACRO: "#define with a brace",
    UNKNOWN: "a block behind nothing that could name a function",
    NEVER: "what stands in #if 0, which no compiler reads",
    ANOTHER: "a half-open block of a preprocessor branch, where another branch is read",
    STRAY: "a closing brace that closes nothing",
    UNCLOSED: "a brace that is never closed; what follows is read as if it were not there",
    COMMENT: "a comment that is never closed, to the end of the file",
}


@dataclass(frozen=True)
class Leftover:
    """A brace block outside of functions that is none; kind: a key of KINDS.

    path: of the file. start: the place of the first character, of its head where there is one.
    brace: the place of the opening brace. end: the place of the last character.
    """

    path: Path
    kind: str
    start: Place
    brace: Place
    end: Place
