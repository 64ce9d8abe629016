"""Which model a run chooses for others to use: the best on rows that no base model has seen.

The stacks' own fit says nothing about them, and the test rows must not choose: what is measured is
probabilities of rows that neither a base model nor the stack was fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from enstack.data.subsets import stratified_parts
from enstack.metrics.label_task import LabelTask
from enstack.progress.bars import Bar
from enstack.stacking.meta_features import BaseModelProbabilities, mean_vote, refuse_leaks
from enstack.stacking.stack import fit_meta_classifiers

MOST_PARTS = 5


@dataclass(frozen=True)
class Selection:
    """Macro-F1 of every candidate, the simplest first, on n_functions rows.

    n_parts: in how many parts stacks were fitted and measured; 0 where the rows are too few for it,
    and no stack is a candidate.
    """

    n_functions: int
    n_parts: int
    scores: dict[str, float]

    @property
    def best(self) -> str:
        """The candidate with the best score; of several, the simplest."""
        # The winner's own score is too high: of 30 equal candidates at 3,900 rows, by .008. It
        # chooses and is no estimate; that is the test split's.
        return max(self.scores, key=self.scores.__getitem__)  # max gives the first of equal ones

    def to_json(self) -> dict[str, Any]:
        """What selection.json holds."""
        return {
            "measure": "macro_f1",
            "functions": self.n_functions,
            "parts": self.n_parts,
            "scores": self.scores,
            "best": self.best,
        }


def select_model(
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    task: LabelTask,
    meta_classifiers: Sequence[str],
    *,
    seed: int,
) -> Selection:
    """Score base models, their mean vote and stacks, "kind:name", on the rows stacks are fitted on.

    models: as fit_meta_classifiers takes them; labels: of the same rows. Base models and the vote
    are taken as they are, stacks out of fold. Thresholds of flags are chosen on the rows that are
    measured, for every candidate alike. Raises DataError for a row that a base model has seen.
    """
    refuse_leaks(models)
    # By id: how the rows came must not decide which rows share a part.
    order = np.argsort(models[0].ids, kind="stable")
    models, labels = [_taken(model, order) for model in models], labels[order]
    # The simplest first, as of equal scores the first one wins.
    candidates = {f"base:{model.name}": model.probabilities for model in models}
    if len(models) > 1:
        candidates["vote:mean"] = mean_vote(models)
    part_of = dividing_parts(labels, task, seed)
    n_parts = 0 if part_of is None else int(part_of.max()) + 1
    if part_of is not None:
        stacks = _out_of_fold(models, labels, task, meta_classifiers, part_of, seed)
        candidates |= {f"stack:{name}": values for name, values in stacks.items()}
    scores = {key: _macro_f1(labels, values, task) for key, values in candidates.items()}
    return Selection(len(labels), n_parts, scores)


def dividing_parts(labels: np.ndarray, task: LabelTask, seed: int) -> np.ndarray | None:
    """The part (n,) int64 of each row, 5 or fewer in all; None where no division serves.

    A division serves if something can be learned from the rows outside of each part.
    """
    # From many to few: the more parts, the more rows each stack is fitted on.
    for n_parts in range(min(MOST_PARTS, len(labels)), 1, -1):
        part_of = stratified_parts(task.strata(labels), n_parts, seed)
        if all(task.learnable(labels[part_of != part]) for part in range(n_parts)):
            return part_of
    return None


def _out_of_fold(
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    task: LabelTask,
    names: Sequence[str],
    part_of: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Probabilities (n, k) of each row by stacks fitted on the other parts, by name."""
    n_parts = int(part_of.max()) + 1
    probabilities = {
        name: np.zeros((len(labels), task.n_classes), dtype=np.float32) for name in names
    }
    with Bar(n_parts, "Choosing the model") as bar:
        for part in range(n_parts):
            inside, rest = np.flatnonzero(part_of == part), np.flatnonzero(part_of != part)
            on_rest = [_taken(model, rest) for model in models]
            left_out = [_taken(model, inside) for model in models]
            fitted = fit_meta_classifiers(names, on_rest, labels[rest], task=task, seed=seed)
            for name, stack in fitted.items():
                probabilities[name][inside] = stack.predict_proba(left_out, task.n_classes)
            bar.advance()
    return probabilities


def _macro_f1(labels: np.ndarray, probabilities: np.ndarray, task: LabelTask) -> float:
    # On the rows that are measured: too kind, but to every candidate alike.
    thresholds = task.choose_thresholds(labels, probabilities)
    return task.accuracy_and_macro_f1(labels, task.decide(probabilities, thresholds))[1]


def _taken(model: BaseModelProbabilities, rows: np.ndarray) -> BaseModelProbabilities:
    return replace(
        model, ids=model.ids[rows], probabilities=model.probabilities[rows], seen=model.seen[rows]
    )
