"""A fitted stack: meta-classifiers on base models' probabilities, saved without code.

skops is imported where it is used: it imports every module of scikit-learn, one of them torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import xgboost
from sklearn.exceptions import InconsistentVersionWarning

from enstack.errors import CheckpointError, DataError
from enstack.metrics.label_task import LabelTask
from enstack.stacking.baselines import with_absent_classes
from enstack.stacking.meta_classifiers import fit_estimator, pack, unpack
from enstack.stacking.meta_features import (
    BaseModelProbabilities,
    Form,
    meta_features,
    refuse_leaks,
    require_base_models,
)
from enstack.stacking.one_vs_rest import class_probabilities
from enstack.storage.files import write_bytes

# What our files hold beyond the types that skops trusts by itself. XGBoost's trees are stored in
# its own format, which outlives its versions, so none of its types is needed.
ALLOWED_TYPES = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
    }
)
FILE_KEYS = {
    "name",
    "form",
    "estimator",
    "classes",
    "base_models",
    "n_features",
    "probe",
    "made_with",
}
PROBE_TOLERANCE = 1e-5


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
        "probe": _probe(meta_classifier),
        "made_with": _versions(),
    }
    import skops.io

    write_bytes(path, skops.io.dumps(content))


def load_meta_classifier(path: Path) -> MetaClassifier:
    """Read a file of save_meta_classifier, made under this scikit-learn or another.

    Raises CheckpointError when the file is damaged, holds a type that our files never hold, or
    gives other probabilities here than where it was saved.
    """
    try:
        content = _read_content(Path(path))
        meta_classifier = MetaClassifier(
            name=content["name"],
            estimator=unpack(content["estimator"]),
            classes=content["classes"],
            base_models=tuple(content["base_models"]),
            n_features=content["n_features"],
            # Older files do not say: there was one form.
            form=content.get("form", "probabilities"),
        )
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file fails anywhere between zip and native code
        raise CheckpointError(
            f"{path} must be a meta-classifier saved by enstack, it can't be read "
            f"({_first_line(error)}). Fit it again."
        ) from error
    _require_same_probabilities(path, meta_classifier, content)
    return meta_classifier


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


def _require_same_probabilities(
    path: Path, meta_classifier: MetaClassifier, content: dict[str, Any]
) -> None:
    """Whether it still works under the installed versions: newer files may not under old ones."""
    try:
        # Tried, not told by version: files of scikit-learn 1.9 fail under 1.6, whose logistic
        # regression is another, while those of 1.6 load under 1.9.
        change = float(np.abs(_probe(meta_classifier) - content["probe"]).max())
        problem = "" if change <= PROBE_TOLERANCE else f"they differ by {change:.2g}"
    except Exception as error:  # estimators of other versions lack attributes, fail anywhere
        problem = _first_line(error)
    if problem:
        raise CheckpointError(
            f"{path} must give the probabilities that it gave when it was saved: {problem}.\n"
            f"It was saved under {content['made_with']}, here is {_versions()}: "
            "install those, or fit it again."
        )


def _versions() -> str:
    return f"scikit-learn {sklearn.__version__}, xgboost {xgboost.__version__}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _read_content(path: Path) -> dict[str, Any]:
    """The stored values, once every type in the file is known to be one of ours."""
    import skops.io

    data = path.read_bytes()
    # Before anything is loaded: a type from elsewhere could run code as it is built.
    foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - ALLOWED_TYPES)
    if foreign:
        raise CheckpointError(
            f"{path} must hold only the types of enstack's meta-classifiers, found "
            f"{', '.join(foreign)}: it was not loaded. Use files that you trust, or fit it again."
        )
    with warnings.catch_warnings():
        # The probe tells better than a version number whether it still works.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        content = skops.io.loads(data, trusted=sorted(ALLOWED_TYPES))
    if not isinstance(content, dict) or set(content) | {"form"} != FILE_KEYS:
        raise CheckpointError(f"{path} must be a meta-classifier saved by enstack, it is not one.")
    return content
