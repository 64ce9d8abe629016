"""Whether a model itself needs the lines that are said to matter: deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["deletion_and_insertion"]

STEPS = 10
Predict = Callable[[list[str]], np.ndarray]


def deletion_and_insertion(
    predict_proba: Predict,
    functions: Sequence[str],
    classes: Sequence[int],
    scores: Sequence[np.ndarray],
) -> tuple[float, float]:
    """The mean probability of each function's class while its lines go, and while they come.

    The highest score first, a tenth of the lines at a step: deletion goes from all lines to the
    last tenth, and is good where it is low; insertion from the first tenth to all, and is good
    where it is high. Equal scores go by lot, the same at every call. Method: Petsiuk et al. 2018,
    RISE.
    """
    lots, parts, asked = np.random.default_rng(0), list[str](), list[int]()
    for function, place, of_lines in zip(functions, classes, scores, strict=True):
        order = _order(function, of_lines, lots.random(len(of_lines)))
        for step in range(1, STEPS + 1):
            first, rest = _divided(order, step)
            # One line at least is left: no text has no probability.
            parts += [_with(function, rest or order[-1:]), _with(function, first)]
            asked += [place, place]
    said = predict_proba(parts)[np.arange(len(parts)), asked]
    deletion, insertion = said.reshape(-1, 2).mean(axis=0)
    return float(deletion), float(insertion)


def _order(function: str, scores: np.ndarray, lots: np.ndarray) -> list[int]:
    """The lines that hold something, the highest score first."""
    lines = function.split("\n")
    return [line for line in np.lexsort((lots, -scores)).tolist() if lines[line].strip()]


def _divided(order: list[int], step: int) -> tuple[list[int], list[int]]:
    """The lines that have come after a step of insertion, and those that are left before it."""
    n_come, n_gone = -(-len(order) * step // STEPS), -(-len(order) * (step - 1) // STEPS)
    return order[:n_come], order[n_gone:]


def _with(function: str, kept: list[int]) -> str:
    lines = function.split("\n")
    return "\n".join(lines[line] for line in sorted(kept))
