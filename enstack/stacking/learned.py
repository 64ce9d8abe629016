"""What a classifier has learned of the classes, or of each flag, from features of functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.multiclass import OneVsRestClassifier

from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.one_vs_rest import class_probabilities

__all__ = ["Learned", "learn", "nothing_learned", "with_absent_classes"]


@dataclass(frozen=True)
class Learned:
    """Fitted classifiers, and what is said where nothing could be learned.

    estimators: one for all classes, or one for each flag of `columns`; none where nothing was
    learned. columns: (m,) int64, the classes or flags that these tell apart. plainest: (k,)
    float32, the same answer to every function.
    """

    estimators: list[Any]
    columns: np.ndarray
    plainest: np.ndarray
    of_flags: bool

    def predict_proba(self, features: Any) -> np.ndarray:
        """Probabilities (n, k) float32 of features (n, d)."""
        whole = np.tile(self.plainest, (features.shape[0], 1))
        if self.of_flags:
            for flag, fitted in zip(self.columns, self.estimators, strict=True):
                whole[:, flag] = fitted.predict_proba(features)[:, 1]
        elif self.estimators:
            said = class_probabilities(self.estimators[0], features)
            return with_absent_classes(said, self.columns, len(self.plainest))
        return whole


def nothing_learned(task: LabelTask, labels: np.ndarray) -> Learned:
    """The plainest answer alone, by the labels of train."""
    plainest = task.plainest_probabilities(labels, 1)[0]
    return Learned([], np.zeros(0, dtype=np.int64), plainest, task.has_thresholds)


def learn(classifier: Any, features: Any, task: LabelTask, labels: np.ndarray) -> Learned:
    """Fit one classifier against the rest of the classes, or one for each flag.

    A class that the labels lack gets probability 0; a flag that all functions have, or none, keeps
    the plainest answer. features: (n, d); labels: (n,), or (n, k) bool, of several kinds.
    """
    estimators, columns = FITS[task.problem_type](classifier, features, labels)
    return Learned(
        estimators, columns, task.plainest_probabilities(labels, 1)[0], task.has_thresholds
    )


def with_absent_classes(
    probabilities: np.ndarray, classes: np.ndarray, n_classes: int
) -> np.ndarray:
    """Columns of some classes (n, m) put into (n, n_classes) float32; the other columns are 0."""
    whole = np.zeros((len(probabilities), n_classes), dtype=np.float32)
    # scikit-learn gives a column only for classes it was fitted on: columns must mean the same
    # for every model that is compared.
    whole[:, classes] = probabilities
    return whole


def _fit_classes(
    classifier: Any, features: Any, labels: np.ndarray
) -> tuple[list[Any], np.ndarray]:
    each = OneVsRestClassifier(classifier)  # liblinear needs the wrapper since 1.8
    return [each.fit(features, labels)], np.unique(labels).astype(np.int64)


def _fit_flags(classifier: Any, features: Any, flags: np.ndarray) -> tuple[list[Any], np.ndarray]:
    learnable = np.flatnonzero(flags.any(axis=0) & ~flags.all(axis=0)).astype(np.int64)
    return [clone(classifier).fit(features, flags[:, flag]) for flag in learnable], learnable


# By the label task's problem_type.
FITS = {OneClass.problem_type: _fit_classes, SeveralFlags.problem_type: _fit_flags}
