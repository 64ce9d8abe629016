"""Does stacking pay? One comparison, declared on validation and measured once on test.

Everything else that test tells is explored, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from enstack.metrics.chance import no_better_than_chance
from enstack.metrics.label_task import LabelTask
from enstack.stacking.baselines import WORDS
from enstack.stacking.leaps import Leap
from enstack.stacking.titles import title
from enstack.stacking.votes import MEAN_VOTE
from enstack.statistics.bootstrap import Difference, difference
from enstack.statistics.cells import PairedCells, paired
from enstack.statistics.paired_tests import holm, mcnemar
from enstack.statistics.power import smallest_shown
from enstack.statistics.winner import corrected

__all__ = ["Declared", "Explored", "Judged", "OnOtherFunctions", "VerdictFigures", "judge"]

Outcome = Literal["better", "not shown", "worse"]


@dataclass(frozen=True)
class Declared:
    """The one comparison of a run, fixed before any test probability is read.

    candidate: the best combination of base models on validation; against: the best there of base
    models, their mean vote and word counts. counted_classes: those with enough test functions, over
    which macro-F1 is the mean. before: what this run had declared earlier, and measured on test.
    """

    measure: str
    candidate: str
    against: str
    counted_classes: list[str]
    resamples: int
    seed: int
    before: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """What is compared on test: of every model by its key the decisions, (n,) or (n, k) bool.

    clusters: (n,) int64, the same for near-duplicates, which depend on each other. near: (n,) bool,
    those that have a near-duplicate in train; None where that is not known.
    """

    task: LabelTask
    labels: np.ndarray
    decisions: Mapping[str, np.ndarray]
    clusters: np.ndarray | None
    near: np.ndarray | None = None

    def without_near(self, *keys: str) -> Judged | None:
        """The same of these models and the functions that train is not near; None without both."""
        if self.near is None or self.near.all() or not self.near.any():
            return None
        kept = ~self.near
        return Judged(
            self.task,
            self.labels[kept],
            {key: self.decisions[key][kept] for key in keys},
            None if self.clusters is None else self.clusters[kept],
        )

    def pair(self, first: str, second: str) -> PairedCells:
        """The two models' decisions, counted together."""
        return paired(
            self.task, self.labels, self.decisions[first], self.decisions[second], self.clusters
        )

    def only_right(self, first: str, second: str) -> int:
        """How many functions the first one alone decides right."""
        ours, theirs = (
            self.task.right(self.labels, self.decisions[key]) for key in (first, second)
        )
        return int((ours & ~theirs).sum())

    def collapsed(self, *kinds: str) -> list[str]:
        """The titles of models of these kinds that do not tell functions apart."""
        asked = [key for key in self.decisions if key.partition(":")[0] in kinds]
        return [
            title(key)
            for key in asked
            if self.labels_differ and no_better_than_chance(self._mcc(key))
        ]

    @property
    def labels_differ(self) -> bool:
        """Whether there is anything to tell apart."""
        return len(np.unique(self.labels, axis=0)) > 1

    def _mcc(self, key: str) -> float:
        counts = self.task.counts_of_rows(self.labels, self.decisions[key]).sum(axis=0)
        return float(self.task.mcc_of_counts(counts))


@dataclass(frozen=True)
class Explored:
    """A comparison that nobody declared: p_holm is its p among all of these (Holm 1979)."""

    first: str
    second: str
    difference: Difference
    p_holm: float


@dataclass(frozen=True)
class OnOtherFunctions:
    """The declared comparison on the n functions that have no near-duplicate in train: explored."""

    n: int
    difference: Difference
    p_holm: float


