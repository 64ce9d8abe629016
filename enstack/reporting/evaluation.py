"""What a report shows of one model on test: figures, curves, calibration, values without files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "AucDifference",
    "Bin",
    "Budget",
    "Calibration",
    "Detection",
    "Evaluation",
    "FlagEvaluation",
    "Pairwise",
    "PrecisionRecall",
    "ProjectFigures",
    "Projects",
    "Promise",
    "Reliability",
    "RiskCoverage",
]


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


@dataclass(frozen=True)
class PrecisionRecall:
    """Points of a curve, at most 200, recall rising; none where test has one side alone."""

    recall: list[float]
    precision: list[float]


@dataclass(frozen=True)
class RiskCoverage:
    """What share is wrong of the surest decisions, at most 200 points, and the area under them."""

    aurc: float
    coverage: list[float]
    risk: list[float]


@dataclass(frozen=True)
class Budget:
    """What the surest alerts find, so many of 1,000 functions; None below one alert."""

    per_1000: int
    alerts: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class AucDifference:
    """An AUC less another on the same functions, its 95 % interval, and p."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Pairwise:
    """What a model says of n pairs of a vulnerable function and its fixed version, both in test.

    correct: of both what is so; reversed: of neither. listed: the pairs of the file that lists
    them, listed_in, some of which test may lack; None where commits and names tell of pairs.
    """

    n: int
    correct: int
    both_vulnerable: int
    both_benign: int
    reversed: int
    listed: int | None = None
    listed_in: str | None = None


@dataclass(frozen=True)
class ProjectFigures:
    """What a model says of the n test functions of a project, and what word counts say of them.

    name: None for all the projects that have too few functions by themselves. frequent: the share
    of their most frequent class. vulnerable, alerts, found: functions that are, that are said to
    be, and that are both; None where nobody asks that. words: None where they are not there.
    """

    name: str | None
    n: int
    in_train: bool | None
    accuracy: float
    frequent: float
    words: float | None
    vulnerable: int | None
    alerts: int | None
    found: int | None


@dataclass(frozen=True)
class Projects:
    """A model project by project, of n in test: the largest first, and the small ones together.

    mean: of the accuracies of those that have functions enough, each counting as one.
    """

    n: int
    fewest: int
    mean: float | None
    figures: list[ProjectFigures]
    others: ProjectFigures | None


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Vulnerable or not: of `vulnerable` functions, share of all, `alerts` are said to be.

    vd_s: the share that is missed where at most .5 % of the others is alerted. auc,
    average_precision and vd_s are None where test has one side alone. auc_less_word_counts: None
    there too, at another prior, and for word counts themselves. pairs: None where no pairs are
    known, and at another prior.
    """

    n: int
    vulnerable: int
    alerts: int
    share: float
    precision: float
    recall: float
    f1: float
    mcc: float
    auc: float | None
    average_precision: float | None
    vd_s: float | None
    auc_less_word_counts: AucDifference | None
    pairs: Pairwise | None
    budgets: list[Budget]
    curve: PrecisionRecall


@dataclass(frozen=True)
class Promise:
    """A score from which on answers are right to a target, and what came of it on test.

    answers: "classes" for the class with the highest probability, "alerts" for functions that are
    called vulnerable. threshold: chosen on n validation functions, of which `answered` lie above
    it, so that what it promises holds with `confidence`; None where none could be promised.
    """

    answers: str
    target: float
    confidence: float
    threshold: float | None
    n: int
    answered: int
    answered_on_test: int
    right_on_test: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far probabilities can be believed: log-loss on test and what it is made of.

    refinement: what no temperature mends; calibration: the rest. temperature: chosen on
    n_validation functions; tempered_log_loss and tempered are of test with it. None of the three
    where the run is older than temperatures, and for baselines.
    """

    log_loss: float
    refinement: float
    calibration: float
    temperature: float | None = None
    n_validation: int | None = None
    tempered_log_loss: float | None = None
    tempered: Reliability | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every figure of one leaderboard row on test.

    per_class: as metrics.label_task.evaluate has it; confusion: rows true, by confusion_classes;
    average_precision: the area under precision over recall; curves: precision over recall of each
    class; detection: None where all classes are vulnerable; promises: none as of a temperature.
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
    macro_mcc: float
    auc: float | None  # None where test holds one side alone of each class
    average_precision: float | None
    per_class: list[dict[str, Any]]
    confusion: list[list[int]]
    confusion_classes: list[str]
    reliability: Reliability
    calibration: Calibration
    risk_coverage: RiskCoverage
    curves: dict[str, PrecisionRecall]
    detection: Detection | None
    promises: list[Promise]


@dataclass(frozen=True, kw_only=True)
class FlagEvaluation(Evaluation):
    """The same of label mode multilabel, with the figures that only flags have."""

    micro_f1: float
    hamming_loss: float
