"""The stage of one base model: tokenize, fine-tune, and predict with the best epoch."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from enstack.base_model_folder import (
    BaseModelFolder,
    configuration_digest,
    save_probabilities,
)
from enstack.config import SHAPE_TRAINING_ALONE, RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import ConfigError
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import BaseModel, load_tokenizer, require_length
from enstack.models.hardware import device_name
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.parallel.group import Group, current_group
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import is_current
from enstack.training.beginnings import refuse_foreign_checkpoints
from enstack.training.job import EpochSaved, TrainingData, TrainingJob
from enstack.training.kept_predictions import drop_predictions
from enstack.training.predictions import Predicted, predictions
from enstack.training.resume import check_resume_from
from enstack.training.run_hardware import hardware_of
from enstack.training.tensorboard import report_epoch
from enstack.training.trainer import train_base_model


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
    _require_work_for(current_group(), config.batch_size)
    for base_model in base_models:
        require_length(base_model, config.max_length)
        # Read only to be refused in time, not when other base models have been trained.
        load_tokenizer(base_model)
    refuse_foreign_checkpoints(base_models, data, plan, config, run)
    check_resume_from(base_models, config)


def _require_work_for(group: Group, batch_size: int) -> None:
    """Say which processes train, where there are several; ConfigError for more than a batch has."""
    if group.size > batch_size:
        raise ConfigError(
            "batch_size is counted over all processes and must be at least their number, found "
            f"{batch_size} for {group.size} processes. Use fewer processes, or a larger batch_size "
            "in a new run_dir."
        )
    if group.size > 1:
        say(f"▶ {group.size} processes train together: {'; '.join(group.names)}")


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

    hardware = hardware_of(config, run)

    def begin(this: bool) -> None:
        trains.append(this)
        begun(this)
        if this:
            run.log(
                "training_started",
                base_model=base_model.name,
                device=device_name(hardware.device),
                precision=hardware.precision,
                processes=hardware.group.size,
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
        epoch_saved=_curves_of(base_model, config, run),
    )
    training_seconds = train_base_model(job, begun=begin)
    # Asked for only now: they name the best model, which training has just made.
    inputs = made_from()
    # As where only the history was lost, which training has written again.
    if not is_current(folder.probabilities, inputs):
        predicted = predictions(job, examples, plan, begin)
        kept = {} if any(trains) else trained_with
        _store_probabilities(job, examples, predicted, inputs, kept, folder, training_seconds)
    # The next base model needs the room on the GPU that this one's reference cycles still hold.
    gc.collect()
    torch.cuda.empty_cache()


def _curves_of(base_model: BaseModel, config: RunConfig, run: RunFolder) -> EpochSaved | None:
    if config.report_to == "none":
        return None
    return functools.partial(report_epoch, run.tensorboard(base_model.name))


def _store_probabilities(
    job: TrainingJob,
    examples: dict[str, LabelledTokens],
    predicted: dict[str, Predicted],
    inputs: dict[str, Any],
    kept: dict[str, Any],
    folder: BaseModelFolder,
    training_seconds: float | None,
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
        "cost": _cost(predicted, training_seconds),
    }
    with replacing_folder(folder.probabilities, details) as beside:
        for split, said in predicted.items():
            path, ids = beside / f"{split}.npz", examples[split].ids
            origin = _origin(job, inputs, said)
            save_probabilities(path, ids, said.probabilities, said.seen, origin)
        # Before this is in place: a kill in between costs their time, and leaves nothing behind.
        drop_predictions([one.predicted for one in (folder, *folder.folds)])


def _truncated_by_class(
    task: LabelTask, examples: dict[str, LabelledTokens]
) -> dict[str, dict[str, int]]:
    """Functions of each split and class that were cut; of a split whose tokens don't say, none."""
    return {
        split: task.class_counts(of_split.labels[of_split.tokens.cut])
        for split, of_split in examples.items()
        if of_split.tokens.cut is not None
    }


def _cost(predicted: dict[str, Predicted], training_seconds: float | None) -> dict[str, Any]:
    """What the base model took: the folds apart, for stacks alone need them."""
    test, train = predicted["test"], predicted.get("train")
    return {
        "training_seconds": training_seconds,
        "fold_seconds": train.training_seconds if train else 0.0,
        "seconds_per_1000": 1000 * test.seconds / len(test.seen),
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
