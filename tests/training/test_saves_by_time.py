from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enstack.training import saver, trainer
from enstack.training.trainer import train_base_model
from tests.support.equality import same, training_outcome
from tests.support.training import job_of, train_config


def positions(
    parts: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> list[int]:
    """Batches of the epoch at each save of a training in which every batch takes a minute."""
    minutes, saved = 0, []
    original = trainer.train_batch

    def minute(*args: Any) -> None:
        nonlocal minutes
        original(*args)
        minutes += 1

    def note(event: str, **details: Any) -> None:
        if event == "saved":
            saved.append(details["step"])

    clock = SimpleNamespace(monotonic=lambda: 60.0 * minutes, time=time.time)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_batch", minute)
        patched.setattr(saver, "time", clock)
        train_base_model(job_of(parts, train_config(folder, epochs=1, **settings), log=note))
    return saved


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({"save_steps": 500, "save_minutes": 4}, [4, 8, 0]),
        ({"save_steps": 3, "save_minutes": 4}, [3, 6, 9, 0]),
        ({"save_steps": 6, "save_minutes": 4}, [4, 6, 10, 0]),
        # Saves fall on the ends of optimizer steps.
        ({"save_steps": 500, "save_minutes": 4, "accumulation_steps": 3}, [6, 0]),
        ({"save_steps": 500, "save_minutes": 0}, [0]),
        ({"save_steps": 0, "save_minutes": 4}, [0]),
    ],
)
def test_a_save_is_due_by_batches_or_by_minutes_whichever_comes_first(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    saved: list[int],
) -> None:
    assert positions(parts, tmp_path / "run", monkeypatch, **settings) == saved


def test_when_a_run_saves_changes_nothing_in_its_end(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions(parts, tmp_path / "often", monkeypatch, save_steps=1, save_minutes=0)
    positions(parts, tmp_path / "by-time", monkeypatch, save_steps=500, save_minutes=2)
    assert same(training_outcome(tmp_path / "often"), training_outcome(tmp_path / "by-time"))
