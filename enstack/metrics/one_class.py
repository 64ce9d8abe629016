"""The label task of every mode but multilabel: each function has one class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from enstack.counting import counted
from enstack.errors import DataError
from enstack.metrics.calibration import calibration
from enstack.metrics.classes import evaluate_classes, require_classes
from enstack.metrics.counts import counts_of_rows, mcc_of_classes, ratio
from enstack.metrics.flags import mcc
from enstack.metrics.label_task import CLEAN, LabelTask, mean_log_loss
from enstack.metrics.reweighting import confusion_at_frequencies


class OneClass(LabelTask):
    """Every function has one class."""

    problem_type = "single_label_classification"
    has_thresholds = False
    plainest = "majority"

    @property
    def confusion_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.class_names

    def decide(self, probabilities: np.ndarray, thresholds: np.ndarray | None = None) -> np.ndarray:
        """The first highest class of each row."""
        classes: np.ndarray = probabilities.argmax(axis=1)
        return classes

    def choose_thresholds(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """None: the highest probability decides."""
        return

    def counts_of_rows(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Each row has one class and is given one."""
        labels, decisions = np.asarray(labels), np.asarray(decisions)
        require_classes(labels, decisions, self.n_classes)
        classes = np.eye(self.n_classes, dtype=bool)
        return counts_of_rows(labels == decisions, classes[labels], classes[decisions])

    def mcc_of_counts(self, counts: np.ndarray) -> np.ndarray:
        """Of all classes at once."""
        return mcc_of_classes(counts)

    def log_loss(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """Mean cross-entropy of the classes."""
        return mean_log_loss(probabilities.astype(np.float64)[np.arange(len(labels)), labels])

    def choices(self, probabilities: np.ndarray) -> np.ndarray:
        """The classes."""
        return probabilities.astype(np.float64)

    def of_choices(self, choices: np.ndarray) -> np.ndarray:
        """The same."""
        return choices

    def taken(self, labels: np.ndarray) -> np.ndarray:
        """The class."""
        return labels.astype(np.int64)

    def evaluate(
        self, labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray | None = None
    ) -> dict[str, Any]:
        """The figures of evaluate_classes."""
        labels, probabilities = np.asarray(labels), np.asarray(probabilities)
        self.require_probabilities(labels, probabilities)
        return evaluate_classes(labels, probabilities, self.class_names)

    def reliability(self, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
        """By the highest probability of each row."""
        return calibration(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)

    def at_frequencies(
        self, labels: np.ndarray, decisions: np.ndarray, frequencies: np.ndarray
    ) -> dict[str, Any]:
        """The figures of confusion_at_frequencies."""
        # All classes are named: one without a row must keep its line beside its frequency.
        confusion = confusion_matrix(labels, decisions, labels=np.arange(self.n_classes))
        return confusion_at_frequencies(confusion, frequencies)

    def right(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Whether the class is the one."""
        return np.asarray(decisions == labels)

    def confidence(
        self, probabilities: np.ndarray, thresholds: np.ndarray | None = None
    ) -> np.ndarray:
        """The highest probability."""
        return np.asarray(probabilities.max(axis=1), dtype=np.float64)

    def right_one_by_one(self, labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """A decision a row."""
        return self.right(labels, decisions)

    def has_class(self, labels: np.ndarray) -> np.ndarray:
        """One of them."""
        return np.asarray(labels[:, None] == np.arange(self.n_classes))

    def row_weights(self, labels: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """The share of its class over that here, for every class alike."""
        of_class = ratio(frequencies, self.counts(labels))
        return np.tile(of_class[labels][:, None], (1, self.n_classes))

    def vulnerable(self, labels: np.ndarray) -> np.ndarray | None:
        """Any class but the clean one."""
        if CLEAN not in self.class_names:
            return None
        return np.asarray(labels != self.class_names.index(CLEAN))

    def vulnerability(self, probabilities: np.ndarray) -> np.ndarray | None:
        """What is left beside the clean class."""
        if CLEAN not in self.class_names:
            return None
        others = [name != CLEAN for name in self.class_names]
        # Added up, and not 1 less the clean one: near 1 float32 tells the most certain not apart.
        return np.asarray(probabilities[:, others].sum(axis=1, dtype=np.float64))

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """The class."""
        return labels

    def counts(self, labels: np.ndarray) -> np.ndarray:
        """Functions by class."""
        # minlength: the last classes may have no row, and still count 0.
        return np.bincount(labels, minlength=self.n_classes)

    def balanced_weights(self, labels: np.ndarray) -> np.ndarray:
        """N / (k n_c), as scikit-learn's "balanced": of the k classes that occur."""
        counts = self.counts(labels)
        # A class without a row has no loss that could be weighted.
        weights: np.ndarray = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return weights

    def mcc(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """Of the classes."""
        return mcc(labels, decisions)

    def label_name(self, label: Any) -> str:
        """The class."""
        return self.class_names[int(label)]

    def learnable(self, labels: np.ndarray) -> bool:
        """Whether two classes occur."""
        return len(np.unique(labels)) >= 2

    def require_two_sides(self, labels: np.ndarray, place: str, advice: str) -> None:
        """Two classes must occur."""
        if self.learnable(labels):
            return
        only = f"are {self.label_name(labels[0])}" if len(labels) else "have none"
        raise DataError(
            f"{place} must hold at least two classes, all of its "
            f"{counted(len(labels), 'function')} {only}. {advice}"
        )

    def require_fittable(self, labels: np.ndarray) -> None:
        """Two classes must occur, and nothing that is no class."""
        present = np.unique(labels)
        if len(present) < 2 or present[0] < 0 or present[-1] >= self.n_classes:
            raise DataError(
                f"Labels must hold at least two classes from 0 to {self.n_classes - 1}, "
                f"found {present[:10].tolist()}."
            )

    def plainest_probabilities(self, train_labels: np.ndarray, n_rows: int) -> np.ndarray:
        """1 for the most frequent class of train."""
        probabilities = np.zeros((n_rows, self.n_classes), dtype=np.float32)
        probabilities[:, self.counts(train_labels).argmax()] = 1
        return probabilities
