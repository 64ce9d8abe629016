"""One turn of a training at full size: of enstack or of Trainer, timed, profiled, or saving."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.profiler import profile

from benchmarks import hugging_face, save
from benchmarks.clock import Clock
from benchmarks.flops import Encoder, wait_for
from benchmarks.small_training import ENSTACK, SAME_BITS, no_log
from benchmarks.step_profile import both_sides, text_of
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware
from enstack.models.tokens import LabelledTokens, Tokens, tokenize
from enstack.progress.stopping import StopRequest
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import train_epoch

MAX_LENGTH = 512
# Of VDISC's functions under RoBERTa's tokenizer, cut at 512: a mean of 273 tokens.
MEDIAN, SPREAD, SHORTEST = 240.0, 0.85, 16
# Trainer groups lengths within 50 batches, enstack within 100: an epoch holds both several times.
EPOCH = 400  # batches
WARM_UP = 10  # batches, of every turn
PROFILED = 20  # batches
TINY = TinyModel(vocabulary=1000, hidden=16, layers=1, heads=2)


@dataclass(frozen=True)
class Case:
    """Who trains, at which precision, in batches of which size."""

    mode: str
    precision: str
    batch_size: int

    def __str__(self) -> str:
        return f"{self.mode} | {self.precision} | batch {self.batch_size}"


@dataclass(frozen=True)
class Setting:
    """What every turn starts from."""

    base_model: BaseModel
    tokenizer: Any
    data: VulnerabilityData
    lengths: np.ndarray
    batches: int  # that are timed in a turn
    folder: Path
    vocabulary: int
    encoder: Encoder

    def examples(self, batch_size: int) -> LabelledTokens:
        """An epoch of functions, their tokens at random."""
        chance = np.random.default_rng(batch_size)
        n = min(EPOCH, 8 * (self.batches + WARM_UP + PROFILED)) * batch_size
        lengths = chance.choice(self.lengths, n).astype(np.int32)
        ids = [chance.integers(10, self.vocabulary, length, dtype=np.int32) for length in lengths]
        rows = Dataset.from_dict({"input_ids": ids})
        labels = chance.integers(0, len(self.data.task.class_names), n)
        return LabelledTokens(Tokens(rows, lengths, 0, ""), labels, np.arange(n).astype(str))


def drawn_lengths() -> np.ndarray:
    """Lengths as VDISC's are spread, int (20000,)."""
    drawn = np.random.default_rng(0).lognormal(math.log(MEDIAN), SPREAD, 20_000)
    return np.clip(drawn, SHORTEST, MAX_LENGTH).astype(np.int64)


def lengths_of(data_dir: str, tokenizer: Any, cache: Path) -> np.ndarray:
    """Lengths of a data folder's training functions."""
    train = read_data(Path(data_dir), label_mode="cwe_or_clean").splits["train"]
    tokens = tokenize(train, tokenizer, max_length=MAX_LENGTH, cache_dir=cache, title="Tokens")
    return tokens.lengths


def set_up(folder: Path, shape: dict[str, int], batches: int, data_dir: str | None) -> Setting:
    """Toy classes, a tokenizer, and a classifier of the shape with random weights."""
    data = read_data(write_toy_data(folder / "data"), label_mode="cwe_or_clean")
    write_encoder(folder / "model", TINY, data.splits["train"].sources.to_pylist(), seed=1)
    base_model = BaseModel("model", str(folder / "model"))
    # Before the model takes the tiny one's place: its vocabulary is larger than the tokenizer's.
    tokenizer = load_tokenizer(base_model)
    save.write_model(folder / "model", shape)
    lengths = lengths_of(data_dir, tokenizer, folder / "cache") if data_dir else drawn_lengths()
    return Setting(
        base_model,
        tokenizer,
        data,
        lengths,
        batches,
        folder,
        vocabulary=shape["vocab_size"],
        encoder=Encoder(
            shape["num_hidden_layers"], shape["hidden_size"], shape["intermediate_size"]
        ),
    )


class Enough(Exception):  # noqa: N818 # no error
    """Enough steps were timed."""


