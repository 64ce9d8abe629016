from __future__ import annotations

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from enstack.training.optimizer import ScheduledOptimizer, learning_rates
from tests.support.equality import same


def make_model() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


def make(model: torch.nn.Module, *, precision: str = "fp32", steps: int = 20) -> ScheduledOptimizer:
    rates = learning_rates(steps, peak=0.1, warmup_ratio=0.1, scheduler="linear")
    return ScheduledOptimizer(
        model, rates, weight_decay=0.01, max_grad_norm=1.0, precision=precision
    )


def step(optimizer: ScheduledOptimizer, model: torch.nn.Module, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(optimizer.attempted)
    x = torch.randn(8, 4, generator=generator)
    optimizer.backward(model(x).square().mean() * scale)
    optimizer.step()


@pytest.mark.parametrize(
    ("name", "peer"),
    [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)],
)
def test_schedules_equal_those_of_transformers(name: str, peer: object) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-5)
    schedule = peer(optimizer, 13, 130)  # type: ignore[operator]
    expected = []
    for _ in range(130):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    rates = learning_rates(130, peak=2e-5, warmup_ratio=0.1, scheduler=name)
    assert rates[:130].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_steps_equal_those_of_plain_adamw_with_the_scheduler_of_transformers() -> None:
    model, peer = make_model(), make_model()
    ours = make(model)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=0.1, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, 2, 20)
    for number in range(12):
        generator = torch.Generator().manual_seed(number)
        peer(torch.randn(8, 4, generator=generator)).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        step(ours, model)
    for left, right in zip(model.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_a_skipped_step_advances_neither_the_count_nor_the_learning_rate() -> None:
    model = make_model()
    optimizer = make(model, precision="fp16")
    for number in range(6):
        step(optimizer, model, scale=float("inf") if number == 2 else 1.0)
    assert (optimizer.attempted, optimizer.applied_steps()) == (6, 5)
    assert optimizer.next_rate() == pytest.approx(float(optimizer.rates[5]))
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_restored_optimization_goes_on_bit_for_bit(precision: str) -> None:
    unbroken = make_model()
    optimizer = make(unbroken, precision=precision)
    for _ in range(10):
        step(optimizer, unbroken)

    model = make_model()
    first = make(model, precision=precision)
    for _ in range(4):
        step(first, model)
    second = make(model, precision=precision)
    second.load_state_dict(first.state_dict())
    for _ in range(6):
        step(second, model)
    assert same(unbroken.state_dict(), model.state_dict())
    assert same(optimizer.state_dict(), second.state_dict())


def test_a_step_asks_nothing_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """`item`, `float()` and `bool()` on a tensor would make the host wait for a GPU."""
    model = make_model()
    optimizer = make(model, precision="fp32")
    step(optimizer, model)
    asked: list[str] = []
    for name in ("item", "__float__", "__int__", "__bool__", "tolist", "cpu"):
        original = getattr(torch.Tensor, name)

        def noted(self: torch.Tensor, *rest: object, _name: str = name, _o: object = original):  # type: ignore[no-untyped-def]
            asked.append(_name)
            return _o(self, *rest)  # type: ignore[operator]

        monkeypatch.setattr(torch.Tensor, name, noted)
    step(optimizer, model)
    assert asked == []
