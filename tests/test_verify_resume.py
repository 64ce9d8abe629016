from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack import verify_resume as verification
from enstack.config import RunConfig
from enstack.errors import CheckpointError, ConfigError
from enstack.verify_resume import first_difference, verify_resume


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Few functions and few interruptions; what is tried is a chain and another machine too."""
    monkeypatch.setattr(verification, "INTERRUPTIONS", 3)
    monkeypatch.setattr(verification, "BATCHES", 4)
    monkeypatch.setattr(verification, "EPOCHS", 2)
    return RunConfig(
        data_dir="toy",
        label_mode="cwe_or_clean",
        batch_size=4,
        accumulation_steps=3,
        precision="fp32",
        num_workers=0,
        run_dir=str(tmp_path / "run"),
        local_dir=str(tmp_path / "local"),
    )


@pytest.mark.parametrize(
    "label_mode", ["cwe_or_clean", pytest.param("multilabel", marks=pytest.mark.slow)]
)
def test_interrupted_runs_are_said_to_end_as_the_unbroken_one(
    config: RunConfig, label_mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = RunConfig(**{**config.model_dump(), "label_mode": label_mode})
    verify_resume(config, seed=3)
    out = capsys.readouterr().out
    assert "accumulation 3" in out
    assert out.count(": identical\n") == 3
    assert out.count("on another machine") == 1
    assert "✅ identical: weights, best model, optimizer" in out
    assert not Path(config.run_dir).exists()


def test_a_resume_that_forgets_something_is_found_out_and_the_first_difference_shown(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enstack.training.state.restore_random_state", lambda state: None)
    with pytest.raises(CheckpointError, match=r"interrupted at epoch 1.*differ in weights \S+\["):
        verify_resume(config, seed=3)


def test_every_instant_is_told(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(verification, "say", told.append)
    with contextlib.suppress(CheckpointError):
        verify_resume(config, seed=8)
    assert sum(line.count("batches") + line.count("very end") for line in told[1:-1]) == 4


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (
            {"a": torch.ones(2, 2)},
            {"a": torch.tensor([[1.0, 1.0], [1.0, 3.0]])},
            "a[1, 1]: 1.0 and",
        ),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a[1] b: 2 and 3"),
        ({"a": 1}, {"a": 1, "c": 2}, "the keys ['c']"),
        ({"a": [1]}, {"a": [1, 2]}, "a: 1 and 2 entries"),
        ({"a": torch.ones(2)}, {"a": torch.ones(2).double()}, "a: torch.float32 [2] and"),
        ({"a": 1}, {"a": "1"}, "a: 1 and '1'"),
    ],
)
def test_the_first_difference_is_named_by_its_place(left: Any, right: Any, expected: str) -> None:
    assert expected in (first_difference(left, right) or "")


def test_equal_values_differ_nowhere_nor_does_nan() -> None:
    value = {"a": [torch.tensor([1.0, float("nan")]), float("nan"), "x"], "b": (1, None)}
    assert first_difference(value, value) is None


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"seed must be 0 or more, found -7"):
        verify_resume(RunConfig(data_dir="toy"), seed=-7)