class ClockedStop(StopRequest):
    """Looked at after each step; leaves the training when its steps are timed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    @property
    def requested(self) -> bool:
        """Never: it raises instead, so that nothing is saved."""
        if self.clock.step_ended():
            raise Enough
        return False


def job_of(setting: Setting, examples: LabelledTokens, case: Case, folder: Path) -> TrainingJob:
    """One training of enstack."""
    config = RunConfig(
        batch_size=case.batch_size,
        precision=case.precision,
        deterministic=case.mode == SAME_BITS,
        epochs=1,
        learning_rate=1e-5,
        save_steps=0,
        run_dir=str(folder / "run"),
        local_dir=str(folder / "scratch"),
        label_mode="cwe_or_clean",
    )
    data = TrainingData(examples, examples, setting.data.task, setting.data.fingerprint)
    hardware = Hardware.choose(
        config.precision, config.num_workers, deterministic=config.deterministic
    )
    place = folder / "run"
    return TrainingJob(setting.base_model, setting.tokenizer, data, config, hardware, place, no_log)


def enstack_turn(
    setting: Setting, examples: LabelledTokens, case: Case, folder: Path, clock: Clock
) -> list[np.ndarray]:
    """Tokens of the functions of each timed batch."""
    training = start_or_resume(job_of(setting, examples, case, folder))
    order = itertools.islice(training.rest_of_epoch()[1], clock.first, clock.last)
    batches = [examples.lengths[rows] for rows in order]
    with contextlib.suppress(Enough):
        train_epoch(training, Saver(training), ClockedStop(clock))
    return batches


def trainer_turn(
    setting: Setting, examples: LabelledTokens, case: Case, folder: Path, clock: Clock
) -> list[np.ndarray]:
    """Tokens of the functions of each timed batch."""
    model = load_classifier(setting.base_model, setting.data.class_names, seed=1)
    return hugging_face.train(
        case.mode,
        model,
        setting.tokenizer,
        trainer_rows(examples),
        clock,
        precision=case.precision,
        batch_size=case.batch_size,
        max_length=MAX_LENGTH,
        workers=Hardware.choose().workers,
        folder=folder,
    )


def trainer_rows(examples: LabelledTokens) -> Any:
    """The same functions as a data set of Trainer's, with the lengths it groups by."""
    rows = examples.tokens.rows
    return rows.add_column("length", examples.lengths).add_column("labels", examples.labels)


def turn(setting: Setting, examples: LabelledTokens, case: Case) -> dict[str, float]:
    """One turn's figures."""
    device = Hardware.choose().device
    clock = Clock(WARM_UP, WARM_UP + setting.batches, device)
    run = enstack_turn if case.mode in (ENSTACK, SAME_BITS) else trainer_turn
    free_memory()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        batches = run(setting, examples, case, Path(name), clock)
    return figures(setting.encoder, batches, clock.seconds, case)


def figures(
    encoder: Encoder, batches: list[np.ndarray], seconds: float, case: Case
) -> dict[str, float]:
    """Speeds of some batches, by the tokens of their functions."""
    width = MAX_LENGTH if case.mode == hugging_face.FIXED else None
    tokens = np.concatenate(batches)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {
        "functions_per_second": len(tokens) / seconds,
        "tokens_per_second": float(tokens.sum()) / seconds,
        "useful_flops_per_second": encoder.training(tokens) / seconds,
        "bound": encoder.padding_bound(batches, width),
        "mean_tokens": float(tokens.mean()),
        "peak_gib": peak / 2**30,
    }


def free_memory() -> None:
    """Leave the next turn the whole card, its peak counted anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@contextlib.contextmanager
def in_silence() -> Iterator[None]:
    """Without bars and logs."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class ProfiledStop(StopRequest):
    """Looked at after each step; has some of them profiled, once the first ones are over."""

    def __init__(self, profiler: profile, steps: int, device: torch.device) -> None:
        super().__init__()
        self.profiler, self.steps, self.device, self.ended = profiler, steps, device, 0

    @property
    def requested(self) -> bool:
        """Never: it raises instead."""
        self.ended += 1
        if self.ended == WARM_UP:
            wait_for(self.device)
            self.profiler.start()
        if self.ended == WARM_UP + self.steps:
            wait_for(self.device)
            self.profiler.stop()
            raise Enough
        return False


def profile_of(setting: Setting, case: Case, steps: int = PROFILED) -> str:
    """Where the time of some steps of enstack goes."""
    examples = setting.examples(case.batch_size)
    free_memory()
    profiler = both_sides()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        training = start_or_resume(job_of(setting, examples, case, Path(name)))
        stop = ProfiledStop(profiler, steps, training.device)
        with contextlib.suppress(Enough):
            train_epoch(training, Saver(training), stop)
    return text_of(profiler, f"{case}, {steps} steps")


def saves(setting: Setting) -> dict[str, dict[str, float]]:
    """How long a save of the whole model blocks enstack and Trainer, on a local disk."""
    examples = setting.examples(1)
    data = TrainingData(examples, examples, setting.data.task, setting.data.fingerprint)
    parts = (setting.base_model, setting.tokenizer, data)
    free_memory()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        turns = save.both_on(parts, Path(name), math.inf, rounds=1, idle_batches=20)
    return {who: save.summary(made) for who, made in turns.items()}
