"""The measurement of a batch: what it says, and that it leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from enstack.errors import ConfigError, EnstackError
from enstack.models.base_models import BaseModel
from enstack.models.hardware import Hardware
from enstack.training import epoch_time as module
from enstack.training.epoch_time import BatchCost, encoder_of, estimate_epoch_time, measure_batch
from tests.support.training import train_config

CPU = Hardware(torch.device("cpu"), "fp32", workers=0)


def test_the_papers_models_are_measured_without_a_network_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def cost(*_: object, **sizes: object) -> BatchCost:
        measured.append(1)
        return BatchCost(0.47, 9 * 2**30)

    monkeypatch.setattr(module, "measure_batch", cost)
    models = [BaseModel(name, f"microsoft/{name}-base") for name in ("codebert", "unixcoder")]
    config = train_config(tmp_path, batch_size=16, epochs=10, max_length=512)
    (line,) = estimate_epoch_time(models, 20_305, config, CPU)
    assert line == (
        "⏱️  codebert, unixcoder: 0.47 s a batch of 16 x 512 tokens, 9.0 GiB of GPU memory; 20,305 "
        "functions take at most 10 min an epoch and model, 1 h 39 min with EPOCHS = 10"
    )
    assert measured == [1]
    encoder = encoder_of(models[0])
    assert (encoder.num_hidden_layers, encoder.hidden_size) == (12, 768)


def test_a_real_measurement_leaves_the_random_state_and_the_configuration(
    micro_model: BaseModel,
) -> None:
    encoder = encoder_of(micro_model)
    before, state = encoder.to_dict(), torch.random.get_rng_state()
    cost = measure_batch(encoder, CPU, batch_size=4, max_length=32)
    assert cost.seconds > 0
    assert cost.memory is None
    assert torch.equal(state, torch.random.get_rng_state())
    assert encoder.to_dict() == before


def test_on_a_cpu_a_small_batch_is_timed_and_scaled(
    micro_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def train(encoder: object, rows: int, width: int, *_: object) -> tuple[float, None]:
        asked.append((rows, width))
        return 0.5, None

    monkeypatch.setattr(module, "_train", train)
    encoder = encoder_of(micro_model)
    cost = measure_batch(encoder, CPU, batch_size=16, max_length=512)
    assert asked == [(1, 256)]
    assert cost.seconds == 0.5 * 16 * 512 / 256


def test_a_batch_that_does_not_fit_says_which_one_would(
    micro_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object) -> tuple[float, None]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "_train", train)
    with pytest.raises(EnstackError, match=r"Use BATCH_SIZE = 8 with ACCUMULATION_STEPS = 2"):
        measure_batch(encoder_of(micro_model), CPU, batch_size=16, max_length=512)


@pytest.mark.parametrize(("name", "limit"), [("codebert", 512), ("unixcoder", 1024)])
def test_a_length_that_a_model_can_not_read_is_refused_before_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(module, "measure_batch", lambda *_, **__: BatchCost(1.0, None))
    models = [BaseModel(name, f"microsoft/{name}-base")]
    assert estimate_epoch_time(models, 100, train_config(tmp_path, max_length=limit), CPU)
    with pytest.raises(ConfigError, match=f"max_length must be at most {limit} for {name}"):
        estimate_epoch_time(models, 100, train_config(tmp_path, max_length=limit + 1), CPU)
