"""C and C++ cut into lexer tokens: comments and layout fall away."""

from __future__ import annotations

import re

__all__ = ["lexer_tokens"]

# A comment is matched outside of the group, so that findall gives an empty text for it. A comment
# or literal that never ends goes to the end of the text, or of the line.
# Longer operators come first, as the first alternative that fits is taken.
PATTERN = re.compile(
    r"""
    //[^\n]* | /\*[\s\S]*?(?:\*/|\Z)
    | ( "(?:\\[\s\S]|[^"\\\n])*"? | '(?:\\[\s\S]|[^'\\\n])*'?
      | \w+
      | \.\.\. | <<= | >>= | -> | :: | \+\+ | -- | && | \|\| | << | >> | [-+*/%&|^=!<>]=
      | [^\w\s] )
    """,
    re.VERBOSE,
)


def lexer_tokens(source: str) -> list[str]:
    """The names, numbers, literals and operators of a function, in order; comments are none."""
    return [token for token in PATTERN.findall(source) if token]
