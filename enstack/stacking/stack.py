"""A fitted stack: meta-classifiers on base models' probabilities, saved without code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.stacking.learned import with_absent_classes
from enstack.stacking.meta_classifiers import fit_estimator, pack, unpack
from enstack.stacking.meta_features import (
    BaseModelProbabilities,
    Form,
    meta_features,
    refuse_leaks,
    require_base_models,
)
from enstack.stacking.one_vs_rest import class_probabilities
from enstack.stacking.skops_files import SkopsFile

FILE = SkopsFile(
    "a meta-classifier",
    frozenset({"name", "form", "estimator", "classes", "base_models", "n_features"}),
    optional=frozenset({"form"}),  # older files do not say: there was one form
)


@dataclass(frozen=True)
class MetaClassifier:
    """A fitted meta-classifier and what goes in and comes out.

    classes: (m,) int64, the class or flag of each column that the estimator gives; base_models:
    whose probabilities it was fitted on, in order; n_features: columns of the meta-features; form:
    what was made of the probabilities.
    """

    name: str
    estimator: Any
    classes: np.ndarray
    base_models: tuple[str, ...]
    n_features: int
    form: Form = "probabilities"

    @property
    def weights(self) -> tuple[float, ...]:
        """The same share for each base model: what one counts depends on what all of them say."""
        return (1 / len(self.base_models),) * len(self.base_models)

    def predict_proba(
        self, models: Sequence[BaseModelProbabilities], task: LabelTask
    ) -> np.ndarray:
        """Probabilities (n, k) float32; 0 for classes that no fitted row had.

        Raises DataError unless the base models are those it was fitted on, in that order.
        """
        require_base_models(f"Meta-classifier {self.name}", self.base_models, models)
        features = meta_features(models, self.form)
        if features.shape[1] != self.n_features:
            raise DataError(
                f"Meta-classifier {self.name} was fitted on {self.n_features} meta-features, "
                f"found {features.shape[1]}: the number of classes has changed."
            )
        columns = class_probabilities(self.estimator, features)
        return with_absent_classes(columns, self.classes, task.n_classes)


def fit_meta_classifier(
    name: str,
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    *,
    task: LabelTask,
    seed: int,
    form: Form = "probabilities",
) -> MetaClassifier:
    """Fit a meta-classifier on base models' probabilities and the labels of the same rows.

    labels: (n,) int, or (n, k) bool flags, for each of which an estimator of its own is fitted.
    Raises DataError when a base model has seen any row, when labels do not fit the rows, or
    when fewer than two classes occur.
    """
    refuse_leaks(models)
    features = meta_features(models, form)
    labels = np.asarray(labels)
    _require_labels(labels, models[0], task)
    base_models = tuple(model.name for model in models)
    estimator, classes = fit_estimator(name, features, labels, task, seed=seed)
    return MetaClassifier(name, estimator, classes, base_models, features.shape[1], form)


def save_meta_classifier(path: Path, meta_classifier: MetaClassifier) -> None:
    """Write a fitted meta-classifier as one .skops file, which holds no code."""
    content = {
        "name": meta_classifier.name,
        "estimator": pack(meta_classifier.estimator),
        "classes": meta_classifier.classes,
        "base_models": list(meta_classifier.base_models),
        "n_features": meta_classifier.n_features,
        "form": meta_classifier.form,
    }
    FILE.write(path, content, _probe(meta_classifier))


def load_meta_classifier(path: Path) -> MetaClassifier:
    """Read a file of save_meta_classifier, made under this scikit-learn or another.

    Raises CheckpointError when the file is damaged, holds a type that our files never hold, or
    gives other probabilities here than where it was saved.
    """
    return FILE.read(path, _unpacked, _probe)


def _unpacked(content: dict[str, Any]) -> MetaClassifier:
    return MetaClassifier(
        name=content["name"],
        estimator=unpack(content["estimator"]),
        classes=content["classes"],
        base_models=tuple(content["base_models"]),
        n_features=content["n_features"],
        form=content.get("form", "probabilities"),
    )


def _require_labels(labels: np.ndarray, model: BaseModelProbabilities, task: LabelTask) -> None:
    one_each = labels.shape in ((len(model.ids),), (len(model.ids), task.n_classes))
    if not one_each or model.probabilities.shape[1] != task.n_classes:
        raise DataError(
            f"There must be one label per function and {task.n_classes} classes, found "
            f"{len(labels):,} labels for probabilities of shape {model.probabilities.shape}."
        )
    task.require_fittable(labels)


def _probe(meta_classifier: MetaClassifier) -> np.ndarray:
    """What it gives on fixed rows: each meta-feature alone at 1, and all alike."""
    n_features = meta_classifier.n_features
    # Made up, so that no function's probabilities must be stored with the stack.
    rows = np.concatenate([np.eye(n_features), np.full((1, n_features), 1 / n_features)])
    return np.asarray(meta_classifier.estimator.predict_proba(rows), dtype=np.float64)
