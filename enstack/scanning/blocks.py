"""The brace blocks of a text outside of functions, in order, each with what stands before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from enstack.scanning.braces import Braces
from enstack.scanning.heads import FUNCTION, SCOPES, Head, judge
from enstack.scanning.leftovers import ARGUMENT, INITIALIZER, STATEMENT, STRAY, UNCLOSED, UNKNOWN
from enstack.scanning.old_style import old_style_head
from enstack.scanning.tokens import BLOCK, NAME, TOKEN, Token

__all__ = ["Block", "blocks"]

# Of a head, and of the names around one: longer ones nobody wrote, and they would take long.
MOST_TOKENS = 4096
MOST_SCOPES = 32
ACCESS = {"public", "private", "protected", "signals", "slots", "Q_SIGNALS", "Q_SLOTS"}


class Block(NamedTuple):
    """A brace block: what it is, where it begins and ends, and the head before it.

    start: of the head, or of the brace where there is none. end: behind the closing brace.
    scopes: the names of namespaces and classes around it, from outside, its own the last one where
    it is one. name: where a function's name starts, by rules of thumb.
    """

    kind: str
    start: int
    opened: int
    end: int
    scopes: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()  # of the head
    first_word: str = ""
    name: int | None = None


class _Scope(NamedTuple):
    end: int
    name: str


class _Walk:
    """Goes through the declarations of a text; blocks of functions and values are passed over."""

    def __init__(self, text: str, braces: Braces) -> None:
        self.text, self.braces = text, braces
        self.tokens: list[Token] = []  # since the last function, scope or their end
        self.begin = 0  # of the declaration at hand, among them
        self.depth = 0  # of parentheses and brackets
        self.scopes: list[_Scope] = []

    def run(self) -> Iterator[Block]:
        at = 0
        while match := TOKEN.search(self.text, at):
            at = match.end()
            if match[0] == "{":
                block = self._opened(match.start())
                yield block
                at = at if block.kind in (*SCOPES, UNCLOSED) else block.end
            elif match[0] == "}":
                yield from self._closed(match.start())
            else:
                self._take(Token(match[0], match.start()))

    def _take(self, token: Token) -> None:
        text = token.text
        # A parenthesis that is never closed would hide all that follows.
        if text in "()[]" and token.start in self.braces.alone:
            return
        if text == ":" and self.tokens and self.tokens[-1].text in ACCESS:
            self._restart()
            return
        self.tokens.append(token)
        self.depth += (text in "([") - (text in ")]")
        if text == ";" and not self.depth:
            self.begin = len(self.tokens)

    def _restart(self) -> None:
        self.tokens, self.begin, self.depth = [], 0, 0

    def _opened(self, at: int) -> Block:
        tokens: Sequence[Token] = self.tokens[self.begin :][-MOST_TOKENS:]
        if not tokens and self.tokens:
            tokens = old_style_head(self.tokens)
        head = Head(ARGUMENT) if self.depth else judge(tokens)
        if head.kind in SCOPES:
            self.scopes.append(_Scope(self._end_of_scope(at), _scope_name(tokens, head.name)))
        block = self._block(head, tokens, at)
        if head.kind in SCOPES or block.kind in (FUNCTION, STATEMENT, UNKNOWN, UNCLOSED):
            self._restart()
        else:
            self._go_on_behind(block)
        return block

    def _go_on_behind(self, block: Block) -> None:
        """A declaration goes on behind a block: `} name;`, or with the next member's value."""
        if block.kind == INITIALIZER:
            # Nothing before it tells anything more, and tables may be long.
            self._restart()
        self.tokens.append(Token(BLOCK, block.opened))

    def _block(self, head: Head, tokens: Sequence[Token], at: int) -> Block:
        end = self.braces.closing.get(at)
        is_function = head.kind == FUNCTION and head.name is not None
        return Block(
            UNCLOSED if end is None else head.kind,
            tokens[0].start if tokens else at,
            at,
            (at if end is None else end) + 1,
            tuple(scope.name for scope in self.scopes[-MOST_SCOPES:] if scope.name),
            frozenset(token.text for token in tokens) if head.kind == FUNCTION else frozenset(),
            tokens[0].text if tokens else "",
            tokens[head.name].start if is_function and head.name is not None else None,
        )

    def _end_of_scope(self, at: int) -> int:
        around = self.scopes[-1].end if self.scopes else len(self.text)
        return self.braces.closing.get(at, around)

    def _closed(self, at: int) -> Iterator[Block]:
        while self.scopes and self.scopes[-1].end < at:
            self.scopes.pop()
        if not self.scopes or self.scopes[-1].end != at:
            yield Block(STRAY, at, at, at + 1)
            return
        while self.scopes and self.scopes[-1].end == at:
            self.scopes.pop()
        self._restart()
        # A declaration may go on behind a class: `} name;`.
        self.tokens.append(Token(BLOCK, at))


def _scope_name(tokens: Sequence[Token], place: int | None) -> str:
    """The name of a scope from its token's place on: `a::b` of `namespace a::b`."""
    if place is None:
        return ""
    name = tokens[place].text
    for sign, word in zip(tokens[place + 1 :: 2], tokens[place + 2 :: 2], strict=False):
        if sign.text != "::" or not NAME.fullmatch(word.text):
            break
        name += f"::{word.text}"
    return name


def blocks(text: str, braces: Braces) -> Iterator[Block]:
    """The blocks outside of functions, in order; those in namespaces and classes too."""
    return _Walk(text, braces).run()
