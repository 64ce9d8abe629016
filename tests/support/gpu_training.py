"""Trainings on a GPU: an encoder with dropout, steps by hand, a machine without its GPU."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from enstack.models.loader import make_loader
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.state import TrainingState
from enstack.training.step import Step, in_steps, train_batch

SHAPE = TinyModel(vocabulary=300, hidden=64, layers=2, heads=2)


def write_encoder_with_dropout(folder: Path, texts: list[str], shape: TinyModel = SHAPE) -> None:
    """An encoder as RoBERTa is fine-tuned: dropout in its layers and on its attention."""
    write_encoder(folder, shape, texts, seed=1)
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    path.write_text(json.dumps({**settings, **dropout}))


def train_steps(training: TrainingState, steps: int) -> None:
    """Train the next steps of the epoch in work, as the trainer does, without saves and bars."""
    config = training.config
    rows, order = training.rest_of_epoch()
    loader = make_loader(
        training.job.data.train.take(rows),
        order,
        pad_token_id=training.job.tokenizer.pad_token_id,
        hardware=training.job.hardware,
    )
    training.model.train()
    for batches in itertools.islice(in_steps(loader, config.accumulation_steps), steps):
        step = Step.of(batches, training)
        for batch in batches:
            train_batch(training, batch, step)


@contextlib.contextmanager
def without_gpu() -> Iterator[None]:
    """The product sees a machine that has no GPU."""
    with (
        mock.patch.object(torch.cuda, "is_available", return_value=False),
        mock.patch.object(torch.cuda, "device_count", return_value=0),
    ):
        yield


def all_finite(tensors: dict[str, Any]) -> bool:
    """Whether every weight is a number."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
