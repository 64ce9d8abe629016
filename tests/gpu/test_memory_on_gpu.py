from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import RobertaConfig

from enstack.errors import EnstackError, Interrupted
from enstack.models.hardware import Hardware
from enstack.training.epoch_time import measure_batch
from enstack.training.resume import start_or_resume
from enstack.training.trainer import train_base_model
from tests.support.equality import training_outcome
from tests.support.gpu_training import all_finite, train_steps
from tests.support.training import job_of, run_training, train_config

MIB = 2**20


@contextmanager
def little_memory(room: int) -> Iterator[None]:
    """The card has so many bytes beyond what is taken."""
    # Trainings refer to themselves in circles.
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + room) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def small_encoder() -> RobertaConfig:
    return RobertaConfig(
        vocab_size=1000,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=514,
        type_vocab_size=1,
    )


def test_the_peak_of_memory_is_above_nothing_and_below_the_card() -> None:
    hardware = Hardware.choose("bf16", 0)
    cost = measure_batch(small_encoder(), hardware, batch_size=8, max_length=256)
    assert cost.memory is not None
    # Weights, gradients and two moments at the least.
    assert 4 * 4 * 3_000_000 < cost.memory < torch.cuda.get_device_properties(0).total_memory


def test_a_measurement_that_does_not_fit_is_refused_with_half_the_batch_as_the_way() -> None:
    hardware = Hardware.choose("fp32", 0)
    with (
        little_memory(400 * MIB),
        pytest.raises(EnstackError, match=r"A batch of 512 .*BATCH_SIZE = 256 .*STEPS = 2"),
    ):
        measure_batch(small_encoder(), hardware, batch_size=512, max_length=512)


def test_what_a_training_says_when_memory_runs_out_and_that_it_goes_on_with_smaller_batches(
    dropout_parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    config = train_config(tmp_path, epochs=2, batch_size=8)
    with pytest.raises(Interrupted, match="2 of 6 batches"):
        run_training(*dropout_parts, config, monkeypatch, stop_after=2)
    with (
        little_memory(MIB),
        pytest.raises((EnstackError, torch.OutOfMemoryError), match="memory") as told,
    ):
        train_base_model(job_of(dropout_parts, config))
    tell(f"out of memory in training: {told.type.__name__}: {str(told.value)[:160]}")
    smaller = train_config(tmp_path, epochs=2, batch_size=4, accumulation_steps=2)
    run_training(*dropout_parts, smaller, monkeypatch)
    outcome = training_outcome(tmp_path)
    assert (outcome["epoch"], outcome["step"]) == (2, 0)
    assert all_finite(outcome["weights"])


def test_smaller_batches_with_accumulation_have_the_same_gradient(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, size, steps in (("one", 8, 1), ("parts", 2, 4)):
        config = train_config(tmp_path / name, batch_size=size, accumulation_steps=steps)
        training = start_or_resume(job_of(parts, config))
        for module in training.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        # The same functions in both: the first eight, whatever order an epoch would have.
        _train_on_the_first(training, 8, size, monkeypatch)
        found.append([p.grad.clone() for p in training.model.parameters()])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def _train_on_the_first(
    training: Any, functions: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step on the first functions, its gradients left where they are."""
    order = [list(range(i, i + size)) for i in range(0, functions, size)]
    rows = np.arange(len(training.job.data.train))
    with monkeypatch.context() as patched:
        patched.setattr(training, "rest_of_epoch", lambda: (rows, order))
        patched.setattr(training.optimizer, "step", lambda: torch.zeros((), device=training.device))
        train_steps(training, 1)
