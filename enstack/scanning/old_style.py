"""Function heads of before ANSI C, whose parameters are declared behind the parentheses."""

from __future__ import annotations

from collections.abc import Sequence

from enstack.scanning.tokens import NAME, Token, group_end, text_at

__all__ = ["old_style_head"]

MOST_DECLARATIONS = 64


def old_style_head(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens from the head in `f(a) int a; {` on; empty where there is none.

    tokens: those before the block, back to the last function; they end in a semicolon.
    """
    ends = [place for place, token in enumerate(tokens) if token.text == ";"]
    starts = [0, *(end + 1 for end in ends)]
    for start, end in list(zip(starts, ends, strict=False))[: -MOST_DECLARATIONS - 1 : -1]:
        declaration = tokens[start : end + 1]
        names = _listed_names(declaration)
        if names:
            declared = {token.text for token in tokens[start:] if NAME.fullmatch(token.text)}
            return tokens[start:] if names <= declared else ()
        if not _declares_parameters(declaration):
            break
    return ()


def _listed_names(declaration: Sequence[Token]) -> set[str]:
    """The names in `f(a, b) int a;`; none where there is no such list with a declaration behind."""
    texts = [token.text for token in declaration]
    if "(" not in texts or not NAME.fullmatch(text_at(declaration, texts.index("(") - 1)):
        return set()
    opened = texts.index("(")
    closed = group_end(declaration, opened)
    inside = texts[opened + 1 : closed]
    are_names = all(NAME.fullmatch(text) for text in inside[::2]) and len(inside) % 2
    goes_on = NAME.fullmatch(text_at(declaration, closed + 1))
    return set(inside[::2]) if are_names and {*inside[1::2]} <= {","} and goes_on else set()


def _declares_parameters(declaration: Sequence[Token]) -> bool:
    """Whether these tokens declare what a parameter can be: no value, no function."""
    texts = [token.text for token in declaration]
    if not NAME.fullmatch(texts[0]) or {"=", "typedef"} & {*texts}:
        return False
    return "(" not in texts or text_at(declaration, texts.index("(") + 1) == "*"
