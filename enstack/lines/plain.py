"""Line scores that need no model: what any method must beat."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["PLAIN", "by_chance", "by_length", "calls"]

# A word before a parenthesis; what the language itself calls so is none.
CALL = re.compile(
    r"\b(?!(?:if|for|while|switch|return|sizeof|do|else|case|defined|alignof)\b)[A-Za-z_]\w*\s*\("
)


def by_chance(function: str) -> np.ndarray:
    """The same score for every line (n_lines,): they come in any order."""
    return np.zeros(1 + function.count("\n"))


def by_length(function: str) -> np.ndarray:
    """How many characters a line (n_lines,) has, without the blanks around it."""
    return np.array([float(len(line.strip())) for line in function.split("\n")])


def calls(function: str) -> np.ndarray:
    """How many calls a line (n_lines,) has; the function's own name in the first one is none."""
    found = [float(len(CALL.findall(line))) for line in function.split("\n")]
    return np.array([max(0.0, found[0] - 1), *found[1:]])


PLAIN = {"random lines": by_chance, "longest line": by_length, "lines with calls": calls}
