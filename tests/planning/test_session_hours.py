"""A run that stops itself before its session ends, and tells how many sessions are left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.config import RunConfig
from enstack.errors import Interrupted
from enstack.pipeline import run_pipeline
from enstack.planning.ledger import read_sessions
from enstack.progress import session_end
from enstack.progress.session_end import SessionEnd, keep_for_saves, require_time, session_of
from enstack.progress.stopping import StopRequest
from enstack.run_folder import RunFolder
from enstack.training import trainer
from tests.support.equality import same, training_outcome
from tests.support.pipeline_runs import changed

BATCH = 600.0  # seconds that every batch takes here


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, to be moved by hand; each batch of training moves them."""
    now, original = [0.0], trainer.train_batch

    def batch(*args: object) -> None:
        original(*args)
        now[0] += BATCH

    monkeypatch.setattr(trainer, "train_batch", batch)
    monkeypatch.setattr(SessionEnd.__init__, "__defaults__", (lambda: now[0],))
    return now


def test_a_run_in_sessions_ends_as_the_unbroken_one_and_tells_what_is_left(
    config: RunConfig, tmp_path: Path, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken = changed(config, run_dir=str(tmp_path / "unbroken"))
    run_pipeline(unbroken)
    in_parts = changed(config, session_hours=1)
    for _ in range(3):  # six batches fit into an hour, and 5 minutes are kept
        capsys.readouterr()
        with pytest.raises(Interrupted, match="session_hours are nearly over; progress is saved"):
            run_pipeline(in_parts)
        out = capsys.readouterr().out
        assert "of 1 h, each saved before it ends" in out
        assert "of session_hours; tokens" in " ".join(out.split())
    run_pipeline(in_parts)
    run = RunFolder(Path(config.run_dir))
    name = next(run.base_models.iterdir()).name
    first, *others = read_sessions(run.events())
    assert [one.end for one in (first, *others)] == ["stopped"] * 3 + ["finished"]
    assert all(one.fits for session in others for one in session.stretches)
    places = [Path(one.run_dir) / "base_models" / name for one in (unbroken, in_parts)]
    assert same(*map(training_outcome, places))


def test_nothing_is_begun_when_a_session_is_nearly_over(clock: list[float]) -> None:
    with session_of(1):
        require_time("tiny-b")
        clock[0] = 3600 - session_end.MOST
        with pytest.raises(Interrupted, match="nearly over: tiny-b is not begun"):
            require_time("tiny-b")


def test_a_copy_that_took_long_has_the_session_stop_sooner(clock: list[float]) -> None:
    stop = StopRequest()
    with session_of(1):
        keep_for_saves(900)
        clock[0] = 1799
        assert not stop.requested
        clock[0] = 1800  # twice as long is kept
        assert stop.requested
    assert not stop.requested


def test_without_session_hours_no_session_ends(clock: list[float]) -> None:
    with session_of(None):
        clock[0] = 1e9
        assert not StopRequest().requested


def test_a_session_inside_another_does_not_prolong_it(clock: list[float]) -> None:
    with session_of(1):
        clock[0] = 1800
        with session_of(1):
            clock[0] = 3600
            assert StopRequest().requested


@given(st.floats(1e-3, 100))
def test_most_of_any_session_is_for_work(hours: float) -> None:
    now = [0.0]
    end = SessionEnd(hours, lambda: now[0])
    now[0] = 0.89 * 3600 * hours
    assert not end.is_near()
    now[0] = 3600 * hours - min(300, 0.09 * 3600 * hours)
    assert end.is_near()
