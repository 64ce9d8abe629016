"""A run on a disk that can only be read goes on elsewhere, as if it had been there all the time."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enstack.checkpoints import slots, state_file
from enstack.config import RunConfig
from enstack.errors import CheckpointError, Interrupted
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.training import trainer
from tests.support.equality import same, training_outcome, tree_digest
from tests.support.pipeline_runs import changed
from tests.support.training import Killed

MICRO = "base_models/micro"


@pytest.fixture
def elsewhere(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunConfig]:
    """A run that was stopped in its second epoch, on a disk that never changes again."""
    original, trained = trainer.train_batch, itertools.count(1)

    def counted(*args: Any) -> None:
        original(*args)
        if next(trained) == 19:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_batch", counted)
        with pytest.raises(Interrupted):
            run_pipeline(config)
    shutil.rmtree(config.scratch_dir)  # the machine is gone
    there = changed(config, run_dir=str(shutil.move(config.run_dir, tmp_path / "input")))
    before = tree_digest(Path(there.run_dir))
    yield there
    assert tree_digest(Path(there.run_dir)) == before


@pytest.fixture(scope="session")
def unbroken(kept_run: tuple[RunConfig, Path]) -> dict[str, Any]:
    return training_outcome(kept_run[1] / MICRO)


def outcome(config: RunConfig) -> dict[str, Any]:
    return training_outcome(Path(config.run_dir) / MICRO)


def resumes_at(checkpoint: Path) -> str:
    """The line of a training that goes on from a checkpoint."""
    step = state_file.read_state(checkpoint)["step"]
    return f"will skip {step} batches" if step else "1 of 2 epochs are complete"


def going_on(elsewhere: RunConfig, tmp_path: Path, place: str = "") -> RunConfig:
    where = str(Path(elsewhere.run_dir) / place)
    return changed(elsewhere, run_dir=str(tmp_path / "run"), resume_from=where)


@pytest.mark.parametrize("place", ["", f"{MICRO}/last_checkpoint", f"{MICRO}/previous_checkpoint"])
def test_a_run_that_can_only_be_read_goes_on_elsewhere_and_ends_as_the_unbroken_one(
    elsewhere: RunConfig,
    tmp_path: Path,
    unbroken: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    place: str,
) -> None:
    config = going_on(elsewhere, tmp_path, place)
    run_pipeline(config)
    meant = Path(elsewhere.run_dir) / (place or f"{MICRO}/last_checkpoint")
    assert resumes_at(meant) in capsys.readouterr().out
    assert same(outcome(config), unbroken)
    events = [json.loads(line)["event"] for line in RunFolder(Path(config.run_dir)).events()]
    assert events.count("run_started") == 2
    assert "brought" in events
    run_pipeline(config)  # the same call again
    said = capsys.readouterr().out
    assert "resume_from is not used" in said
    assert "finished before" in said


def test_a_finished_run_is_brought_with_its_results_and_trains_more_epochs(
    finished_run: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = going_on(finished_run, tmp_path / "other")
    board = run_pipeline(config).leaderboard
    assert "finished before" in capsys.readouterr().out
    assert board.equals(run_pipeline(finished_run).leaderboard)
    run_pipeline(changed(config, epochs=3))
    assert len(RunFolder(Path(config.run_dir)).base_model("micro").epochs()) == 3


def test_a_run_dir_that_can_not_be_written_advises_what_works(
    elsewhere: RunConfig, tmp_path: Path, unbroken: dict[str, Any]
) -> None:
    Path(elsewhere.run_dir).chmod(0o555)
    with pytest.raises(CheckpointError, match="it is read-only") as told:
        run_pipeline(elsewhere)
    advised = str(told.value).rsplit("resume_from=", 1)[1].rstrip(".")
    config = changed(elsewhere, run_dir=str(tmp_path / "run"), resume_from=advised)
    run_pipeline(config)
    assert same(outcome(config), unbroken)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_brought(
    elsewhere: RunConfig, tmp_path: Path, unbroken: dict[str, Any], capsys: Any
) -> None:
    copy = shutil.copytree(elsewhere.run_dir, tmp_path / "damaged")
    weights = copy / MICRO / "last_checkpoint" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    config = changed(elsewhere, run_dir=str(tmp_path / "run"), resume_from=str(copy))
    with pytest.raises(CheckpointError, match=r"No checkpoint .* is whole: .*model.safetensors"):
        run_pipeline(changed(config, resume_from=str(weights.parent)))
    run_pipeline(config)
    said = capsys.readouterr().out
    assert "last_checkpoint is damaged, and is not brought" in said
    assert resumes_at(weights.parent.with_name("previous_checkpoint")) in said
    assert same(outcome(config), unbroken)


def test_killed_at_any_step_of_the_bringing_the_next_start_brings_it_whole(
    elsewhere: RunConfig, tmp_path: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = going_on(elsewhere, tmp_path)
    steps = {(shutil, "copyfile"): (0, 2, 3), (slots, "write"): (0, 1), (slots, "install"): (0, 1)}
    for (module, name), places in steps.items():
        for place in places:
            with monkeypatch.context() as patched:
                _die_at(patched, module, name, place)
                with pytest.raises(Killed):
                    run_pipeline(config)
            assert not RunFolder(Path(config.run_dir)).has_trained()
    run_pipeline(config)
    assert same(outcome(config), unbroken)


def _die_at(patched: pytest.MonkeyPatch, module: Any, name: str, place: int) -> None:
    original, calls = getattr(module, name), iter(range(99))

    def dying(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == place:
            raise Killed
        return original(*args, **kwargs)

    patched.setattr(module, name, dying)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (f"{MICRO}/best_model", r"has weights alone\. Name last_checkpoint .* base_models="),
        ("no_run", r"resume_from must hold .*, or a checkpoint in one; .* is no folder"),
    ],
)
def test_what_can_not_be_gone_on_from_is_refused_before_data_is_read(
    elsewhere: RunConfig, tmp_path: Path, place: str, told: str
) -> None:
    with pytest.raises(CheckpointError, match=told):
        run_pipeline(changed(going_on(elsewhere, tmp_path, place), data_dir=str(tmp_path / "gone")))


def test_an_older_checkpoint_of_run_dir_itself_goes_on_in_another_one_alone(
    elsewhere: RunConfig, tmp_path: Path
) -> None:
    inside = str(Path(elsewhere.run_dir) / MICRO / "previous_checkpoint")
    with pytest.raises(CheckpointError, match="must lie outside of run_dir"):
        run_pipeline(changed(elsewhere, resume_from=inside))


def test_another_run_is_not_brought_under_other_settings(
    elsewhere: RunConfig, tmp_path: Path
) -> None:
    config = changed(going_on(elsewhere, tmp_path), max_length=40)
    with pytest.raises(CheckpointError, match="holds a run with max_length=32"):
        run_pipeline(config)
