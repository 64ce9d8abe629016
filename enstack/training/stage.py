"""The stage of one base model: tokenize, fine-tune, and predict with the best epoch."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enstack.base_model_folder import (
    BaseModelFolder,
    configuration_digest,
    save_probabilities,
)
from enstack.checkpoints.slots import BEST
from enstack.config import SHAPE_TRAINING_ALONE, RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer, require_length
from enstack.models.hardware import Hardware, device_name
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.progress.say import say
from enstack.progress.stopping import stop_requests
from enstack.run_folder import RunFolder
from enstack.storage.arrays import read_arrays
from enstack.storage.files import sha256_json
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import folder_problems, is_current
from enstack.training.beginnings import refuse_foreign_checkpoints
from enstack.training.divergence import refuse_spoilt_predictions
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.resume import check_resume_from
from enstack.training.state import SEEN_FILE
from enstack.training.trainer import train_base_model


@dataclass(frozen=True)
class Predicted:
    """What models say of some functions: probabilities (n, k), and which rows they have seen (n,).

    weights, seen_ids: a digest for each model, of its files and of all functions that it has seen.
    """

    probabilities: np.ndarray
    seen: np.ndarray
    weights: list[str]
    seen_ids: list[str]


def require_base_models(
    base_models: list[BaseModel],
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
) -> None:
    """Refuse what can't be trained, before any base model is.

    Base models must be found and read so far, and their checkpoints be of this run; resume_from
    must serve one of them.
    """
    for base_model in base_models:
        require_length(base_model, config.max_length)
        # Read only to be refused in time, not when other base models have been trained.
        load_tokenizer(base_model)
    refuse_foreign_checkpoints(base_models, data, plan, config, run)
    check_resume_from(base_models, config)


def fine_tune_and_predict(
    base_model: BaseModel,
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
    made_from: Callable[[], dict[str, Any]],
    trained_with: dict[str, Any],
    begun: Callable[[bool], None],
) -> None:
    """Leave a best model and the probabilities of every split that stacking needs.

    begun: told, when nothing is left that could refuse the training, whether there is any to do.
    made_from: asked when all is done, gives the inputs that the probabilities' manifest records.
    trained_with: the settings that shaped the training so far; recorded where nothing is trained.
    """
    trains: list[bool] = []

    hardware = Hardware.choose(config.precision, config.num_workers)

    def begin(this: bool) -> None:
        trains.append(this)
        begun(this)
        if this:
            run.log(
                "training_started",
                base_model=base_model.name,
                device=device_name(hardware.device),
                precision=hardware.precision,
            )

    folder = run.base_model(base_model.name)
    tokenizer = load_tokenizer(base_model)
    examples = tokenize_splits(base_model, tokenizer, data, config)
    job = TrainingJob(
        base_model,
        tokenizer,
        training_data(data, plan, examples),
        config,
        hardware,
        folder.path,
        run.log,
        # An old run may have saved into the very folder that is run_dir today.
        old_runs=Path(config.resume_from or config.run_dir),
    )
    train_base_model(job, begun=begin)
    # Asked for only now: they name the best model, which training has just made.
    inputs = made_from()
    # As where only the history was lost, which training has written again.
    if not is_current(folder.probabilities, inputs):
        predicted = _predictions(job, examples, plan, begin)
        kept = {} if any(trains) else trained_with
        _store_probabilities(job, examples, predicted, inputs, kept, folder)
    # The next base model needs the room on the GPU that this one's reference cycles still hold.
    gc.collect()
    torch.cuda.empty_cache()


def _predictions(
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


def _store_probabilities(
    job: TrainingJob,
    examples: dict[str, LabelledTokens],
    predicted: dict[str, Predicted],
    inputs: dict[str, Any],
    kept: dict[str, Any],
    folder: BaseModelFolder,
) -> None:
    """Store them with what they were made of and with; kept: settings that are not this call's."""
    truncated = {split: tokens.tokens.n_truncated for split, tokens in examples.items()}
    settings = job.config.model_dump(mode="json") | kept
    details = {
        "made_from": inputs,
        "truncated": truncated,
        "truncated_by_class": _truncated_by_class(job.data.task, examples),
        "precision": job.hardware.precision,  # what "auto" was here, for later predictions
        "history": folder.history_digest(),
        "settings": {key: settings[key] for key in SHAPE_TRAINING_ALONE},
    }
    with replacing_folder(folder.probabilities, details) as beside:
        for split, said in predicted.items():
            path, ids = beside / f"{split}.npz", examples[split].ids
            origin = _origin(job, inputs, said)
            save_probabilities(path, ids, said.probabilities, said.seen, origin)


