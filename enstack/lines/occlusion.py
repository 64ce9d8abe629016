"""Occlusion: how far the log-odds fall without a line; the reference for what costs less."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import logit

from enstack.lines.log_odds import log_odds_of_rows
from enstack.lines.tokens import TokensOfLines
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["occlusion", "text_occlusion"]

SMALLEST = 1e-12  # of a probability: a class that a model rules out has no log-odds


def occlusion(
    model: FineTunedModel, functions: Sequence[TokensOfLines], classes: Sequence[int]
) -> list[np.ndarray]:
    """How far the log-odds fall (n_lines,) float64 when a line's tokens are left out.

    As many predictions as a function has lines. Method: Zeiler & Fergus 2014, with lines.
    """
    model.classifier.eval()
    rows, asked, found = list[list[int]](), list[int](), list[np.ndarray]()
    for one, place in zip(functions, classes, strict=True):
        without = [_without(one, line) for line in _read_lines(one)]
        rows += [one.input_ids, *without]
        asked += [place] * (1 + len(without))
    odds, start = log_odds_of_rows(model, rows, asked), 0
    for one in functions:
        read, falls = _read_lines(one), np.zeros(one.n_lines)
        falls[read] = odds[start] - odds[start + 1 : start + 1 + len(read)]
        found.append(falls)
        start += 1 + len(read)
    return found


def text_occlusion(
    predict_proba: Callable[[list[str]], np.ndarray],
    functions: Sequence[str],
    classes: Sequence[int],
) -> list[np.ndarray]:
    """The same of any model that gives probabilities (n, k) of texts, which lose a line each."""
    texts, asked, found = list[str](), list[int](), list[np.ndarray]()
    for function, place in zip(functions, classes, strict=True):
        lines = function.split("\n")
        texts += [function, *("\n".join([*lines[:i], *lines[i + 1 :]]) for i in range(len(lines)))]
        asked += [place] * (1 + len(lines))
    said = predict_proba(texts)[np.arange(len(texts)), asked] if texts else np.zeros(0)
    odds, start = logit(np.clip(said.astype(np.float64), SMALLEST, 1 - SMALLEST)), 0
    for function in functions:
        end = start + 2 + function.count("\n")
        found.append(odds[start] - odds[start + 1 : end])
        start = end
    return found


def _read_lines(tokens: TokensOfLines) -> np.ndarray:
    """The lines that have tokens."""
    return np.unique(tokens.lines[tokens.lines >= 0])


def _without(tokens: TokensOfLines, line: int) -> list[int]:
    kept = np.flatnonzero(tokens.lines != line)
    return [tokens.input_ids[place] for place in kept]
