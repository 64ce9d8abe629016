"""How long base models will take on this machine: batches measured, real lengths, folds apart."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from enstack.base_model_folder import BaseModelFolder
from enstack.batches import pad_to
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.models.base_models import BaseModel, load_tokenizer, refuse_length
from enstack.models.hardware import Hardware
from enstack.models.tokens import encode
from enstack.progress.say import duration
from enstack.run_folder import RunFolder
from enstack.storage.json_text import parsed_json
from enstack.training.epoch_time import BatchCost, encoder_of, measure_batch

SAMPLE = 500  # functions whose tokens are counted
SESSION_HOURS = 12  # the longest that Colab lets a machine run


@dataclass(frozen=True)
class Work:
    """What is left of one base model, in functions and epochs.

    trained: functions trained on, over all epochs and folds; in_folds: those of them in folds;
    predicted: functions predicted, those of each epoch's validation among them; tokenized:
    functions.
    """

    epochs: int
    trained: int
    in_folds: int
    predicted: int
    tokenized: int


@dataclass(frozen=True)
class ModelTime:
    """What one base model will take, in seconds, its folds included, and how that was found."""

    name: str
    work: Work
    epoch: float
    folds: float
    total: float
    cost: BatchCost


def model_times(
    models: list[BaseModel],
    data: VulnerabilityData,
    config: RunConfig,
    run: RunFolder,
    hardware: Hardware,
) -> list[ModelTime]:
    """What each base model takes from here on; models of one shape are measured once."""
    sample = sample_texts(data, config.seed)
    costs: dict[str, BatchCost] = {}
    times = []
    for model in models:
        encoder = encoder_of(model)
        refuse_length(model, encoder, config.max_length)
        lengths, pace = count_tokens(load_tokenizer(model), sample, config.max_length)
        shape = f"{encoder.model_type} {encoder.num_hidden_layers} x {encoder.hidden_size}"
        if shape not in costs:
            width = batch_widths(lengths, config.batch_size)[-1]
            share = math.ceil(config.batch_size / hardware.group.size)
            cost = measure_batch(encoder, hardware, batch_size=share, max_length=int(width))
            costs[shape] = cost.shared_by(hardware.group.size)
        work = work_left(data, config, *epochs_left(run.base_model(model.name), config))
        times.append(_time_of(model.name, work, lengths, pace, costs[shape], data, config))
    return times


def price_of_folds(times: list[ModelTime], config: RunConfig) -> str:
    """What out-of-fold features cost beside the base models, in trainings, hours and sessions."""
    folds, total = sum(one.folds for one in times), sum(one.total for one in times)
    hours = SESSION_HOURS if config.session_hours == "none" else config.session_hours
    sessions = math.ceil(total / 3600 / hours)
    return (
        f"⏱️  Out-of-fold: {counted(config.folds, 'more training')} of each of "
        f"{counted(len(times), 'base model')}, on {config.folds - 1} of {config.folds} parts of "
        f"train each: about {duration(folds)} of {duration(total)} in all from here, "
        f"{counted(sessions, 'session')} of {hours:g} h. A fold that is finished is kept, "
        "and one that is stopped goes on; meta_features=holdout does without."
    )


def epochs_left(folder: BaseModelFolder, config: RunConfig) -> tuple[int, int]:
    """Epochs to go of a base model, and of all its folds together."""
    done = {int(fold.path.name): _epochs_done(fold) for fold in folder.folds}
    n_folds = config.folds if config.meta_features == "out_of_fold" else 0
    left = [config.epochs - done.get(fold, 0) for fold in range(1, n_folds + 1)]
    return config.epochs - _epochs_done(folder), sum(left)


def _epochs_done(folder: BaseModelFolder) -> int:
    """As its history tells; what lies on another machine's disk or is damaged counts as none."""
    try:
        records = [parsed_json(line) for line in folder.history.read_text("utf-8").splitlines()]
        return max((int(one["epoch"]) for one in records if one["event"] == "epoch"), default=0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def sample_texts(data: VulnerabilityData, seed: int) -> list[str]:
    """Some functions of the training split, drawn by the run's own seed."""
    train = data.splits["train"]
    rows = np.random.default_rng(seed).permutation(len(train))[:SAMPLE]
    return [str(text) for text in train.take(np.sort(rows)).sources.to_pylist()]


def count_tokens(tokenizer: Any, texts: list[str], max_length: int) -> tuple[np.ndarray, float]:
    """Tokens of each text (n,), and the seconds that one takes."""
    before = time.perf_counter()
    input_ids, _ = encode(texts, tokenizer, max_length)
    seconds = time.perf_counter() - before
    return np.array([len(ids) for ids in input_ids]), seconds / len(texts)


def batch_widths(lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """Tokens to which each batch would be padded, ascending, with functions of like length."""
    ordered = np.sort(lengths)
    # The last of each batch; the last batch may be short.
    ends = np.minimum(np.arange(batch_size, len(ordered) + batch_size, batch_size), len(ordered))
    return np.array([pad_to(int(length)) for length in ordered[ends - 1]])


def work_left(data: VulnerabilityData, config: RunConfig, epochs: int, fold_epochs: int) -> Work:
    """What is left of a base model that has so many epochs to go, and so many in all its folds."""
    sizes = {split: len(functions) for split, functions in data.splits.items()}
    train, validation, every = sizes["train"], sizes["validation"], sum(sizes.values())
    if config.meta_features == "holdout":
        predicted = epochs * validation // 2 + validation + sizes["test"]
        return Work(epochs, epochs * train, 0, predicted, every)
    # Each fold is trained on the others' functions, and predicted.
    in_folds = fold_epochs * train * (config.folds - 1) // config.folds
    predicted = (epochs + fold_epochs) * validation + every
    return Work(epochs, epochs * train + in_folds, in_folds, predicted, every)


def _time_of(
    name: str,
    work: Work,
    lengths: np.ndarray,
    pace: float,
    cost: BatchCost,
    data: VulnerabilityData,
    config: RunConfig,
) -> ModelTime:
    tokens_each = float(batch_widths(lengths, config.batch_size).mean())

    def training(functions: int) -> float:
        batches = math.ceil(functions / config.batch_size)
        return cost.training(batches, round(functions * tokens_each))

    total = training(work.trained) + cost.prediction(round(work.predicted * tokens_each))
    return ModelTime(
        name,
        work,
        training(len(data.splits["train"])),
        training(work.in_folds),
        total + work.tokenized * pace,
        cost,
    )
