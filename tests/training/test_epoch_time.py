"""The measurement of a batch: what it says, and that it leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from enstack.errors import EnstackError
from enstack.models.base_models import BaseModel
from enstack.models.hardware import Hardware
from enstack.training import epoch_time as module
from enstack.training.epoch_time import BatchCost, encoder_of, measure_batch

CPU = Hardware(torch.device("cpu"), "fp32", workers=0)
GPU = Hardware(torch.device("cuda"), "fp16", workers=0)


class Machine:
    """A probe on a machine where a batch takes so long for itself, and so long for each token."""

    def __init__(self, each: float, per_token: float) -> None:
        self.each, self.per_token = each, per_token
        self.asked: list[tuple[int, int]] = []

    def __call__(self, encoder: object, hardware: object) -> Machine:
        return self

    def training(self, rows: int, width: int) -> float:
        self.asked.append((rows, width))
        return self.each + rows * width * self.per_token

    def prediction(self, rows: int, width: int) -> float:
        return rows * width * self.per_token / 3

    def peak_memory(self) -> int | None:
        return 9


def measured(monkeypatch: pytest.MonkeyPatch, machine: Machine, hardware: Hardware) -> BatchCost:
    monkeypatch.setattr(module, "Probe", machine)
    # There may be none, nor a torch that knows of any.
    monkeypatch.setattr(module, "_gpus", lambda hardware: [])
    return measure_batch(None, hardware, batch_size=16, max_length=512)


@pytest.mark.parametrize("each", [0.0, 0.2])
def test_what_a_batch_and_what_a_token_costs_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, each: float
) -> None:
    machine = Machine(each, 5e-5)
    cost = measured(monkeypatch, machine, GPU)
    assert machine.asked == [(16, 512), (16, 128)]
    assert cost.training(100, 100 * 16 * 300) == pytest.approx(100 * (each + 16 * 300 * 5e-5))
    assert cost.prediction(48_000) == pytest.approx(48_000 * 5e-5 / 3)
    assert cost.memory == 9
    # The optimizer's step is every process's own, whatever its share of the tokens.
    shared = cost.shared_by(4)
    assert shared.training(100, 4_800) == pytest.approx(100 * each + 1_200 * 5e-5)
    assert shared.prediction(4_800) == pytest.approx(1_200 * 5e-5 / 3)


def test_a_slow_cpu_times_small_batches_and_a_fast_one_whole_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Machine(0.3, 5e-3)  # AdamW's step over many weights is no matter of tokens
    cost = measured(monkeypatch, slow, CPU)
    assert max(rows * width for rows, width in slow.asked) == 256
    assert cost.training(10, 10 * 16 * 512) == pytest.approx(10 * (0.3 + 16 * 512 * 5e-3))
    fast = Machine(0.01, 1e-6)
    measured(monkeypatch, fast, CPU)
    assert (16, 512) in fast.asked


def test_times_that_waver_never_make_a_part_cost_less_than_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wavering(Machine):
        def training(self, rows: int, width: int) -> float:
            return 0.1 if width == 512 else 0.3

    cost = measured(monkeypatch, Wavering(0, 0), GPU)
    assert (cost.each, cost.per_token) == (0.0, 0.1 / (16 * 512))


def test_the_papers_models_are_known_without_a_network() -> None:
    encoder = encoder_of(BaseModel("unixcoder", "microsoft/unixcoder-base"))
    assert (encoder.num_hidden_layers, encoder.hidden_size) == (12, 768)
    assert encoder.max_position_embeddings == 1026


def test_a_real_measurement_leaves_the_random_state_and_the_configuration(
    micro_model: BaseModel,
) -> None:
    encoder = encoder_of(micro_model)
    before, state = encoder.to_dict(), torch.random.get_rng_state()
    cost = measure_batch(encoder, CPU, batch_size=4, max_length=32)
    assert cost.training(1, 128) > 0
    assert cost.prediction(128) > 0
    assert cost.memory is None
    assert torch.equal(state, torch.random.get_rng_state())
    assert encoder.to_dict() == before


def test_a_batch_that_does_not_fit_says_which_one_would(
    micro_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module.Probe, "training", no_room)
    with pytest.raises(EnstackError, match=r"Use BATCH_SIZE = 8 with ACCUMULATION_STEPS = 2"):
        measure_batch(encoder_of(micro_model), CPU, batch_size=16, max_length=512)
