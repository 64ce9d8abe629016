"""The surest mistakes of the chosen model on test, with their code: reports have no texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from enstack.data.functions import Functions
from enstack.metrics.label_task import LabelTask

__all__ = ["WrongFunction", "WrongFunctions", "surest_mistakes"]

MOST_FUNCTIONS, MOST_OF_A_LABEL = 10, 3
MOST_LINES, MOST_CHARACTERS = 60, 4000  # of the code of each: a report is no copy of the data


@dataclass(frozen=True)
class WrongFunction:
    """A test function that a model judged wrongly.

    confidence: the probability of what was said, of flags of the wrong one it was surest of.
    characters: of the whole code, of which `code` is the beginning.
    """

    id: str
    label: str
    said: str
    confidence: float
    code: str
    characters: int


@dataclass(frozen=True)
class WrongFunctions:
    """Those that the model `key` was surest of, the surest first, of n_wrong among n."""

    key: str
    n: int
    n_wrong: int
    functions: list[WrongFunction]


def surest_mistakes(
    key: str,
    functions: Functions,
    task: LabelTask,
    probabilities: np.ndarray,
    decisions: np.ndarray,
) -> WrongFunctions:
    """The surest mistakes of a model, at most three of one label where others are to be had.

    probabilities: (n, k) of the functions, and decisions, (n,) or (n, k), what they become.
    """
    labels = functions.labels
    confidence = _confidence(task, labels, probabilities, decisions)
    wrong = np.flatnonzero(~task.right(labels, decisions))
    names = [task.label_name(labels[row]) for row in wrong]
    order = np.argsort(-confidence[wrong], kind="stable")
    chosen = wrong[_varied([names[place] for place in order], order)]
    code = functions.take(chosen).sources.to_pylist()
    found = [
        WrongFunction(
            id=str(functions.ids[row]),
            label=task.label_name(labels[row]),
            said=task.label_name(decisions[row]),
            confidence=float(confidence[row]),
            code=_beginning(text),
            characters=len(text),
        )
        for row, text in zip(chosen, code, strict=True)
    ]
    return WrongFunctions(key, len(labels), len(wrong), found)


def _confidence(
    task: LabelTask, labels: np.ndarray, probabilities: np.ndarray, decisions: np.ndarray
) -> np.ndarray:
    """How sure a model was (n,) of the worst that it said of each function; 0 where it is right."""
    has, said = task.has_class(labels), task.has_class(decisions)
    # Of one class, what was said is the mistake; of flags, what was not said is one as well.
    mistaken = (has != said) if task.has_thresholds else (said & ~has)
    sure = np.where(said, probabilities, 1 - probabilities)
    surest: np.ndarray = np.where(mistaken, sure, 0.0).max(axis=1)
    return surest


def _varied(names: Sequence[str], order: np.ndarray) -> np.ndarray:
    """Of places in order, surest first, those that are shown; names: of their labels."""
    seen: Counter[str] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for rank, name in enumerate(names):
        seen[name] += 1
        (first if seen[name] <= MOST_OF_A_LABEL else rest).append(rank)
    ranks = sorted([*first, *rest][:MOST_FUNCTIONS])
    return order[ranks]


def _beginning(text: str) -> str:
    begun = "\n".join(text[:MOST_CHARACTERS].split("\n")[:MOST_LINES])
    # Blank lines at the end are no loss to be told of.
    return begun if text[len(begun) :].strip() else text
