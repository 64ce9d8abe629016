"""How long a run will take on this machine: batches measured, real lengths, every stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enstack.counting import counted
from enstack.progress.say import duration, say
from enstack.storage.json_text import parsed_json

if TYPE_CHECKING:
    from enstack.config import RunConfig
    from enstack.data.functions import VulnerabilityData
    from enstack.models.base_models import BaseModel
    from enstack.models.hardware import Hardware
    from enstack.training.epoch_time import BatchCost

SAMPLE = 500  # functions whose tokens are counted
GIB = 2**30
# Stacks, plain baselines, intervals and the report, as measured on two cores: a start, and so much
# for each function that words are counted of.
STACKING_SECONDS, STACKING_SECONDS_PER_FUNCTION = 8.0, 0.002


@dataclass(frozen=True)
class Work:
    """What is left of one base model, in functions and epochs.

    trained: functions trained on, over all epochs and folds; predicted: functions predicted, those
    of each epoch's validation among them; tokenized: functions.
    """

    epochs: int
    trained: int
    predicted: int
    tokenized: int


@dataclass(frozen=True)
class ModelTime:
    """What one base model will take, in seconds, and how that was found."""

    name: str
    work: Work
    epoch: float
    total: float
    cost: BatchCost


def show_run_time(config: RunConfig) -> None:
    """After the form: say how long the run will take from here on, and when it would be done.

    A few batches of each kind of base model are trained with random weights, and the tokens of some
    functions are counted. Raises ConfigError or DataError for what cell 6 would refuse too.
    """
    from enstack.config import base_model_names
    from enstack.inputs import base_model
    from enstack.models.hardware import Hardware

    named = zip(base_model_names(config.base_models), config.base_models, strict=True)
    left = {name: model for name, model in named if not _finished(config, name)}
    if not left:
        say("⏱️  Every base model is trained: cell 6 has only stacking and report to do, if that.")
        return
    say("Measuring a few batches ...")
    data = _read_data(config)
    hardware = Hardware.choose(config.precision, config.num_workers)
    models = [base_model(name, model, config) for name, model in left.items()]
    times = _model_times(models, data, config, hardware)
    for line in _lines(times, _stacking_seconds(data), config):
        say(line)


def _finished(config: RunConfig, name: str) -> bool:
    from enstack.run_folder import RunFolder

    return (
        RunFolder(Path(config.run_dir)).base_model(name).probabilities / "manifest.json"
    ).exists()


def _epochs_done(config: RunConfig, name: str) -> int:
    """As its history tells; what lies on another machine's disk or is damaged counts as none."""
    from enstack.run_folder import RunFolder

    try:
        text = RunFolder(Path(config.run_dir)).base_model(name).history.read_text(encoding="utf-8")
        records = [parsed_json(line) for line in text.splitlines()]
        return max((int(one["epoch"]) for one in records if one["event"] == "epoch"), default=0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _read_data(config: RunConfig) -> VulnerabilityData:
    """The data without a word: cell 4 told of it, and cell 6 will."""
    from enstack.data.functions import read_data
    from enstack.inputs import data_folder

    return read_data(
        data_folder(config),
        label_mode=config.label_mode,
        label_rule=config.label_rule,
        subset=config.subset,
        seed=config.seed,
        cache_dir=Path(config.local_dir),
    )


def _model_times(
    models: list[BaseModel], data: VulnerabilityData, config: RunConfig, hardware: Hardware
) -> list[ModelTime]:
    """What each base model takes; models of one shape cost the same, and are measured once."""
    from enstack.models.base_models import load_tokenizer, refuse_length
    from enstack.training.epoch_time import encoder_of, measure_batch

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
            costs[shape] = measure_batch(
                encoder, hardware, batch_size=config.batch_size, max_length=int(width)
            )
        work = work_left(data, config, config.epochs - _epochs_done(config, model.name))
        times.append(_time_of(model.name, work, lengths, pace, costs[shape], data, config))
    return times


def sample_texts(data: VulnerabilityData, seed: int) -> list[str]:
    """Some functions of the training split, drawn by the run's own seed."""
    train = data.splits["train"]
    rows = np.random.default_rng(seed).permutation(len(train))[:SAMPLE]
    return [str(text) for text in train.take(np.sort(rows)).sources.to_pylist()]


def count_tokens(tokenizer: Any, texts: list[str], max_length: int) -> tuple[np.ndarray, float]:
    """Tokens of each text (n,), and the seconds that one takes."""
    from enstack.models.tokens import encode

    before = time.perf_counter()
    input_ids, _ = encode(texts, tokenizer, max_length)
    seconds = time.perf_counter() - before
    return np.array([len(ids) for ids in input_ids]), seconds / len(texts)


def batch_widths(lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """Tokens to which each batch would be padded, ascending, with functions of like length."""
    from enstack.batches import pad_to

    ordered = np.sort(lengths)
    # The last of each batch; the last batch may be short.
    ends = np.minimum(np.arange(batch_size, len(ordered) + batch_size, batch_size), len(ordered))
    return np.array([pad_to(int(length)) for length in ordered[ends - 1]])


def work_left(data: VulnerabilityData, config: RunConfig, epochs: int) -> Work:
    """What is left of a base model that has so many epochs to go, its folds included."""
    sizes = {split: len(functions) for split, functions in data.splits.items()}
    train, validation = sizes["train"], sizes["validation"]
    if config.meta_features == "holdout":
        trained, predicted = epochs * train, epochs * validation // 2
        return Work(epochs, trained, predicted + validation + sizes["test"], sum(sizes.values()))
    # Each fold is trained on the others' functions, for all epochs, and predicted.
    in_folds = config.epochs * (config.folds - 1) * train
    predicted = (epochs + config.epochs * config.folds) * validation
    return Work(
        epochs,
        epochs * train + in_folds,
        predicted + train + validation + sizes["test"],
        sum(sizes.values()),
    )


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
        name, work, training(len(data.splits["train"])), total + work.tokenized * pace, cost
    )


def _stacking_seconds(data: VulnerabilityData) -> float:
    functions = sum(map(len, data.splits.values()))
    return STACKING_SECONDS + min(functions, 100_000) * STACKING_SECONDS_PER_FUNCTION


def _lines(
    times: list[ModelTime],
    stacking: float,
    config: RunConfig,
    now: Callable[[], float] = time.time,
) -> list[str]:
    total = sum(one.total for one in times) + stacking
    done = time.strftime("%H:%M %Z", time.localtime(now() + total))
    days = "" if total < 86_400 else f" in {total / 86_400:.1f} days"
    patience = ", or sooner by early stopping" if config.early_stopping_patience else ""
    return [
        f"⏱️  About {duration(total)} from here to the report, all stages together{patience}: if "
        f"cell 6 starts now, until {done}{days}",
        *(_line(one, config) for one in times),
        f"   - stacking and report: about {duration(stacking)}",
    ]


def _line(one: ModelTime, config: RunConfig) -> str:
    folds = f" and {config.folds} folds" if config.meta_features == "out_of_fold" else ""
    memory = f"; {one.cost.memory / GIB:.1f} GiB of GPU memory" if one.cost.memory else ""
    epochs = f"{counted(one.work.epochs, 'epoch')} of {duration(one.epoch)}"
    return (
        f"   - {one.name}: {duration(one.total)}, {epochs}"
        f"{folds}, with tokens and predictions{memory}"
    )
