"""The meta-classifiers' estimators: settings, how each is fitted, and what of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

from enstack.config import META_CLASSIFIERS
from enstack.errors import ConfigError
from enstack.metrics.flags import two_sided
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags

__all__ = [
    "OnePerFlag",
    "fit_estimator",
    "make_meta_classifier",
    "pack",
    "unpack",
]


@dataclass(frozen=True)
class OnePerFlag:
    """A binary estimator for each flag, or a constant 0 or 1 where every fitted row said the same.

    Method: binary relevance (Tsoumakas and Katakis 2007).
    """

    members: Sequence[Any]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """The probability of each flag by itself: (n, k)."""
        columns = [
            np.full(len(features), member)
            if isinstance(member, float)
            else member.predict_proba(features)[:, 1]
            for member in self.members
        ]
        return np.column_stack(columns)


def make_meta_classifier(name: str, *, seed: int, labels: np.ndarray) -> Any:
    """An unfitted meta-classifier with the paper's settings: "lr", "svm", "rf" or "xgboost".

    labels: (n,) what it will be fitted on. The SVM's probabilities come from a sigmoid fitted on
    cross-validated decisions, in 5 parts, fewer where a class has fewer rows; it needs two rows of
    each class. All run in one thread, so that equal input gives equal output.
    Settings: EnStack (arXiv 2411.16561), section on meta-classifiers.
    """
    if name == "lr":
        # One-vs-rest is what liblinear does; alone it refuses several classes since 1.8.
        lr = LogisticRegression(solver="liblinear", max_iter=200, random_state=seed)
        return OneVsRestClassifier(lr)
    if name == "svm":
        # SVC(probability=True), as in the paper, is on its way out of scikit-learn; with
        # ensemble=False this is like it: one SVM, and a sigmoid over decisions out of sample.
        return CalibratedClassifierCV(SVC(kernel="rbf"), cv=_parts(labels, seed), ensemble=False)
    if name == "rf":
        return RandomForestClassifier(n_estimators=200, max_depth=10, random_state=seed, n_jobs=1)
    if name == "xgboost":
        return XGBClassifier(
            n_estimators=100,
            learning_rate=0.1,
            max_depth=6,
            eval_metric="mlogloss" if len(np.unique(labels)) > 2 else "logloss",
            random_state=seed,
            n_jobs=1,
        )
    raise ConfigError(
        f"meta_classifiers must be some of {', '.join(META_CLASSIFIERS)}, found {name!r}."
    )


def fit_estimator(
    name: str, features: np.ndarray, labels: np.ndarray, task: LabelTask, *, seed: int
) -> tuple[Any, np.ndarray]:
    """A fitted meta-classifier, and the class or flag (m,) int64 of each column that it gives.

    features: (n, d); labels: (n,) int, or (n, k) bool flags.
    """
    return FITS[task.problem_type](name, features, labels, seed)


def pack(estimator: Any) -> Any:
    """An estimator in types that skops can store; XGBoost as bytes of its own stable format."""
    if isinstance(estimator, OnePerFlag):
        return [pack(member) for member in estimator.members]
    if isinstance(estimator, XGBClassifier):
        return bytes(estimator.get_booster().save_raw("ubj"))
    return estimator


def unpack(stored: Any) -> Any:
    """The estimator that pack made this of."""
    if isinstance(stored, list):
        return OnePerFlag([unpack(member) for member in stored])
    if not isinstance(stored, bytes):
        return stored
    estimator = XGBClassifier(n_jobs=1)
    estimator.load_model(bytearray(stored))  # bytes, XGBoost refuses
    return estimator


def _fit_classes(
    name: str, features: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[Any, np.ndarray]:
    # Only the SVM divides its rows, to be calibrated on those that it was not fitted on.
    rows = _rows_in_pairs(labels) if name == "svm" else np.arange(len(labels))
    # XGBoost wants classes 0..m-1 without gaps.
    classes, targets = np.unique(labels[rows], return_inverse=True)
    estimator = make_meta_classifier(name, seed=seed, labels=targets)
    estimator.fit(features[rows], targets)
    return estimator, classes.astype(np.int64)


def _fit_flags(
    name: str, features: np.ndarray, flags: np.ndarray, seed: int
) -> tuple[Any, np.ndarray]:
    members = [_fit_flag(name, features, has_flag, seed) for has_flag in flags.T]
    return OnePerFlag(members), np.arange(flags.shape[1])


# By the label task's problem_type: an estimator for all classes, or one for each flag.
FITS = {OneClass.problem_type: _fit_classes, SeveralFlags.problem_type: _fit_flags}


def _fit_flag(name: str, features: np.ndarray, has_flag: np.ndarray, seed: int) -> Any:
    # Most estimators refuse rows of one side alone: what was always so is said of every row.
    if not two_sided(has_flag):
        return float(has_flag[0])
    return _fit_classes(name, features, has_flag.astype(np.int64), seed)[0]


def _rows_in_pairs(labels: np.ndarray) -> np.ndarray:
    """All rows, and once more those that are alone in their class: one can't be split in two."""
    counts = np.bincount(labels)
    return np.concatenate([np.arange(len(labels)), np.flatnonzero(counts[labels] == 1)])


def _parts(labels: np.ndarray, seed: int) -> StratifiedKFold:
    """The SVM's cross-validation: every part holds every class."""
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    return StratifiedKFold(max(2, min(5, smallest)), shuffle=True, random_state=seed)