def _truncated_by_class(
    task: LabelTask, examples: dict[str, LabelledTokens]
) -> dict[str, dict[str, int]]:
    """Functions of each split and class that were cut; of a split whose tokens don't say, none."""
    return {
        split: task.class_counts(of_split.labels[of_split.tokens.cut])
        for split, of_split in examples.items()
        if of_split.tokens.cut is not None
    }


def _origin(job: TrainingJob, inputs: dict[str, Any], said: Predicted) -> dict[str, Any]:
    """What a file of probabilities tells of itself, so that it is known wherever it is found."""
    return {
        "base_model": job.base_model.name,
        "data": job.data.fingerprint,
        "tokenizer": job.identity["tokenizer"],
        "configuration": configuration_digest(inputs),
        "weights": said.weights,
        "seen_ids": said.seen_ids,
    }


def tokenize_splits(
    base_model: BaseModel, tokenizer: Any, data: VulnerabilityData, config: RunConfig
) -> dict[str, LabelledTokens]:
    """The tokens, labels and ids of every split."""
    examples = {}
    for split, functions in data.splits.items():
        tokens = tokenize(
            functions,
            tokenizer,
            max_length=config.max_length,
            # Not in run_dir: a cache is read in small pieces, which is slow on Drive.
            cache_dir=Path(config.local_dir),
            title=f"Tokenizing for {base_model.name} [{split}]",
        )
        examples[split] = LabelledTokens(tokens, functions.labels, functions.ids)
    return examples


def training_data(
    data: VulnerabilityData, plan: SplitPlan, examples: dict[str, LabelledTokens]
) -> TrainingData:
    """What a base model trains on and is selected on."""
    return TrainingData(
        train=examples["train"],
        # With a holdout, half of validation: on what chose an epoch no stack can be fitted.
        selection=examples["validation"].take(plan.selection),
        task=data.task,
        fingerprint=data.fingerprint,
        folds_digest=plan.folds_digest,
    )


def _out_of_fold(job: TrainingJob, fold_of: np.ndarray, begun: Callable[[bool], None]) -> Predicted:
    """What is said of each training row by a base model that was trained on the other folds.

    fold_of: fold (n_train,) of each row, from 0.
    """
    train = job.data.train
    probabilities = np.zeros((len(fold_of), len(job.data.class_names)), dtype=np.float32)
    # Seen until a model that has not seen them says otherwise: leaks are refused later.
    seen = np.ones(len(fold_of), dtype=bool)
    weights, seen_ids = list[str](), list[str]()
    for fold in range(job.config.folds):
        inside, outside = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        say(f"▶ {job.base_model.name}: fold {fold + 1} of {job.config.folds}")
        # In a folder of its own a fold is resumed by itself, and not trained again once finished.
        others = job.with_train_rows(outside, job.folder / "folds" / str(fold + 1))
        train_base_model(others, begun=begun)
        said = _predict(others, train.take(inside), "train")
        probabilities[inside], seen[inside] = said.probabilities, said.seen
        weights, seen_ids = weights + said.weights, seen_ids + said.seen_ids
    return Predicted(probabilities, seen, weights, seen_ids)


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
    model = load_classifier(
        BaseModel(job.base_model.name, str(best)),
        job.data.class_names,
        seed=job.config.seed,
        problem_type=job.data.task.problem_type,
    )
    with stop_requests() as stop:
        title = f"Predicting with {job.base_model.name} [{split}]"
        probabilities = job.predict(model.to(job.hardware.device), examples, title, stop)
    refuse_spoilt_predictions(probabilities, examples.ids, split, job.hardware.precision)
    # Stacking refuses rows that the model has seen; ids hold however the data was divided.
    seen = _seen_ids(best / SEEN_FILE)
    return Predicted(
        probabilities,
        np.isin(examples.ids, seen),
        [BaseModelFolder(job.folder).best_model_digest()],
        [sha256_json(seen.tolist())],
    )


def _seen_ids(path: Path) -> np.ndarray:
    """The functions (n,) that a best model was trained or selected on."""
    try:
        return read_arrays(path, ("ids",))["ids"]
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} must hold the ids of the functions that the model has seen: {error}. Put a "
            "good copy back, or train anew with another run_dir."
        ) from error
