"""Occlusion: how far the log-odds fall without a line; the reference for what costs less."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.special import logit

from enstack.lines.log_odds import log_odds_of_rows
from enstack.lines.tokens import TokensOfLines
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["occlusion", "text_occlusion"]

# Each line left out costs a reading of the whole function: of a long one several go together.
READ, AT_ONCE = 2**24, 2**22  # characters: in all but for the fewest parts, and in a call
FEWEST_PARTS = 16
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
    """The same of any model that gives probabilities (n, k) of texts, which lose a line each.

    Of very long functions they lose a part each, whose fall its lines share.
    """
    found = list[np.ndarray]()
    for function, place in zip(functions, classes, strict=True):
        lines = function.split("\n")
        n_parts = min(len(lines), max(FEWEST_PARTS, READ // (1 + len(function))))
        ends = np.linspace(0, len(lines), n_parts + 1).astype(np.int64)
        texts = [function, *("\n".join(lines[:a] + lines[b:]) for a, b in pairwise(ends))]
        said = np.concatenate([predict_proba(some)[:, place] for some in _in_calls(texts)])
        odds = logit(np.clip(said.astype(np.float64), SMALLEST, 1 - SMALLEST))
        n_lines = np.diff(ends)
        found.append(np.repeat((odds[0] - odds[1:]) / n_lines, n_lines))
    return found


def _in_calls(texts: list[str]) -> Iterator[list[str]]:
    """The texts, so many at once as a call may take characters."""
    at_once = 1 + AT_ONCE // (1 + len(texts[0]))
    for start in range(0, len(texts), at_once):
        yield texts[start : start + at_once]


def _read_lines(tokens: TokensOfLines) -> np.ndarray:
    """The lines that have tokens."""
    return np.unique(tokens.lines[tokens.lines >= 0])


def _without(tokens: TokensOfLines, line: int) -> list[int]:
    kept = np.flatnonzero(tokens.lines != line)
    return [tokens.input_ids[place] for place in kept]
