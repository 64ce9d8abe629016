"""Which model a run chooses, and the one comparison it declares, before test is looked at.

Measured on rows that neither a base model nor the combination was fitted on: a stack's own fit
says nothing about it, and the test rows must not choose.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enstack.data.subsets import stratified_parts
from enstack.metrics.label_task import LabelTask
from enstack.progress.bars import Bar
from enstack.stacking.candidates import (
    FITTED_ROWS,
    Candidate,
    candidates,
    fit_candidate,
    members_of,
)
from enstack.stacking.meta_features import BaseModelProbabilities, refuse_leaks, taken
from enstack.stacking.primary_measure import PrimaryMeasure
from enstack.stacking.votes import MEAN_VOTE

__all__ = ["RESAMPLES", "Selection", "dividing_parts", "select_model"]

MOST_PARTS = 5
MANY_ROWS = 10_000  # half of as many teach a meta-classifier as much as four fifths do
RESAMPLES = 2000  # of the declared comparison


@dataclass(frozen=True)
class Selection:
    """The measure of every candidate, the simplest first, on n_functions rows.

    n_parts: in how many parts stacks were fitted and measured; 0 where the rows are too few for it,
    and nothing that is fitted is a candidate. scores: by key, baselines among them. decisions: what
    each said of the functions of `ids`, (n,) or (n, k), out of sample.
    """

    measure: PrimaryMeasure
    seed: int
    n_parts: int
    candidates: Mapping[str, Candidate]
    scores: Mapping[str, float]
    ids: np.ndarray = field(compare=False, repr=False)
    labels: np.ndarray = field(compare=False, repr=False)
    decisions: Mapping[str, np.ndarray] = field(compare=False, repr=False)

    @property
    def best(self) -> str:
        """The best of all that can judge new functions; of several, the simplest."""
        # The winner's own score is too high: of 30 equal candidates at 3,900 rows, by .008. It
        # chooses and is no estimate; that is the test split's.
        return self._best_of(list(self.candidates))

    @property
    def combination(self) -> str | None:
        """The best of what is made of several base models, or fitted on one."""
        simple = self._simple()
        made = [key for key in self.candidates if key not in simple]
        return self._best_of(made) if made else None

    @property
    def alternative(self) -> str:
        """The best of what is there without a combination: base models, their mean, baselines."""
        return self._best_of(self._simple())

    @property
    def comparison(self) -> dict[str, Any] | None:
        """The one comparison that test will be asked; None where nothing could be combined."""
        if self.combination is None:
            return None
        return {
            "measure": self.measure.name,
            "candidate": self.combination,
            "against": self.alternative,
            "counted_classes": self.measure.counted_classes,
            "resamples": RESAMPLES,
            "seed": self.seed,
        }

    def to_json(self) -> dict[str, Any]:
        """What selection.json holds."""
        return {
            "measure": self.measure.name,
            "counted_classes": self.measure.counted_classes,
            "functions": len(self.ids),
            "parts": self.n_parts,
            "fitted_on_at_most": FITTED_ROWS,
            "scores": dict(self.scores),
            "best": self.best,
            "comparison": self.comparison,
        }

    def _simple(self) -> list[str]:
        alone = [key for key, candidate in self.candidates.items() if candidate.kind == "base"]
        baselines = [key for key in self.scores if key not in self.candidates]
        # The mean of one model is that model.
        return [*alone, *([MEAN_VOTE] if MEAN_VOTE in self.candidates else []), *baselines]

    def _best_of(self, keys: Sequence[str]) -> str:
        return max(keys, key=self.scores.__getitem__)  # max gives the first of equal ones


def select_model(
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    meta_classifiers: Sequence[str],
    measure: PrimaryMeasure,
    *,
    baselines: Mapping[str, np.ndarray],
    seed: int,
) -> Selection:
    """Score every candidate, and baselines, by the measure on the rows that stacks are fitted on.

    models: as fit_meta_classifier takes them; labels: of the same rows; baselines: "kind:name" ->
    probabilities (n, k) of models that were not fitted on these rows. What is fitted is scored out
    of fold. Thresholds of flags are chosen on the rows that are measured, for every candidate
    alike. Raises DataError for a row that a base model has seen.
    """
    refuse_leaks(models)
    # By id: how the rows came must not decide which rows share a part.
    order = np.argsort(models[0].ids, kind="stable")
    models, labels = [taken(model, order) for model in models], labels[order]
    part_of = dividing_parts(labels, measure.task, seed)
    tried = candidates([model.name for model in models], meta_classifiers)
    if part_of is None:
        tried = [candidate for candidate in tried if not candidate.is_fitted]
    decisions = {}
    # One after the other: in threads, scikit-learn's forests trip over each other's warnings.
    with Bar(len(tried), "Choosing the model") as bar:
        for candidate in tried:
            said = _decisions(candidate, models, labels, measure, part_of, seed)
            decisions[candidate.key] = said
            bar.advance()
    decisions |= {
        key: measure.decisions(labels, values[order]) for key, values in baselines.items()
    }
    return Selection(
        measure,
        seed,
        0 if part_of is None else int(part_of.max()) + 1,
        {candidate.key: candidate for candidate in tried},
        {key: measure.of_decisions(labels, said) for key, said in decisions.items()},
        models[0].ids,
        labels,
        decisions,
    )


def dividing_parts(labels: np.ndarray, task: LabelTask, seed: int) -> np.ndarray | None:
    """The part (n,) int64 of each row, 5 or fewer in all; None where no division serves.

    A division serves if something can be learned from the rows outside of each part. MANY_ROWS are
    divided in two.
    """
    most = 2 if len(labels) >= MANY_ROWS else min(MOST_PARTS, len(labels))
    # From many to few: the more parts, the more rows each stack is fitted on.
    for n_parts in range(most, 1, -1):
        part_of = stratified_parts(task.strata(labels), n_parts, seed)
        if all(task.learnable(labels[part_of != part]) for part in range(n_parts)):
            return part_of
    return None


def _decisions(
    candidate: Candidate,
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    measure: PrimaryMeasure,
    part_of: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """What a candidate decides of each row, fitted on the other parts where it is fitted."""
    members = members_of(models, candidate.members)
    fit = functools.partial(
        fit_candidate, candidate, task=measure.task, seed=seed, score=measure.of_probabilities
    )
    if not candidate.is_fitted or part_of is None:
        return measure.decisions(labels, fit(members, labels).predict_proba(members, measure.task))
    probabilities = np.zeros((len(labels), measure.task.n_classes), dtype=np.float32)
    for part in range(int(part_of.max()) + 1):
        inside, rest = np.flatnonzero(part_of == part), np.flatnonzero(part_of != part)
        fitted = fit([taken(model, rest) for model in members], labels[rest])
        # A greedy vote may leave some out.
        asked = [taken(model, inside) for model in members_of(members, fitted.base_models)]
        probabilities[inside] = fitted.predict_proba(asked, measure.task)
    return measure.decisions(labels, probabilities)
