"""Pairs of a vulnerable function and its fixed version: whether a model tells them apart."""

from __future__ import annotations

import numpy as np

__all__ = ["pairwise"]


def pairwise(said: np.ndarray, pairs: np.ndarray) -> dict[str, int]:
    """What a model makes of n pairs: both right, both vulnerable, both benign, or both wrong.

    said: (n,) bool, whether it calls each function vulnerable; pairs: (m, 2) int, the rows of the
    vulnerable one and of the other. A model that goes by what both have in common, such as their
    length, has none right. Method: the pair-wise evaluation of PrimeVul (Ding et al. 2024).
    """
    flaw, fix = said[pairs[:, 0]], said[pairs[:, 1]]
    return {
        "n": len(pairs),
        "correct": int((flaw & ~fix).sum()),
        "both_vulnerable": int((flaw & fix).sum()),
        "both_benign": int((~flaw & ~fix).sum()),
        "reversed": int((~flaw & fix).sum()),
    }
