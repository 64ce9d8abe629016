"""What several processes found is held against what one found; what differs is told."""

from __future__ import annotations

import pytest
import torch

from enstack.config import RunConfig
from enstack.errors import CheckpointError, ConfigError
from enstack.verify_parallel import compared, verify_parallel
from tests.support.command_line import enstack_here

Found = dict[str, torch.Tensor]


@pytest.fixture
def one() -> Found:
    return {
        "gradients": torch.tensor([[1.0, 2.0, -2.0], [0.5, 0.0, 0.1]]),
        "losses": torch.tensor([1.5, 1.25]),
        "predictions": torch.tensor([[0.75, 0.25]]),
    }


def test_what_is_the_same_is_told_with_how_near_it_is(one: Found) -> None:
    lines = compared(one, {**one, "losses": one["losses"] * (1 + 2e-7)})
    assert lines[0] == "gradients of 2 steps: norms within 0.0e+00, distance 0.0e+00"
    assert lines[1].startswith("losses of 2 batches: within 2")
    assert lines[2] == "predictions of 1 function: identical"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gradients", "the norm of a gradient differs by 1.0e-05"),
        ("losses", "the loss of a batch differs by 1.0e-05"),
        ("predictions", "a probability differs by 7.[0-9]e-06"),
    ],
)
def test_what_is_too_far_is_named(one: Found, name: str, what: str) -> None:
    with pytest.raises(CheckpointError, match=what):
        compared(one, {**one, name: one[name] * (1 + 1e-5)})


def test_a_gradient_of_another_direction_is_told_though_its_norm_is_right(one: Found) -> None:
    with pytest.raises(CheckpointError, match=r"a gradient, of its norm differs by"):
        compared(one, {**one, "gradients": one["gradients"].roll(1, dims=1)})


def test_a_loss_that_is_no_number_is_no_agreement(one: Found) -> None:
    with pytest.raises(CheckpointError, match="the loss of a batch differs by nan"):
        compared(one, {**one, "losses": torch.tensor([1.5, float("nan")])})


@pytest.mark.parametrize("processes", [1, 5])
def test_a_number_of_processes_that_a_batch_can_not_be_divided_among_is_refused(
    processes: int,
) -> None:
    with pytest.raises(ConfigError, match=f"2 to batch_size=4, found {processes}"):
        verify_parallel(RunConfig(data_dir="toy", batch_size=4), processes)


@pytest.mark.slow
def test_three_processes_by_torchrun_agree_with_one() -> None:
    done = enstack_here("verify-parallel", "--processes", 3)
    assert done.returncode == 0, done.stderr
    assert "predictions of 64 functions: identical" in done.stdout
    assert "✅ the same: gradients, losses and predictions of 1 and of 3 processes" in done.stdout
