"""A training of the micro model: its settings, stops and kills at a batch, and what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.models.base_models import BaseModel
from enstack.models.hardware import Hardware
from enstack.models.tokens import LabelledTokens
from enstack.training import trainer
from enstack.training.job import Log, TrainingData, TrainingJob
from enstack.training.trainer import train_base_model


def train_config(run_dir: Path, **settings: Any) -> RunConfig:
    """Three epochs of 11 batches, in fp32, so that equal means equal to the last bit."""
    chosen = {
        "epochs": 3,
        "batch_size": 4,
        "save_steps": 3,
        "learning_rate": 1e-3,
        "max_length": 150,
        "precision": "fp32",
        "label_mode": "cwe_or_clean",
        "num_workers": 0,
        **settings,
    }
    local_dir = str(run_dir.with_name(f"{run_dir.name}-scratch"))
    return RunConfig(run_dir=str(run_dir), **{"local_dir": local_dir, **chosen})


def no_log(event: str, **details: Any) -> None:
    pass


def job_of(
    parts: tuple[Any, ...],
    config: RunConfig,
    folder: Path | None = None,
    log: Log = no_log,
    old_runs: Path | None = None,
) -> TrainingJob:
    """parts: base model, tokenizer and data; folder: the run folder itself if left out."""
    hardware = Hardware.choose(
        config.precision, config.num_workers, deterministic=config.deterministic
    )
    place = Path(config.run_dir) if folder is None else folder
    return TrainingJob(*parts, config, hardware, place, log, old_runs)


class Stop:
    """Stands for the stop request that a signal or a button makes."""

    def __init__(self) -> None:
        self.requested = False


def run_training(
    model: BaseModel,
    tokenizer: Any,
    data: TrainingData,
    config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int = -1,
    log: Log = no_log,
) -> None:
    """Train, and ask for a stop while batch `stop_after` (from 1) of this call is trained."""
    trained = 0
    original = trainer.train_batch

    @contextmanager
    def requests() -> Iterator[Stop]:
        yield stop

    def counted(*args: Any) -> None:
        nonlocal trained
        original(*args)
        trained += 1
        stop.requested |= trained == stop_after

    stop = Stop()
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_batch", counted)
        train_base_model(job_of((model, tokenizer, data), config, log=log), stops=requests)


class Killed(BaseException):
    """Stands for SIGKILL: nothing below may catch it, so there is no save and no clean-up."""


def kill_after(patched: pytest.MonkeyPatch, batches: int) -> None:
    """Let the next training die once it has trained so many batches."""
    original, trained = trainer.train_batch, 0

    def counted(*args: Any) -> None:
        nonlocal trained
        original(*args)
        trained += 1
        if trained == batches:
            raise Killed

    patched.setattr(trainer, "train_batch", counted)


def record_reads(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """A list that grows by the rows of each batch that is read from now on."""
    read: list[list[int]] = []
    original = LabelledTokens.__getitems__

    def noted(self: LabelledTokens, rows: list[int]) -> Any:
        read.append(list(rows))
        return original(self, rows)

    monkeypatch.setattr(LabelledTokens, "__getitems__", noted)
    return read
