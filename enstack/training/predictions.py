"""What the best models of a training say of each split, and of train by those that left it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enstack.base_model_folder import BaseModelFolder
from enstack.checkpoints.slots import BEST, SEEN_FILE
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError
from enstack.models.base_models import BaseModel, load_classifier
from enstack.models.tokens import LabelledTokens
from enstack.progress.say import say
from enstack.progress.stopping import stop_requests
from enstack.storage.arrays import read_arrays
from enstack.storage.files import sha256_json
from enstack.storage.manifest import folder_problems
from enstack.training.divergence import refuse_spoilt_predictions
from enstack.training.job import TrainingJob
from enstack.training.kept_predictions import Said, keep_prediction, kept_prediction
from enstack.training.trainer import train_base_model

__all__ = ["Predicted", "predictions"]


@dataclass(frozen=True)
class Predicted:
    """What models say of some functions: probabilities (n, k), and which rows they have seen (n,).

    weights, seen_ids: a digest for each model, of its files and of all functions that it has seen.
    seconds: of predicting; training_seconds: of models that were trained to predict these alone,
    None where that is not recorded.
    """

    probabilities: np.ndarray
    seen: np.ndarray
    weights: list[str]
    seen_ids: list[str]
    seconds: float
    training_seconds: float | None = 0.0


def predictions(
    job: TrainingJob,
    examples: dict[str, LabelledTokens],
    plan: SplitPlan,
    begun: Callable[[bool], None],
) -> dict[str, Predicted]:
    """What stacking needs of each split; folds are trained first.

    Validation and test are predicted by the model of all of train, never by those of the folds.
    """
    predicted = {split: _predict(job, examples[split], split) for split in ("validation", "test")}
    if plan.fold_of is not None:
        predicted["train"] = _out_of_fold(job, plan.fold_of, begun)
    return predicted


def _out_of_fold(job: TrainingJob, fold_of: np.ndarray, begun: Callable[[bool], None]) -> Predicted:
    """What is said of each training row by a base model that was trained on the other folds.

    fold_of: fold (n_train,) of each row, from 0.
    """
    train = job.data.train
    probabilities = np.zeros((len(fold_of), len(job.data.class_names)), dtype=np.float32)
    # Seen until a model that has not seen them says otherwise: leaks are refused later.
    seen = np.ones(len(fold_of), dtype=bool)
    weights, seen_ids = list[str](), list[str]()
    seconds, training_seconds = list[float](), list[float | None]()
    for fold in range(job.config.folds):
        inside, outside = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        say(f"▶ {job.base_model.name}: fold {fold + 1} of {job.config.folds}")
        # In a folder of its own a fold is resumed by itself, and not trained again once finished.
        others = job.with_train_rows(outside, job.folder / "folds" / str(fold + 1))
        training_seconds.append(train_base_model(others, begun=begun))
        said = _predict(others, train.take(inside), "train")
        probabilities[inside], seen[inside] = said.probabilities, said.seen
        weights, seen_ids = weights + said.weights, seen_ids + said.seen_ids
        seconds.append(said.seconds)
    known = None if None in training_seconds else sum(filter(None, training_seconds))
    return Predicted(probabilities, seen, weights, seen_ids, sum(seconds), known)


def _predict(job: TrainingJob, examples: LabelledTokens, split: str) -> Predicted:
    """What the best model says of some functions."""
    best = job.folder / BEST
    # Training may have ended in an earlier session: what lies there now is what predicts.
    problems = folder_problems(best, agrees_with=job.identity)
    if problems:
        raise CheckpointError(
            f"{best} must be whole to predict with, but {problems[0]}. Put a good copy back, or "
            "train anew with another run_dir."
        )
    own = BaseModelFolder(job.folder)
    made_from = {
        **job.identity,
        "best_model": own.best_model_digest(),
        "ids": sha256_json(examples.ids.tolist()),
        "precision": job.hardware.precision,
    }
    said = kept_prediction(own.predicted / split, made_from)
    if said is None:
        said = _said(job, best, examples, split)
        keep_prediction(own.predicted / split, made_from, said)
    # Stacking refuses rows that the model has seen; ids hold however the data was divided.
    seen = _seen_ids(best / SEEN_FILE)
    return Predicted(
        said.probabilities,
        np.isin(examples.ids, seen),
        [own.best_model_digest()],
        [sha256_json(seen.tolist())],
        said.seconds,
    )


def _said(job: TrainingJob, best: Path, examples: LabelledTokens, split: str) -> Said:
    model = load_classifier(
        BaseModel(job.base_model.name, str(best)),
        job.data.class_names,
        seed=job.config.seed,
        problem_type=job.data.task.problem_type,
    )
    model = model.to(job.hardware.device)
    with stop_requests() as stop:
        title, began = f"Predicting with {job.base_model.name} [{split}]", time.perf_counter()
        probabilities = job.predict(model, examples, title, stop)
        seconds = time.perf_counter() - began
    refuse_spoilt_predictions(probabilities, examples.ids, split, job.hardware.precision)
    return Said(probabilities, seconds)


def _seen_ids(path: Path) -> np.ndarray:
    """The functions (n,) that a best model was trained or selected on."""
    try:
        return read_arrays(path, ("ids",))["ids"]
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} must hold the ids of the functions that the model has seen: {error}. Put a "
            "good copy back, or train anew with another run_dir."
        ) from error
