"""What stands before a brace tells what its block is: a function with a name, a type, a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from enstack.scanning.leftovers import (
    ARGUMENT,
    ENUM,
    INITIALIZER,
    LINKAGE,
    MEMBER,
    NAMESPACE,
    STATEMENT,
    TYPE,
    UNKNOWN,
)
from enstack.scanning.tokens import (
    BLOCK,
    NAME,
    TYPES,
    Call,
    Token,
    angle_end,
    calls,
    group_end,
    outermost,
    text_at,
    without_templates,
)

__all__ = ["FUNCTION", "SCOPES", "Head", "judge"]

FUNCTION = "function"
SCOPES = (TYPE, NAMESPACE, LINKAGE)  # whose own blocks may be functions
CONTROL = {
    "if", "else", "for", "while", "do", "switch", "case", "default", "return", "catch", "goto",
    "sizeof", "break", "continue", "try", "co_return", "__try", "__except", "__finally",
}  # fmt: skip
TYPE_WORDS = {"struct", "union", "class", "enum", "__interface"}
# What takes parentheses without being a function.
ATTRIBUTES = {
    "__attribute__", "__attribute", "__declspec", "alignas", "_Alignas", "noexcept", "throw",
    "decltype", "typeof", "__typeof__", "__typeof", "asm", "__asm__", "__asm", "requires",
    "explicit", "_Pragma", "__pragma", "static_assert", "_Static_assert",
}  # fmt: skip
TRAILING = {"const", "volatile", "override", "final", "noexcept", "throw", "try", "&", "(", ")"}


class Head(NamedTuple):
    """What a block is; name: the place of its name's token, of a function or a scope."""

    kind: str
    name: int | None = None


def judge(tokens: Sequence[Token]) -> Head:
    """What the block is before which these tokens stand, back to the declaration before.

    A function's name is by rules of thumb; a grammar that can read the head knows better.
    """
    if not (places := without_templates(tokens)):
        return Head(UNKNOWN)
    return _Declaration(tokens, places).head()


