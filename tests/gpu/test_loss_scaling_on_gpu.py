from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack.errors import Interrupted
from enstack.training.optimizer import ScheduledOptimizer, learning_rates
from enstack.training.resume import start_or_resume
from tests.support.equality import training_outcome
from tests.support.gpu_training import all_finite
from tests.support.training import job_of, run_training, train_config

BATCHES = 33  # of three epochs
TOO_LARGE = 2.0**36  # no loss of 1 can be scaled by it in half precision


def test_the_scale_and_its_growth_tracker_survive_a_resume(
    dropout_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(tmp_path, precision="fp16")
    with monkeypatch.context() as patched:
        # Neither is what a new scaler begins with.
        patched.setattr(torch.amp, "GradScaler", _scaler(init_scale=2.0**14))
        with pytest.raises(Interrupted, match="5 of 11 batches"):
            run_training(*dropout_parts, config, monkeypatch, stop_after=5)
    scaler = start_or_resume(job_of(dropout_parts, config)).optimizer.scaler.state_dict()
    assert scaler["scale"] == 2.0**14
    assert scaler["_growth_tracker"] == 5


def test_a_step_with_infinite_gradients_is_skipped_and_counted_as_such() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3).cuda()
    rates = learning_rates(20, peak=0.1, warmup_ratio=0.1, scheduler="linear")
    optimizer = ScheduledOptimizer(
        model, rates, weight_decay=0.01, max_grad_norm=1.0, precision="fp16"
    )
    for number in range(6):
        before, scale = model.weight.detach().clone(), optimizer.loss_scale()
        loss = model(torch.randn(8, 4, device="cuda")).square().mean()
        optimizer.backward(loss * (float("inf") if number == 2 else 1.0))
        optimizer.step()
        skipped = torch.equal(before, model.weight)
        # The first rate of a warm-up is 0: that step changes nothing, and is not skipped.
        assert skipped == (number in (0, 2))
        assert optimizer.loss_scale() == (scale / 2 if number == 2 else scale)
    assert (optimizer.attempted, optimizer.applied_steps()) == (6, 5)
    assert optimizer.next_rate() == pytest.approx(float(optimizer.rates[5]))
    assert all_finite(dict(model.named_parameters()))


def test_a_training_whose_first_steps_overflow_saves_numbers_alone(
    dropout_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.amp, "GradScaler", _scaler(init_scale=TOO_LARGE))
    run_training(*dropout_parts, train_config(tmp_path, precision="fp16"), monkeypatch)
    outcome = training_outcome(tmp_path)
    applied = outcome["scheduler_state_dict"]["last_epoch"]
    assert outcome["attempted_steps"] == BATCHES
    assert 0 < applied < BATCHES
    assert outcome["scaler_state_dict"]["scale"] == TOO_LARGE / 2 ** (BATCHES - applied)
    assert all_finite(outcome["weights"])
    assert all_finite(outcome["best"])


def _scaler(init_scale: float) -> Any:
    return functools.partial(torch.amp.GradScaler, init_scale=init_scale)
