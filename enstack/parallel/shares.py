"""A batch divided among processes so that each has about as much to compute, padding counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enstack.batches import pad_to

__all__ = ["shares"]

# A function's attention costs with the square of its tokens: 5.6 % of a RoBERTa's work at 273.
ATTENTION = 0.0002


def shares(lengths: Sequence[int], size: int) -> list[np.ndarray]:
    """The places of a batch that each of `size` processes takes; together they are all, once each.

    lengths: tokens of each function (n,). Every share holds neighbours by length, so that little is
    padded, and the dearest one is as cheap as it can be so. Where functions are few, the last
    shares are empty; the first never is.
    """
    # Stable: every process divides alike.
    order = np.argsort(-np.asarray(lengths), kind="stable")
    each = [_cost(lengths[place]) for place in order]
    # The dearest share costs so many functions of one length: only these need to be tried.
    bounds = sorted({count * cost for cost in set(each) for count in range(1, len(each) + 1)})
    low, high = 0, len(bounds) - 1
    while low < high:
        middle = (low + high) // 2
        if len(_cuts(each, bounds[middle])) <= size:
            high = middle
        else:
            low = middle + 1
    parts = np.split(order, _cuts(each, bounds[low])[1:])
    return [np.sort(part) for part in parts] + [order[:0]] * (size - len(parts))


def _cost(length: int) -> float:
    width = pad_to(length)
    return width * (1 + ATTENTION * width)


def _cuts(each: list[float], bound: float) -> list[int]:
    """Where shares begin that cost at most the bound each; more than there may be where it is low.

    each: cost (n,) of a function alone, falling: the first of a share sets the width of all.
    """
    cuts, place = [], 0
    while place < len(each):
        cuts.append(place)
        place += max(1, int(bound / each[place] * (1 + 1e-12)))
    return cuts
