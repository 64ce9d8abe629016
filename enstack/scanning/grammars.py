"""What the grammars of C and C++ say of a function's head, where they can read it as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import tree_sitter_c
import tree_sitter_cpp
from tree_sitter import Language, Node, Parser

from enstack.scanning.tokens import TYPES

__all__ = ["GRAMMARS", "named_by"]

GRAMMARS = ("C", "C++")
# Characters of a head: what it can't read costs a grammar time by the square of the length.
LONGEST = 1 << 11
WRAPPERS = ("template_declaration", "linkage_specification")
NAMES = (
    "identifier", "field_identifier", "destructor_name", "operator_name", "operator_cast",
    "type_identifier",
)  # fmt: skip


def named_by(grammar: str, head: str) -> int | None:
    """Where the name stands in a function's head, as a grammar reads it with an empty body.

    None where it finds no function, or one that it had to mend. Each head is read by itself: what a
    grammar can't read then costs no neighbour, and nothing nests.
    """
    if len(head) > LONGEST:
        return None
    root = _parser(grammar).parse(f"{head}{{}}".encode("ascii")).root_node
    function = _only_function(root)
    if function is None or root.has_error:
        return None
    name = _name(function)
    return name.start_byte if name is not None and _takes_parameters(name, head) else None


@cache
def _parser(grammar: str) -> Parser:
    language = {"C": tree_sitter_c, "C++": tree_sitter_cpp}[grammar].language()
    return Parser(Language(language))


def _only_function(node: Node) -> Node | None:
    while True:
        children = [child for child in node.named_children if child.type != "comment"]
        if node.type == "translation_unit" and len(children) != 1:
            return None
        if not children or children[-1].type == "function_definition":
            return children[-1] if children else None
        if children[-1].type not in WRAPPERS:
            return None
        node = children[-1]


def _name(function: Node) -> Node | None:
    """The innermost name of a declarator: a loop, for parentheses may nest without end."""
    node = function
    while node.type not in NAMES:
        inner = next(_declared(node), None)
        if inner is None:
            return None
        node = inner
    return node


def _declared(node: Node) -> Iterator[Node]:
    for field in ("declarator", "name"):
        child = node.child_by_field_name(field)
        if child is not None:
            yield child
    for child in node.named_children:
        if "declarator" in child.type or child.type in NAMES:
            yield child


def _takes_parameters(name: Node, head: str) -> bool:
    """Whether parentheses follow: the C grammar takes `(args)` of `name(args)` for a name."""
    word, behind = head[name.start_byte : name.end_byte], head[name.end_byte :].lstrip()
    # In `API void (f)(int)` it takes void for a name.
    takes = behind.startswith(("(", "<")) and word not in TYPES
    return name.type == "operator_cast" or takes
