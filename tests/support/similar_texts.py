"""Texts of every similarity with their near-duplicates by brute force, and texts to be lexed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from enstack.duplicates.near_duplicates import token_grams

# Copies of one function with some tokens changed, so that pairs of every similarity occur.
EDITS = st.lists(st.tuples(st.integers(0, 29), st.sampled_from("abc")), max_size=6)
TEXTS = st.lists(EDITS, min_size=1, max_size=14)
# What tells one kind of token from another, in every order that hypothesis can think of.
PIECES = st.sampled_from(
    [
        "//", "/*", "*/", '"', "'", "\\", "\n", "\r", "\r\n", "\\\n", "\\\r\n", "\\\r", " ", "\t",
        'R"(', ')"', 'u8R"x(', ')x"', "LR", "R", "(", ")", "{", "}", ";", "a", "don't", "x1", "1",
        "0", "1'000", "0x'f", "'a'", "'\\''", '"s"', "->", "<<=", "...", "/", "*", "é", "_",
    ]
)  # fmt: skip
SOURCES = st.lists(PIECES, max_size=25).map("".join)


def edited(edits: list[tuple[int, str]]) -> str:
    tokens = [f"t{place}" for place in range(30)]
    for place, name in edits:
        tokens[place] = name
    return " ".join(tokens)


def brute_force(texts: list[str], threshold: float | None) -> np.ndarray:
    """Whether each two functions are so alike: (n, n) bool, no function like itself."""
    alike = np.zeros((len(texts), len(texts)), dtype=bool)
    grams = [token_grams(text) for text in texts]
    for i, j in combinations(range(len(texts)), 2):
        jaccard = len(grams[i] & grams[j]) / len(grams[i] | grams[j])
        equal = texts[i] == texts[j]
        alike[i, j] = alike[j, i] = equal if threshold is None else jaccard >= threshold
    return alike


def components(alike: np.ndarray) -> np.ndarray:
    """The number (n,) of each row's group, linked over any number of rows; from 0, as they come."""
    number_of = np.full(len(alike), -1)
    for row in range(len(alike)):
        waiting = [row] if number_of[row] < 0 else []
        number = number_of.max(initial=-1) + 1
        while waiting:
            one = waiting.pop()
            if number_of[one] < 0:
                number_of[one] = number
                waiting += np.flatnonzero(alike[one]).tolist()
    return number_of
