"""A count with its noun, as people write it: 1 epoch, 2 epochs, 1,270 batches."""

from __future__ import annotations

__all__ = ["counted", "joined"]

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


def joined(parts: list[str]) -> str:
    """Parts in one line of text: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]]) if len(parts) > 1 else "".join(parts)
