"""What a report shows of a run, for the page, the figures and the notebook: values, no files.

Fields are the keys of report.json, in their order.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from enstack.data.made_up import says_made_up
from enstack.reporting.background import Alert, Choice, Provenance
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.paper import PaperRow
from enstack.reporting.seeds import Seeds
from enstack.storage.json_text import json_values

__all__ = [
    "Bin",
    "Comparison",
    "Epoch",
    "Evaluation",
    "FlagEvaluation",
    "NaturalFrequencies",
    "NaturalFrequenciesRow",
    "Reliability",
    "ReportContent",
    "TrainingCurve",
    "WithoutNearDuplicates",
    "WithoutNearDuplicatesRow",
]


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
    """A leaderboard row with each class weighted; precision: of each class."""

    key: str
    accuracy: float | None  # of flags it needs all of a row at once
    macro_precision: float
    macro_f1: float
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
class Comparison:
    """The best stack's macro-F1 less another row's, with the ends of its 95 % interval."""

    stack: str
    stack_title: str
    other: str
    other_kind: str
    other_title: str
    difference: float
    low: float
    high: float
    holds_zero: bool
    only_stack_right: int
    only_other_right: int


@dataclass(frozen=True)
class Bin:
    """n decisions of like confidence: its mean, and the share that is right."""

    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error and the bins that it is made of."""

    ece: float
    bins: list[Bin]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every figure of one leaderboard row on test.

    per_class: as metrics.label_task.evaluate has it; confusion: rows true, by confusion_classes.
    """

    key: str
    kind: str
    title: str
    n: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    mcc: float
    auc: float | None  # None where test holds one side alone of each class
    per_class: list[dict[str, Any]]
    confusion: list[list[int]]
    confusion_classes: list[str]
    reliability: Reliability


@dataclass(frozen=True, kw_only=True)
class FlagEvaluation(Evaluation):
    """The same of label mode multilabel, with the figures that only flags have."""

    average_precision: float | None
    micro_f1: float
    hamming_loss: float


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

    leaderboard: best macro-F1 first; apart: its rows where train does not hold the answer; natural:
    None where classes come as often as in the whole data; comparisons: the best stack with its best
    member and with the mean vote; chosen: what choice names, which
    test did not choose; best_base, best_stack: the best base model and stack on test, None where
    that is chosen or there is none; verdict: stacking/verdict.json, None where a run is older than
    that; paper: None where the subset is not the paper's; warnings: of
    base models that learned nothing, or whose epochs were trained with changing settings; data and
    settings: data.json and config.json of the run, as far as they are for its readers; seeds: None
    for a run of one seed.
    """

    run: str
    verdict: dict[str, Any] | None
    choice: Choice
    alerts: list[Alert]
    leaderboard: list[LeaderboardRow]
    apart: WithoutNearDuplicates
    natural: NaturalFrequencies | None
    comparisons: list[Comparison]
    chosen: Evaluation | FlagEvaluation
    best_base: Evaluation | FlagEvaluation | None
    best_stack: Evaluation | FlagEvaluation | None
    training: list[TrainingCurve]
    warnings: list[str]
    paper: list[PaperRow] | None
    data: dict[str, Any]
    settings: dict[str, Any]
    provenance: Provenance
    seeds: Seeds | None = None

    @property
    def made_up(self) -> bool:
        """Whether the functions are made up, which tell nothing of real code."""
        return says_made_up(self.settings.get("data_dir"), self.data["notes"])

    def to_json(self) -> dict[str, Any]:
        """The content of report.json."""
        values: dict[str, Any] = json_values(dataclasses.asdict(self))
        return values
