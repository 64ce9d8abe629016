"""What a run may choose from: subsets of the base models, each combined in several ways."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.stacking.meta_features import BaseModelProbabilities, Form, taken
from enstack.stacking.stack import MetaClassifier, fit_meta_classifier
from enstack.stacking.votes import Score, Vote, fit_temperatures, greedy_picks

__all__ = [
    "FITTED_ROWS",
    "Candidate",
    "Combination",
    "candidates",
    "fit_candidate",
    "members_of",
    "shown",
    "spread_rows",
    "subsets",
]

Combination = Vote | MetaClassifier
# Rows that each is fitted on at most: a handful of columns teach no more, and an SVM's time grows
# with their square. Measured in docs/decisions.md.
FITTED_ROWS = {"svm": 4_000, "rf": 5_000, "xgboost": 10_000, "lr": 50_000, "votes": 20_000}
# Trees ask which of two numbers is larger: on logarithms they would be the same model once more,
# but for where between two rows a threshold falls.
SEE_ORDER_ALONE = {"rf", "xgboost"}
# All pairs of six base models are 15; of twenty they would be 190, each in ten ways.
EVERY_SUBSET_UP_TO, PAIRS_UP_TO = 3, 6


@dataclass(frozen=True)
class Candidate:
    """One way to judge functions: by these base models, in this way.

    kind: "base", "vote" or "stack". way: of a base model its name, of a vote "mean" or "greedy", of
    a stack its meta-classifier. form: "tempered" votes temper each base model first, "log" stacks
    are fitted on log-probabilities. whole: whether the members are all base models of the run.
    """

    kind: Literal["base", "vote", "stack"]
    way: str
    members: tuple[str, ...]
    form: Literal["", "log", "tempered"] = ""
    whole: bool = True

    @property
    def key(self) -> str:
        """As files and the leaderboard name it: "stack:lr~log@codebert+unixcoder"."""
        form = f"~{self.form}" if self.form else ""
        members = "" if self.whole or self.kind == "base" else f"@{'+'.join(self.members)}"
        return f"{self.kind}:{self.way}{form}{members}"

    @property
    def name(self) -> str:
        """The key without its kind."""
        return self.key.partition(":")[2]

    @property
    def is_fitted(self) -> bool:
        """Whether rows teach it anything: what is not fitted is measured on any row as it is."""
        return self.kind == "stack" or self.way == "greedy" or self.form == "tempered"

    def input_form(self, task: LabelTask) -> Form:
        """What a stack of it is given; of flags, each by itself, yes has as much to tell as no."""
        if not self.form:
            return "probabilities"
        return "log_odds" if task.has_thresholds else "log_probabilities"

    @property
    def most_rows(self) -> int:
        """How many rows it is fitted on at most."""
        return FITTED_ROWS[self.way if self.kind == "stack" else "votes"]


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The subsets of the base models that are tried, the smallest first.

    Every subset of up to three; each alone, all pairs and the whole of up to six; of more, each
    alone and the whole, so that the time grows with their number and no faster.
    """
    n = len(names)
    sizes = (
        range(1, n + 1) if n <= EVERY_SUBSET_UP_TO else [1, 2, n] if n <= PAIRS_UP_TO else [1, n]
    )
    return [members for size in sizes for members in itertools.combinations(names, size)]


def candidates(names: Sequence[str], meta_classifiers: Sequence[str]) -> list[Candidate]:
    """All that is tried, the simplest first, as of equal scores the first one wins.

    names: the base models; meta_classifiers: those of the configuration.
    """
    every, whole = subsets(names), tuple(names)
    several = [members for members in every if len(members) > 1]
    # No base model alone is tempered: what it answers stays the same.
    votes = [
        Candidate("vote", "mean", members, form, members == whole)
        for form in ("", "tempered")
        for members in sorted(several, key=whole.__ne__)  # the mean of all before its subsets
    ]
    greedy = [Candidate("vote", "greedy", whole, form) for form in ("", "tempered")]
    stacks = [
        Candidate("stack", name, members, form, members == whole)
        for members in every
        for form in ("", "log")
        for name in meta_classifiers
        if not (form and name in SEE_ORDER_ALONE)
    ]
    alone = [Candidate("base", name, (name,)) for name in names]
    # A choice among one model, and its mean, are that model.
    return [*alone, *votes, *(greedy if several else []), *stacks]


def shown(
    names: Sequence[str], meta_classifiers: Sequence[str], chosen: str | None
) -> list[Candidate]:
    """The votes and stacks of the leaderboard: of all base models as they are, and the chosen."""
    return [
        candidate
        for candidate in candidates(names, meta_classifiers)
        if candidate.key == chosen
        or (candidate.kind != "base" and candidate.whole and not candidate.form)
    ]


def fit_candidate(
    candidate: Candidate,
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    task: LabelTask,
    *,
    seed: int,
    score: Score,
) -> Combination:
    """A candidate fitted on rows of all base models, at most FITTED_ROWS of them, by strata.

    labels: (n,) int, or (n, k) bool, of the same rows; score: what a greedy vote is to make high.
    Raises DataError as fit_meta_classifier.
    """
    members = members_of(models, candidate.members)
    if not candidate.is_fitted:
        return Vote(dict.fromkeys(candidate.members, 1))
    rows = spread_rows(task.strata(labels), candidate.most_rows, seed)
    members = [taken(model, rows) for model in members]
    if candidate.kind == "stack":
        form = candidate.input_form(task)
        return fit_meta_classifier(
            candidate.way, members, labels[rows], task=task, seed=seed, form=form
        )
    return _fit_vote(candidate, members, labels[rows], task, score)


def members_of(
    models: Sequence[BaseModelProbabilities], names: Sequence[str]
) -> list[BaseModelProbabilities]:
    """The models of these names, in the order of the names."""
    by_name = {model.name: model for model in models}
    return [by_name[name] for name in names]


def spread_rows(groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many rows (m,) int64, sorted, each group in proportion: its first row always.

    groups: (n,) int64, the strata of the label task.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    # RandomState: its stream is frozen, so the choice is the same under every NumPy.
    shuffled = np.random.RandomState(seed).permutation(len(groups))
    _, group, sizes = np.unique(groups[shuffled], return_inverse=True, return_counts=True)
    by_group = np.argsort(group, kind="stable")
    place = np.empty(len(groups), dtype=np.int64)
    place[by_group] = np.arange(len(groups)) - np.repeat(sizes.cumsum() - sizes, sizes)
    # How far within its group a row stands, from 0: those that stand first are the choice.
    nearest = np.argsort(place / sizes[group], kind="stable")[:most]
    return np.sort(shuffled[nearest])


def _fit_vote(
    candidate: Candidate,
    members: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    task: LabelTask,
    score: Score,
) -> Vote:
    temperatures = fit_temperatures(members, labels, task) if candidate.form else {}
    if candidate.way == "mean":
        return Vote(dict.fromkeys(candidate.members, 1), temperatures)
    said = {
        model.name: Vote({model.name: 1}, temperatures).predict_proba([model], task)
        for model in members
    }
    picks = greedy_picks(said, functools.partial(score, labels))
    return Vote(picks, {name: temperatures[name] for name in picks if name in temperatures})
