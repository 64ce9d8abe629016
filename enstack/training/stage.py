"""The stage of one base model: tokenize, fine-tune, and predict with the best epoch."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enstack.checkpoints.slots import BEST
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer, require_length
from enstack.models.hardware import choose_device, choose_precision
from enstack.models.loader import worker_count
from enstack.models.predict import predict_probabilities, save_probabilities
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.progress.say import say
from enstack.progress.stopping import stop_requests
from enstack.storage.manifest import folder_problems, replacing_folder
from enstack.training.resume import check_resume_from
from enstack.training.state import SEEN_FILE, Log, TrainingData
from enstack.training.trainer import train_base_model


def require_base_models(base_models: list[BaseModel], config: RunConfig) -> None:
    """Refuse what can't be trained, before any base model is.

    Base models must be found and read so far; resume_from must serve one of them.
    """
    for base_model in base_models:
        require_length(base_model, config.max_length)
        load_tokenizer(base_model)
    check_resume_from(base_models, config)


def fine_tune_and_predict(
    base_model: BaseModel,
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    folder: Path,
    made_from: Callable[[], dict[str, Any]],
    log: Log,
) -> None:
    """Leave a best model and the probabilities of every split that stacking needs.

    folder: the base model's place in the run folder. made_from: asked when all is done, gives the
    inputs that the probabilities' manifest records.
    """
    tokenizer = load_tokenizer(base_model)
    examples = tokenize_splits(base_model, tokenizer, data, config)
    whole = training_data(data, plan, examples)
    old_runs = Path(config.resume_from or config.run_dir)
    train_base_model(base_model, tokenizer, whole, config, folder, log, old_runs)
    found = {
        split: _predict(base_model, tokenizer, whole, examples[split], split, config, folder)
        for split in ("validation", "test")
    }
    if plan.fold_of is not None:
        found["train"] = _out_of_fold(
            base_model, tokenizer, whole, plan.fold_of, config, folder, log
        )
    inputs = made_from()
    truncated = {split: tokens.tokens.n_truncated for split, tokens in examples.items()}
    facts = {"made_from": inputs, "truncated": truncated}
    with replacing_folder(folder / "probabilities", facts) as beside:
        for split, (probabilities, seen) in found.items():
            save_probabilities(
                beside / f"{split}.npz", examples[split].ids, probabilities, seen, inputs
            )
    gc.collect()
    torch.cuda.empty_cache()


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
        selection=examples["validation"].take(plan.selection),
        task=data.task,
        fingerprint=data.fingerprint,
    )


def _out_of_fold(
    base_model: BaseModel,
    tokenizer: Any,
    whole: TrainingData,
    fold_of: np.ndarray,
    config: RunConfig,
    folder: Path,
    log: Log,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each training row from a base model that was trained on the other folds."""
    probabilities = np.zeros((len(fold_of), len(whole.class_names)), dtype=np.float32)
    seen = np.ones(len(fold_of), dtype=bool)
    for fold in range(config.folds):
        inside, outside = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        say(f"▶ {base_model.name}: fold {fold + 1} of {config.folds}")
        others = dataclasses.replace(whole, train=whole.train.take(outside))
        place = folder / "folds" / str(fold + 1)
        train_base_model(base_model, tokenizer, others, config, place, log)
        probabilities[inside], seen[inside] = _predict(
            base_model, tokenizer, whole, whole.train.take(inside), "train", config, place
        )
    return probabilities, seen


def _predict(
    base_model: BaseModel,
    tokenizer: Any,
    whole: TrainingData,
    examples: LabelledTokens,
    split: str,
    config: RunConfig,
    folder: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the best model, and for each row whether that model has seen it."""
    best, device = folder / BEST, choose_device()
    found = folder_problems(best)
    if found:
        raise CheckpointError(
            f"{best} must be whole to predict with, but {found[0]}. Put a good copy back, or train "
            "anew with another run_dir."
        )
    model = load_classifier(
        BaseModel(base_model.name, str(best)),
        whole.class_names,
        seed=config.seed,
        problem_type=whole.task.problem_type,
    )
    with stop_requests() as stop:
        probabilities = predict_probabilities(
            model.to(device),
            examples,
            batch_size=2 * config.batch_size,
            precision=choose_precision(config.precision, device),
            num_workers=worker_count(config.num_workers, device),
            pad_token_id=tokenizer.pad_token_id,
            title=f"Predicting with {base_model.name} [{split}]",
            stop=stop,
        )
    with np.load(best / SEEN_FILE) as arrays:
        return probabilities, np.isin(examples.ids, arrays["ids"])
