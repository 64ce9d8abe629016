from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from enstack.errors import Interrupted
from enstack.planning.ledger import Session, read_sessions
from enstack.run_folder import RunFolder
from tests.support.training import run_training, train_config


def session(
    parts: Any,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int = -1,
    **settings: Any,
) -> None:
    """One start of the program, which trains on, and is stopped after so many batches."""
    run.path.mkdir(exist_ok=True)
    run.log("run_started", software={"enstack": "9.9"}, machine="a machine")
    config, stopped = train_config(run.path, **settings), stop_after > 0
    with pytest.raises(Interrupted) if stopped else contextlib.nullcontext():
        run_training(*parts, config, monkeypatch, stop_after, run.log)
    run.log("run_stopped" if stopped else "run_finished", message="Why.")


def only_stretches(sessions: list[Session]) -> list[Any]:
    return [stretch for one in sessions for stretch in one.stretches]


def test_each_session_goes_on_where_the_one_before_it_had_left(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    for batches in (4, 7, 5, -1):  # an epoch has 11
        session(parts, run, monkeypatch, batches)
    sessions = read_sessions(run.events())
    stretches = only_stretches(sessions)
    assert [one.end for one in sessions] == ["stopped", "stopped", "stopped", "finished"]
    assert [(one.first, one.last) for one in stretches] == [
        (0, 16 / 42),
        (16 / 42, 1),
        (1, 1 + 20 / 42),
        (1 + 20 / 42, 3),
    ]
    assert [one.fits for one in stretches] == [None, True, True, True]
    assert [one.began_with for one in stretches[1:]] == [one.left for one in stretches[:-1]]
    for one in stretches:
        assert 0 <= one.saving_seconds + one.waiting_seconds <= one.training_seconds
        assert 0.5 < one.useful <= 1
        assert one.functions_per_second < one.tokens_per_second < one.flops_per_second


def test_a_place_in_an_epoch_is_told_by_functions_whatever_the_sizes_of_its_batches(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    session(parts, run, monkeypatch, 5, batch_size=4)  # of 42 functions
    session(parts, run, monkeypatch, 3, batch_size=2)
    session(parts, run, monkeypatch, batch_size=7)
    stretches = only_stretches(read_sessions(run.events()))
    assert [(one.first, one.last) for one in stretches] == [
        (0, 20 / 42),
        (20 / 42, 26 / 42),
        (26 / 42, 3),
    ]


def test_a_checkpoint_that_no_session_has_left_does_not_fit(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "other")
    session(parts, run, monkeypatch, stop_after=5)
    session(parts, other, monkeypatch, stop_after=6)
    shutil.rmtree(train_config(run.path).local_dir)
    (run.path / "last_checkpoint").rename(tmp_path / "own")
    (other.path / "last_checkpoint").rename(run.path / "last_checkpoint")
    session(parts, run, monkeypatch)
    assert [one.fits for one in only_stretches(read_sessions(run.events()))] == [None, False]


def test_a_stopped_session_says_so_and_why(tmp_path: Path) -> None:
    events = [
        {"time": "1", "event": "run_started"},
        {"time": "2", "event": "training_started", "device": "Tesla T4", "precision": "fp16"},
        {"time": "2", "event": "training_started", "device": "CPU", "processes": 2},
        {"time": "3", "event": "saved", "folder": "base_models/x", "epoch": 1, "step": 0},
        {"time": "4", "event": "run_stopped", "reason": "Interrupted", "message": "Why."},
        {"time": "5", "event": "run_started"},
        {"time": "6", "event": "run_finished"},
    ]
    (one,) = read_sessions(map(json.dumps, events))
    assert (one.end, one.message, one.devices, one.precisions) == (
        *("stopped", "Why."),
        *(["Tesla T4", "2 x CPU"], ["fp16"]),
    )
    # Programs before this one recorded neither digests nor seconds: nothing is made up.
    (stretch,) = one.stretches
    assert (stretch.first, stretch.last, stretch.fits) == (None, 1, None)
    assert stretch.training_seconds is stretch.saving_seconds is stretch.waiting_seconds is None


def test_lines_that_are_no_events_are_passed_over() -> None:
    lines = ['{"time": "1", "ev', "[]", "7", '{"event": "saved"}', ""]
    assert read_sessions(lines) == []
