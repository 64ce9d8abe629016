"""The label task of label mode multilabel: each function has any number of flags."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit

from enstack.counting import counted
from enstack.errors import DataError
from enstack.metrics.calibration import calibration
from enstack.metrics.counts import counts_of_rows, mean_mcc_of_flags, ratio
from enstack.metrics.flags import (
    best_thresholds,
    evaluate_flags,
    mean_mcc,
    two_sided,
)
from enstack.metrics.label_task import SMALLEST, LabelTask, mean_log_loss
from enstack.metrics.reweighting import flags_at_frequencies

NO_FLAG = "no flag"  # what people read of a function with none


class SeveralFlags(LabelTask):
    """Every function has any number of flags, each decided by itself."""

    problem_type = "multi_label_classification"
    has_thresholds = True
    plainest = "frequency"

    @property
    def confusion_names(self) -> tuple[str, ...]:
        """The flags, and the functions without any."""
        return (*self.class_names, NO_FLAG)

    def decide(self, probabilities: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
        """The flags of each row whose probabilities reach their thresholds."""
        decisions: np.ndarray = probabilities >= _given(thresholds)
        return decisions

    def choose_thresholds(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """The thresholds (k,) float64 with the best F1 of each flag: see best_thresholds."""
        self.require_probabilities(labels, probabilities)
        return best_thresholds(labels, probabilities)

    def counts_of_rows(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """A row is right if all of its flags are."""
        labels, decisions = np.asarray(labels), np.asarray(decisions)
        if labels.shape != decisions.shape or not len(labels):
            raise DataError(
                "Flags and decisions must be as many and at least one row, "
                f"found {labels.shape} flags and {decisions.shape} decisions."
            )
        return counts_of_rows(self.right(labels, decisions), labels, decisions)

    def mcc_of_counts(self, counts: np.ndarray) -> np.ndarray:
        """Of each flag that rows have, and their mean."""
        return mean_mcc_of_flags(counts)

    def log_loss(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """Mean binary cross-entropy of all flags."""
        chances = probabilities.astype(np.float64)
        return mean_log_loss(np.where(labels, chances, 1 - chances))

    def choices(self, probabilities: np.ndarray) -> np.ndarray:
        """Flag after flag of each row."""
        chances = probabilities.astype(np.float64).ravel()
        return np.column_stack([1 - chances, chances])

    def of_choices(self, choices: np.ndarray) -> np.ndarray:
        """Each flag's yes."""
        return choices[:, 1].reshape(-1, self.n_classes)

    def taken(self, labels: np.ndarray) -> np.ndarray:
        """Yes (1) where the flag is there."""
        return labels.ravel().astype(np.int64)

    def evaluate(
        self, labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray | None = None
    ) -> dict[str, Any]:
        """The figures of evaluate_flags."""
        labels, probabilities = np.asarray(labels), np.asarray(probabilities)
        self.require_probabilities(labels, probabilities)
        return evaluate_flags(labels, probabilities, _given(thresholds), self.class_names)

    def reliability(self, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
        """By each probability of each row."""
        return calibration(probabilities.ravel(), labels.ravel())

    def at_frequencies(
        self, labels: np.ndarray, decisions: np.ndarray, frequencies: np.ndarray
    ) -> dict[str, Any]:
        """The figures of flags_at_frequencies."""
        return flags_at_frequencies(labels, decisions, frequencies)

    def right(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Whether every flag of the row is right."""
        return np.asarray((decisions == labels).all(axis=1))

    def confidence(self, probabilities: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
        """How far it is from being decided the other way."""
        apart: np.ndarray = np.abs(_log_odds(probabilities) - _log_odds(_given(thresholds)))
        return apart.ravel()

    def right_one_by_one(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Flag after flag of each row."""
        return np.asarray(labels == decisions).ravel()

    def has_class(self, labels: np.ndarray) -> np.ndarray:
        """The flags."""
        return labels

    def row_weights(self, labels: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Each flag against its rest."""
        shares = labels.mean(axis=0)
        without = ratio(1 - frequencies, 1 - shares)
        return np.where(labels, ratio(frequencies, shares), without)

    def vulnerable(self, labels: np.ndarray) -> np.ndarray:
        """Any flag."""
        return np.asarray(labels.any(axis=1))

    def vulnerability(self, probabilities: np.ndarray) -> np.ndarray:
        """Of any flag, as though each came for itself: good for an order, too high as a number."""
        # By logarithms: a product of many numbers near 1 would lose the smallest flags.
        without = np.log1p(-np.minimum(probabilities.astype(np.float64), 1 - SMALLEST))
        return np.asarray(-np.expm1(without.sum(axis=1)))

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """The combination of flags, read as a binary number."""
        combinations: np.ndarray = labels @ (1 << np.arange(labels.shape[1]))
        return combinations

    def counts(self, labels: np.ndarray) -> np.ndarray:
        """Functions by flag; one with several counts for each."""
        return np.asarray(labels.sum(axis=0))

    def balanced_weights(self, labels: np.ndarray) -> np.ndarray:
        """Rows without a flag over rows with it, for each; 1 where one of the two is missing."""
        having = self.counts(labels)
        lacking = len(labels) - having
        return np.where(having * lacking > 0, lacking / np.maximum(having, 1), 1.0)

    def mcc(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """The mean over the flags that occur in labels or decisions."""
        return mean_mcc(labels, decisions)

    def label_name(self, label: Any) -> str:
        """The flags, or that there is none."""
        flags = [name for name, has_flag in zip(self.class_names, label, strict=True) if has_flag]
        return " and ".join(flags) or NO_FLAG

    def learnable(self, labels: np.ndarray) -> bool:
        """Whether some rows have a flag that others lack."""
        # One such flag suffices: those that all rows share become constants in a stack.
        return any(two_sided(has_flag) for has_flag in labels.T)

    def require_two_sides(self, labels: np.ndarray, place: str, advice: str) -> None:
        """Some functions must have a flag that others lack."""
        if not self.learnable(labels):
            raise DataError(
                f"{place} must hold functions with and without a flag, all of "
                f"its {counted(len(labels), 'function')} are alike. {advice}"
            )

    def require_fittable(self, labels: np.ndarray) -> None:
        """Some rows must have a flag that others lack."""
        if not self.learnable(labels):
            raise DataError("Some rows must have a flag that others lack, found all rows alike.")

    def plainest_probabilities(self, train_labels: np.ndarray, n_rows: int) -> np.ndarray:
        """How often train has each flag."""
        # As all rows are alike, its threshold is .5: what it decides is each flag's majority.
        shares: np.ndarray = np.tile(train_labels.mean(axis=0), (n_rows, 1)).astype(np.float32)
        return shares


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    odds: np.ndarray = logit(np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST))
    return odds


def _given(thresholds: np.ndarray | None) -> np.ndarray:
    # One half for all would be wrong in silence: rare flags hardly ever reach it.
    if thresholds is None:
        raise DataError("Flags must be decided at thresholds, found none: choose them first.")
    return thresholds
