"""What a report shows of a run, for the page, the figures and the notebook: values, no files.

Fields are the keys of report.json, in their order.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from enstack.reporting.background import Alert, Choice, Provenance
from enstack.reporting.evaluation import Detection, Evaluation, FlagEvaluation, Projects
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.paper import PaperRow
from enstack.reporting.seeds import Seeds
from enstack.stacking.costs import Cost
from enstack.stacking.verdict_text import Verdict
from enstack.stacking.wrong_functions import WrongFunctions
from enstack.storage.json_text import json_values

__all__ = [
    "REPORT_EDITION",
    "Agreement",
    "Collapsed",
    "Epoch",
    "NaturalFrequencies",
    "NaturalFrequenciesRow",
    "Pair",
    "ReportContent",
    "TrainingCurve",
    "Truncated",
    "WithoutNearDuplicates",
    "WithoutNearDuplicatesRow",
]

REPORT_EDITION = 21  # raise when a report shows more, so that finished runs get it too


@dataclass(frozen=True)
class WithoutNearDuplicatesRow:
    """A leaderboard row on these functions alone; None where there are none."""

    key: str
    kind: str
    name: str
    title: str
    accuracy: float | None
    macro_f1: float | None


@dataclass(frozen=True)
class WithoutNearDuplicates:
    """The n test functions that have no near-duplicate in train, from which Jaccard similarity."""

    threshold: float
    n: int
    rows: list[WithoutNearDuplicatesRow]


@dataclass(frozen=True)
class NaturalFrequenciesRow:
    """A leaderboard row with each class weighted; precision: of each class.

    detection: vulnerable or not, None where it is not asked or how many were is not known.
    """

    key: str
    accuracy: float | None  # of flags it needs all of a row at once
    macro_precision: float
    macro_f1: float
    mcc: float
    average_precision: float | None
    detection: Detection | None
    precision: list[float]
    f1: list[float]
    missing: list[int]


@dataclass(frozen=True)
class NaturalFrequencies:
    """The rows at the frequencies that classes had before the subset was drawn.

    frequencies: test functions of each class, of how many; missing: classes that have no test
    function here.
    """

    frequencies: dict[str, int]
    of: int
    missing: list[str]
    rows: list[NaturalFrequenciesRow]


@dataclass(frozen=True)
class Pair:
    """How far two rows of the leaderboard say the same, and are wrong together.

    same: the share of test functions with equal answers; both_right to both_wrong: functions;
    double_fault: the share where both are wrong; error_overlap: of the functions where any is
    wrong, the share where both are; same_error: of those where both are, the share with the same
    wrong answer. None where there is no such function.
    """

    first: str
    second: str
    same: float
    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    double_fault: float
    error_overlap: float | None
    same_error: float | None


@dataclass(frozen=True)
class Agreement:
    """Every pair of rows; right_by_none: test functions that no base model answers right.

    That many of n no choice among the base models' answers can mend.
    """

    n: int
    right_by_none: int
    pairs: list[Pair]


@dataclass(frozen=True)
class Collapsed:
    """A row that tells functions apart no better than chance; only_answer: if it has just one."""

    key: str
    title: str
    mcc: float
    only_answer: str | None


@dataclass(frozen=True)
class Truncated:
    """Functions of a class in a split that were too long for a base model, of how many."""

    base_model: str
    split: str
    class_name: str
    truncated: int
    functions: int


@dataclass(frozen=True)
class Epoch:
    """One epoch of a base model; None for a loss that was not finite.

    best: best so far; trained_with: the settings that may change between two epochs.
    """

    epoch: int
    train_loss: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_macro_f1: float | None
    best: bool
    trained_with: dict[str, Any] = field(default_factory=dict)  # empty where not recorded


@dataclass(frozen=True)
class TrainingCurve:
    """The epochs of one base model, in order; stopped_early: how, where training did."""

    name: str
    epochs: list[Epoch]
    stopped_early: str | None = None

    @property
    def kept(self) -> Epoch | None:
        """The epoch whose weights were kept: the last that was the best so far."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report shows; what is undefined or not finite is None.

    verdict: stacking/verdict.json, None where a run combines nothing or is older than that;
    how_sure: of it, in plain words; next_step: what to do after it; limits: what the figures can't
    tell; about: what the run is, in a paragraph;
    leaderboard: best macro-F1 first; costs: by its rows' keys, empty where a run is older; apart:
    its rows where train does not hold the answer; natural: None where classes come as often as in
    the whole data; evaluations: of every row, in the leaderboard's order; collapsed: rows but the
    plainest baseline; truncated: none where a run did not record it; chosen: what choice names,
    which test did not choose; best_base, best_stack: the best base model and stack on test, None
    where that is chosen or there is none; wrong_functions: the surest mistakes of the chosen model,
    None where a run is older than they; paper: None where the subset is not the paper's; warnings:
    of base models that learned nothing, or whose epochs were trained with changing
    settings; data and settings: data.json and config.json of the run, as far as they are for its
    readers; seeds: None for a run of one seed; projects: the chosen model project by project, None
    where test names fewer than five, or a run is older than that; edition: of this content, by its
    schema.
    """

    run: str
    verdict: Verdict | None
    how_sure: str | None
    next_step: str | None
    about: str
    limits: list[str]
    choice: Choice
    alerts: list[Alert]
    leaderboard: list[LeaderboardRow]
    costs: dict[str, Cost]
    apart: WithoutNearDuplicates
    natural: NaturalFrequencies | None
    evaluations: list[Evaluation | FlagEvaluation]
    agreement: Agreement
    collapsed: list[Collapsed]
    truncated: list[Truncated]
    chosen: Evaluation | FlagEvaluation
    best_base: Evaluation | FlagEvaluation | None
    best_stack: Evaluation | FlagEvaluation | None
    wrong_functions: WrongFunctions | None
    training: list[TrainingCurve]
    warnings: list[str]
    paper: list[PaperRow] | None
    data: dict[str, Any]
    settings: dict[str, Any]
    provenance: Provenance
    seeds: Seeds | None = None
    projects: Projects | None = None
    edition: int = REPORT_EDITION

    def to_json(self) -> dict[str, Any]:
        """The content of report.json."""
        values: dict[str, Any] = json_values(dataclasses.asdict(self))
        return values
