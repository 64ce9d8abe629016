"""A count with its noun, as people write it: 1 epoch, 2 epochs, 1,270 batches."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "joined", "some_of"]

HISSES = ("s", "x", "z", "tch", "sh")  # words that end so take es; an epoch's ch is a k


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and its noun in the form that fits it, thousands apart: "1 batch", "1,270 batches".

    many: the other form, where it is more than the noun's plural ("functions have").
    """
    return f"{n:,} {one if n == 1 else many or _plural(one)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(HISSES) else f"{noun}s"


def some_of(names: Sequence[str], limit: int = 12) -> str:
    """Names in one line of text, the first ones where there are more: "a, b and 106 more"."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[: limit - 1])} and {len(names) - limit + 1:,} more"


def joined(parts: list[str]) -> str:
    """Parts in one line of text: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]]) if len(parts) > 1 else "".join(parts)
