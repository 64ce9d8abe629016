"""How well a model's line scores find flaws that are known, beside what needs no model."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from enstack.bundle.trained_model import TrainedModel
from enstack.data.vulnerability_data import Functions
from enstack.duplicates.lexer import LONGEST
from enstack.errors import DataError
from enstack.lines.faithfulness import deletion_and_insertion
from enstack.lines.methods import METHODS
from enstack.lines.plain import PLAIN
from enstack.metrics.label_task import CLEAN
from enstack.metrics.line_ranking import (
    LineRanking,
    effort_at_recall,
    rank_lines,
    recall_at_effort,
)
from enstack.models.windows import windows_of

__all__ = ["KnownLines", "MeasuredLines", "known_lines", "measure_lines"]

RECALL, EFFORT = 0.2, 0.01  # Effort@20%Recall and Recall@1%LOC
# Functions whose lines go and come, evenly over all: each takes twenty predictions a method.
MOST_TRIED = 50


@dataclass(frozen=True, eq=False)
class KnownLines:
    """Functions of which every line is known to be flawed or not; n in all.

    flawed: of each its lines (n_lines,) bool. vulnerable, alerted: (n,) bool, by label and by the
    model. whole: (n,) bool, which ones every base model reads to the end; classes: (n,) the column
    of the likeliest class but the clean one.
    """

    texts: list[str]
    flawed: list[np.ndarray]
    vulnerable: np.ndarray
    alerted: np.ndarray
    whole: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class MeasuredLines:
    """What one method's scores are worth; see metrics.line_ranking and lines.faithfulness.

    ranking: over vulnerable functions; the others over all functions. deletion, insertion: over
    MOST_TRIED of the alerted ones that are read whole. seconds: of processors, for a function.
    """

    method: str
    ranking: LineRanking
    effort_at_20_recall: float
    recall_at_1_loc: float
    deletion: float
    insertion: float
    seconds: float


def known_lines(model: TrainedModel, functions: Functions) -> KnownLines:
    """The functions whose flawed lines are known: vulnerable ones with marks, and clean ones.

    Raises DataError where no vulnerable function has a mark.
    """
    vulnerable = model.task.vulnerable(functions.labels)
    if vulnerable is None:  # the classes have no clean one
        vulnerable = np.ones(len(functions), dtype=np.bool_)
    marks = [] if functions.flaw_lines is None else functions.flaw_lines.to_pylist()
    known = [row for row, lines in enumerate(marks) if bool(lines) == vulnerable[row]]
    if not vulnerable[known].any():
        raise DataError(
            "Line scores can be measured where lines are marked as flaws; no vulnerable function "
            "has one. Put flaw_lines.jsonl beside the data, see docs/data.md."
        )
    texts = functions.take(np.array(known)).sources.to_pylist()
    probabilities = model.predict_proba(texts)
    alerted = model.task.vulnerable(model.task.decide(probabilities, model.thresholds))
    asked = np.array([place for place, name in enumerate(model.class_names) if name != CLEAN])
    return KnownLines(
        texts=texts,
        flawed=[_flawed(text, marks[row]) for text, row in zip(texts, known, strict=True)],
        vulnerable=vulnerable[known],
        alerted=np.ones(len(texts), dtype=np.bool_) if alerted is None else alerted,
        whole=np.array([len(windows_of(t, model.base_models, LONGEST)) == 1 for t in texts]),
        classes=asked[probabilities[:, asked].argmax(axis=1)],
    )


def measure_lines(
    model: TrainedModel, known: KnownLines, methods: Sequence[str] = tuple(METHODS)
) -> list[MeasuredLines]:
    """What each method's scores are worth, and first those that need no model."""
    scored = {name: functools.partial(_of_each, score) for name, score in PLAIN.items()}
    scored |= {name: functools.partial(model.line_scores, method=name) for name in methods}
    return [_measured(name, model, known, score) for name, score in scored.items()]


def _of_each(score: Callable[[str], np.ndarray], texts: Sequence[str]) -> list[np.ndarray]:
    return [score(text) for text in texts]


def _measured(
    method: str,
    model: TrainedModel,
    known: KnownLines,
    score: Callable[[list[str]], list[np.ndarray]],
) -> MeasuredLines:
    started = time.process_time()
    scores = score(known.texts)
    seconds = (time.process_time() - started) / len(known.texts)
    # A line without anything in it is none that anybody reads.
    holds = [np.array([bool(line.strip()) for line in t.split("\n")]) for t in known.texts]
    read = [of_lines[there] for of_lines, there in zip(scores, holds, strict=True)]
    flawed = [marked[there] for marked, there in zip(known.flawed, holds, strict=True)]
    alerted = np.repeat(known.alerted, list(map(len, read)))
    pooled = np.concatenate(read), np.concatenate(flawed), alerted
    rows = _spread(np.flatnonzero(known.whole & known.alerted)).tolist()
    deletion, insertion = deletion_and_insertion(
        model.predict_proba,
        [known.texts[row] for row in rows],
        known.classes[rows].tolist(),
        [scores[row] for row in rows],
    )
    return MeasuredLines(
        method=method,
        ranking=rank_lines(read, flawed),
        effort_at_20_recall=effort_at_recall(*pooled, RECALL),
        recall_at_1_loc=recall_at_effort(*pooled, EFFORT),
        deletion=deletion,
        insertion=insertion,
        seconds=seconds,
    )


def _spread(rows: np.ndarray) -> np.ndarray:
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_TRIED))
    return np.asarray(rows[places.astype(np.int64)])


def _flawed(text: str, lines: Sequence[int]) -> np.ndarray:
    marked = np.zeros(1 + text.count("\n"), dtype=np.bool_)
    marked[[line - 1 for line in lines]] = True
    return marked