class _Declaration:
    """The tokens before a block, and the places that count: those of no template's parameters."""

    def __init__(self, tokens: Sequence[Token], places: Sequence[int]) -> None:
        self.tokens, self.places = tokens, places
        self.outermost = list(outermost(tokens, places))
        blocks = [place for place in self.outermost if tokens[place].text == BLOCK]
        # A block before is that of a type or a value, and nothing there tells of this one.
        self.behind = [place for place in self.outermost if not blocks or place > blocks[-1]]
        self.calls = list(calls(tokens, places))
        self.first, self.last = tokens[places[0]].text, tokens[places[-1]].text

    def head(self) -> Head:
        before_last = text_at(self.tokens, self.places[-1] - 1)
        if self.last == "export" or (self.last.startswith('"') and before_last == "extern"):
            return Head(LINKAGE)
        if self.first in CONTROL:
            return Head(STATEMENT)
        if "typedef" in self.texts(self.behind) and self.calls:
            return Head(TYPE)  # as in `typedef NS_ENUM(int, Kind) {`
        return self.namespace() or self.type() or self.value() or self.function()

    def texts(self, places: Sequence[int]) -> list[str]:
        return [self.tokens[place].text for place in places]

    def namespace(self) -> Head | None:
        if "namespace" not in (texts := self.texts(self.behind)):
            return None
        name = self.behind[texts.index("namespace")] + 1
        return Head(NAMESPACE, name if NAME.fullmatch(text_at(self.tokens, name)) else None)

    def type(self) -> Head | None:
        """A class, structure, union or enumeration; its name may be missing."""
        words = [place for place in self.behind if self.tokens[place].text in TYPE_WORDS]
        names = self._type_names(words[-1] + 1) if words else None
        if names is None:
            return None
        # `enum class` has two words.
        kind = ENUM if "enum" in self.texts(words) else TYPE
        return Head(kind, names[-1] if names else None)

    def _type_names(self, start: int) -> list[int] | None:
        """The places of names behind a type's keyword; None where no type's block follows."""
        names: list[int] = []
        at, called = start, None
        while (text := text_at(self.tokens, at)) not in ("", ":"):
            if text == "(":
                is_name = names and text_at(self.tokens, at - 1) not in ATTRIBUTES
                called = names.pop() if is_name else called
                at = group_end(self.tokens, at)
            elif text in "[<":
                at = (group_end if text == "[" else angle_end)(self.tokens, at)
            elif NAME.fullmatch(text):
                names += [at] if text not in ("final", "sealed", *ATTRIBUTES) else []
                if called is not None and (not names[:-1] or self._is_macro_before(called, at)):
                    called = None
            elif text != "::":
                return None
            at += 1
        return names if called is None else None

    def _is_macro_before(self, called: int, name: int) -> bool:
        """Whether it is `class API ALIGN(8) Foo`, and not `struct point origin(void) NOTHROW`."""
        return self._is_macro(called) and not self._is_macro(name)

    def value(self) -> Head | None:
        """What initializes a variable, or a member in a constructor's list."""
        if self.list_start is not None:
            is_name = NAME.fullmatch(self.last) or self.last in (">", ":", ",")
            return Head(MEMBER) if is_name and self.last not in CONTROL else None
        equals = [place for place in self.behind if self.tokens[place].text == "="]
        # A sign may be part of an operator's name, as in `operator <=`.
        if any(not self._in_operator(place) for place in equals):
            return Head(INITIALIZER)
        return None

    def _in_operator(self, place: int) -> bool:
        return any(text_at(self.tokens, at) == "operator" for at in range(place - 3, place))

    @property
    def list_start(self) -> int | None:
        """The place of the colon from which on a constructor initializes members."""
        colons = [place for place in self.outermost if self.tokens[place].text == ":"]
        return next((one for one in colons if self.calls and one > self.calls[0].closed), None)

    def function(self) -> Head:
        """A function with its name by rules of thumb, a statement, or nothing that is known."""
        start = self.list_start
        listed = [call for call in self.calls if start is None or call.name < start]
        named = [call for call in listed if self.tokens[call.name].text not in ATTRIBUTES]
        if not named:
            return self.without_call()
        last = self.tokens[listed[-1].name].text
        if last in CONTROL:
            return Head(STATEMENT)
        commas = [one for one in self.outermost if self.tokens[one].text == ","]
        if start is None and commas and commas[-1] > named[-1].closed:
            return Head(INITIALIZER)  # of one of several variables
        return Head(FUNCTION, self.named_by(named).name)

    def without_call(self) -> Head:
        """A block behind no name that has parentheses right behind it."""
        if (name := self._name_in_parentheses()) is not None:
            return Head(FUNCTION, name)
        if text_at(self.tokens, self.calls[-1].name if self.calls else -1) == "requires":
            return Head(ARGUMENT)
        ends_as_variable = NAME.fullmatch(self.last) or self.last in ("]", ">")
        return Head(INITIALIZER if len(self.places) > 1 and ends_as_variable else UNKNOWN)

    def _name_in_parentheses(self) -> int | None:
        """The name in `void (*name(int))(int)`, and in `int (name)(int)`."""
        for place in self.places:
            text, behind = self.tokens[place].text, text_at(self.tokens, place + 1)
            if NAME.fullmatch(text) and text not in TYPES | CONTROL | ATTRIBUTES:
                before = text_at(self.tokens, place - 1)
                alone = (before, behind, text_at(self.tokens, place + 2)) == ("(", ")", "(")
                if alone or (before, behind) == ("*", "("):
                    return place
        return None

    def named_by(self, named: Sequence[Call]) -> Call:
        """What names the function: the last call, unless that is a macro at the end of a head."""
        at = len(named) - 1
        while at and self._is_macro(named[at].name) and not self._is_macro(named[at - 1].name):
            between = range(named[at - 1].closed + 1, named[at].name)
            texts = [text_at(self.tokens, place) for place in between]
            if not all(text in TRAILING or text.upper() == text for text in texts):
                break
            at -= 1
        return named[at]

    def _is_macro(self, place: int) -> bool:
        # A destructor's name stands behind its sign.
        name = self.tokens[place + (self.tokens[place].text == "~")].text
        return name.upper() == name or name.startswith("__")