@dataclass(frozen=True)
class VerdictFigures:
    """What test tells of a run's stack.

    difference: the candidate less the alternative on the declared measure; all_classes: macro-F1
    over every class; word_counts: less word counts, None where these were not asked.
    smallest_shown: the difference that this test set shows in 80 % of cases, None where the two
    always decide alike. only_candidate_right, only_other_right: functions. mcnemar_p: None where
    functions depend on each other, which McNemar's test does not know. labels_differ: whether
    test functions do, in their labels. collapsed: titles of base models that do not tell functions
    apart. corrected: the best row of test, its figure, and what is left of it when its having been
    chosen on test is taken off. explored: the candidate against all other rows.
    collapsed_combinations: titles of votes and stacks that tell nothing apart; leaps: base models
    that are far better on test than before; without_near_duplicates: None where test has none, or
    nothing else. None of the three in files that are older.
    """

    outcome: Outcome
    declared: Declared
    candidate_title: str
    against_title: str
    n: int
    difference: Difference
    smallest_shown: float | None
    all_classes: Difference
    accuracy: Difference
    mcc: Difference
    word_counts: Difference | None
    only_candidate_right: int
    only_other_right: int
    mcnemar_p: float | None
    labels_differ: bool
    small_classes: list[str]
    collapsed: list[str]
    corrected: dict[str, Any]
    explored: list[Explored]
    collapsed_combinations: list[str] = field(default_factory=list)
    leaps: list[Leap] = field(default_factory=list)
    without_near_duplicates: OnOtherFunctions | None = None

    @property
    def ahead(self) -> Explored | None:
        """Of a better stack, what was explored: the simpler model that is furthest above it.

        Simpler: a base model or the mean of all; with p below .05 among all that was explored.
        """
        above = [
            one
            for one in self.explored
            if (one.second.startswith("base:") or one.second == MEAN_VOTE)
            and one.difference.high < 0
            and one.p_holm < 0.05
        ]
        if self.outcome != "better" or not above:
            return None
        return min(above, key=lambda one: one.difference.value)


def judge(declared: Declared, judged: Judged) -> VerdictFigures:
    """Measure what was declared: the candidate against the alternative, and word counts.

    Better only where word counts are beaten too: what counts words needs no GPU.
    """
    task, candidate, against = judged.task, declared.candidate, declared.against
    counted = np.isin(task.class_names, declared.counted_classes)

    def less(
        other: str, measure: str = declared.measure, counts: Any = counted, of: Judged = judged
    ) -> Difference:
        return difference(
            of.pair(candidate, other),
            measure,
            classes=counts,
            seed=declared.seed,
            n_resamples=declared.resamples,
        )

    pair = judged.pair(candidate, against)
    main, words = less(against), less(WORDS) if WORDS in judged.decisions else None
    only = judged.only_right(candidate, against), judged.only_right(against, candidate)
    others = [key for key in judged.decisions if key not in (candidate, against, WORDS)]
    apart = judged.without_near(candidate, against)
    explored, on_others = _explored(
        candidate,
        {key: less(key) for key in others},
        None if apart is None else (len(apart.labels), less(against, of=apart)),
    )
    return VerdictFigures(
        outcome=_outcome(main, words, judged.labels_differ),
        declared=declared,
        candidate_title=title(candidate),
        against_title=title(against),
        n=len(judged.labels),
        difference=main,
        smallest_shown=smallest_shown(main),
        all_classes=less(against, "macro_f1", None),
        accuracy=less(against, "accuracy"),
        mcc=less(against, "mcc"),
        word_counts=words,
        only_candidate_right=only[0],
        only_other_right=only[1],
        mcnemar_p=mcnemar(*only) if pair.rows_together == 1 else None,
        labels_differ=judged.labels_differ,
        small_classes=[name for name in task.class_names if name not in declared.counted_classes],
        collapsed=judged.collapsed("base"),
        collapsed_combinations=judged.collapsed("vote", "stack"),
        corrected=corrected(
            task,
            judged.labels,
            judged.decisions,
            declared.measure,
            classes=counted,
            clusters=judged.clusters,
            seed=declared.seed,
        ),
        explored=explored,
        without_near_duplicates=on_others,
    )


def _outcome(main: Difference, words: Difference | None, labels_differ: bool) -> Outcome:
    if not labels_differ:
        return "not shown"  # a model that calls everything so would be the best
    if main.high < 0:
        return "worse"
    beats_words = words is None or words.low > 0
    return "better" if main.low > 0 and beats_words else "not shown"


def _explored(
    candidate: str, found: Mapping[str, Difference], apart: tuple[int, Difference] | None
) -> tuple[list[Explored], OnOtherFunctions | None]:
    """What nobody declared, with p among all of it; apart: functions, and the difference there."""
    every = [*found.values(), *([apart[1]] if apart else [])]
    adjusted = holm([one.p for one in every])
    explored = [
        Explored(candidate, key, one, float(p))
        for (key, one), p in zip(found.items(), adjusted, strict=False)
    ]
    return explored, OnOtherFunctions(*apart, float(adjusted[-1])) if apart else None
