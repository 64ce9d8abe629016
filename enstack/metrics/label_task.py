"""What is asked of each function, one class or several flags, and all that follows from it.

Labels and decisions are (n,) int of OneClass, (n, k) bool of SeveralFlags; probabilities (n, k).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from enstack.errors import DataError
from enstack.metrics.counts import accuracy, macro_f1

CLEAN = "clean"  # the class of functions that are not vulnerable
SMALLEST = 1e-12  # a sure and wrong answer would make the mean of all rows infinite


@dataclass(frozen=True)
class LabelTask(ABC):
    """What models are asked of each function.

    problem_type: the task's name in the hub's format of a model's configuration. has_thresholds:
    whether a decision needs thresholds, which are chosen on labelled rows. plainest: the name of
    the answer that looks at no function.
    """

    class_names: tuple[str, ...]
    problem_type: ClassVar[str]
    has_thresholds: ClassVar[bool]
    plainest: ClassVar[str]

    @property
    def n_classes(self) -> int:
        """How many classes, or flags."""
        return len(self.class_names)

    @property
    @abstractmethod
    def confusion_names(self) -> tuple[str, ...]:
        """What the lines of an evaluation's confusion stand for."""

    @abstractmethod
    def decide(self, probabilities: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
        """What a model says of each row; thresholds: (k,), of classes None."""

    @abstractmethod
    def choose_thresholds(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
        """The thresholds (k,) that suit these rows best; None where a decision needs none.

        Raises DataError for probabilities that do not fit or are not finite.
        """

    @abstractmethod
    def counts_of_rows(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """What each row adds to figures: (n, 2 + 3k) float64, see metrics/counts.py.

        Raises DataError for labels and decisions that do not fit.
        """

    @abstractmethod
    def mcc_of_counts(self, counts: np.ndarray) -> np.ndarray:
        """Matthews' correlation (...,) of counts (..., 2 + 3k)."""

    def accuracy_and_macro_f1(
        self, labels: np.ndarray, decisions: np.ndarray
    ) -> tuple[float, float]:
        """The two figures by which models are compared."""
        counts = self.counts_of_rows(labels, decisions).sum(axis=0)
        return float(accuracy(counts)), float(macro_f1(counts))

    @abstractmethod
    def log_loss(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """Mean cross-entropy of the classes, or of the flags, each by itself."""

    @abstractmethod
    def choices(self, probabilities: np.ndarray) -> np.ndarray:
        """What each decision is between (m, c) float64: a row's classes; of each flag, no and yes.

        Probabilities (n, k) make m = n decisions between classes, or m = n * k about flags.
        """

    @abstractmethod
    def of_choices(self, choices: np.ndarray) -> np.ndarray:
        """The probabilities (n, k) that these are the choices of."""

    @abstractmethod
    def taken(self, labels: np.ndarray) -> np.ndarray:
        """Which of its choices is right for each decision: (m,) int64."""

    @abstractmethod
    def evaluate(
        self, labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Every figure of one model on labelled rows, as JSON values.

        Which: see evaluate_classes and evaluate_flags. Raises DataError for rows that do not fit.
        """

    @abstractmethod
    def reliability(self, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
        """How far a model's confidence can be believed, as JSON values: see calibration.

        The confidence of a class is the highest probability of its row; of flags each probability
        is a confidence of its own, and right where the flag is there.
        """

    @abstractmethod
    def at_frequencies(
        self, labels: np.ndarray, decisions: np.ndarray, frequencies: np.ndarray
    ) -> dict[str, Any]:
        """Figures as they would be if each class, or flag, came with its frequency (k,)."""

    @abstractmethod
    def right(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Whether a row is decided right (n,) bool; of flags, every one of them."""

    @abstractmethod
    def confidence(self, probabilities: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
        """How sure each decision is: (m,) float64, the highest probability of each row.

        Of flags (m = n * k), how far its log-odds lie from those of its threshold.
        """

    @abstractmethod
    def right_one_by_one(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Whether each decision (m,) bool is right; of flags each by itself."""

    @abstractmethod
    def has_class(self, labels: np.ndarray) -> np.ndarray:
        """Whether a row has each class, or flag: (n, k) bool."""

    @abstractmethod
    def row_weights(self, labels: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """What a row counts (n, k) for each class, or flag, if they came with frequencies (k,)."""

    @abstractmethod
    def vulnerable(self, labels: np.ndarray) -> np.ndarray | None:
        """Whether each row of labels or decisions (n,) bool is vulnerable.

        None where the classes have no clean one: then all functions are.
        """

    @abstractmethod
    def vulnerability(self, probabilities: np.ndarray) -> np.ndarray | None:
        """The probability (n,) float64 of being vulnerable; None as of `vulnerable`."""

    def answer_scores(
        self, labels: np.ndarray, probabilities: np.ndarray
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By what may be answered or not: scores (n,), and whether the answer is right (n,) bool.

        "classes": the class with the highest probability, where a function has one; "alerts": that
        the function is vulnerable, where that is asked.
        """
        found = {}
        if not self.has_thresholds:
            decisions = self.decide(probabilities, None)
            found["classes"] = (
                self.confidence(probabilities, None),
                self.right(labels, decisions),
            )
        vulnerable, scores = self.vulnerable(labels), self.vulnerability(probabilities)
        if vulnerable is not None and scores is not None:
            found["alerts"] = (scores, vulnerable)
        return found

    @abstractmethod
    def strata(self, labels: np.ndarray) -> np.ndarray:
        """What to divide functions evenly by (n,) int64: the class, or the combination of flags."""

    @abstractmethod
    def counts(self, labels: np.ndarray) -> np.ndarray:
        """How many functions have each class, or each flag: (k,) int64."""

    def class_counts(self, labels: np.ndarray) -> dict[str, int]:
        """How many functions have each class, or each flag, by its name."""
        return dict(zip(self.class_names, self.counts(labels).tolist(), strict=True))

    @abstractmethod
    def balanced_weights(self, labels: np.ndarray) -> np.ndarray:
        """Weights (k,) float64 by which rare classes, or rows with a rare flag, count as others."""

    @abstractmethod
    def mcc(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """Matthews' correlation of decisions with labels: 0 is no better than chance."""

    def only_answer(self, decisions: np.ndarray) -> str | None:
        """What every row is given, where that is the same; None where answers differ."""
        alike = len(decisions) and (decisions == decisions[0]).all()
        return self.label_name(decisions[0]) if alike else None

    @abstractmethod
    def label_name(self, label: Any) -> str:
        """One label for people: the class, or the flags (k,) bool one after the other."""

    @abstractmethod
    def learnable(self, labels: np.ndarray) -> bool:
        """Whether there are two sides to tell apart: something can be learned from these labels."""

    @abstractmethod
    def require_two_sides(self, labels: np.ndarray, place: str, advice: str) -> None:
        """Raise DataError for labels that are not learnable; place: what they belong to."""

    @abstractmethod
    def require_fittable(self, labels: np.ndarray) -> None:
        """Raise DataError for labels that no meta-classifier can be fitted on."""

    @abstractmethod
    def plainest_probabilities(self, train_labels: np.ndarray, n_rows: int) -> np.ndarray:
        """The probabilities (n_rows, k) float32 of the plainest answer, the same for every row."""

    def require_probabilities(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Raise DataError unless they are finite, a row a label and a column a class."""
        if probabilities.shape != (len(labels), self.n_classes):
            raise DataError(
                f"Probabilities must have one row per label and one column per class, "
                f"({len(labels)}, {self.n_classes}), found {probabilities.shape}."
            )
        # argmax takes NaN for the highest: a model that diverged would get figures like any other.
        if not np.isfinite(probabilities).all():
            bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
            raise DataError(
                f"Probabilities must be finite, found NaN or infinity in {len(bad):,} of "
                f"{len(labels):,} rows, first row {bad[0]}: the model diverged or the file is "
                "damaged."
            )


def mean_log_loss(of_label: np.ndarray) -> float:
    """The mean of -log of the probabilities (any shape) that the labels were given."""
    return float(-np.log(np.clip(of_label, SMALLEST, 1)).mean())
