"""An interrupted run ends as an unbroken one: every batch, every kind of loop, and chains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from enstack.checkpoints import state_file
from enstack.errors import CheckpointError, Interrupted
from enstack.models.base_models import BaseModel, load_classifier
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.progress.stopping import StopRequest
from enstack.storage.manifest import folder_problems
from enstack.training import job, trainer
from enstack.training.resume import start_or_resume
from enstack.training.state import Progress
from enstack.training.trainer import train_base_model
from tests.support.equality import same, training_outcome, tree_digest
from tests.support.pipeline_runs import changed
from tests.support.training import Killed, job_of, kill_after, run_training, train_config

EPOCHS, BATCHES = 3, 6  # 42 functions in batches of 8, the last one of 2
POINTS = EPOCHS * BATCHES


def settings(**more: Any) -> dict[str, Any]:
    return {"epochs": EPOCHS, "batch_size": 8, "save_steps": 4, **more}


def outcome(folder: Path, parts: Any) -> dict[str, Any]:
    """All that a run leaves, and what its best model predicts."""
    _, tokenizer, data = parts
    best = load_classifier(BaseModel("best", str(folder / "best_model")), data.class_names, seed=0)
    predicted = predict_probabilities(
        best,
        data.selection,
        Hardware.choose("fp32", 0),
        batch_size=8,
        pad_token_id=tokenizer.pad_token_id,
        title="predicting",
        stop=StopRequest(),
    )
    files = tree_digest(folder / "best_model")
    return {
        **training_outcome(folder),
        "predicted": predicted.tobytes(),
        "files of the best": files,
    }


# Every second batch, and some with processes that load them; the slow lane crosses all.
@pytest.mark.parametrize(
    ("accumulation", "workers", "every"),
    [
        (1, 0, 2),
        (3, 2, 6),
        *(
            pytest.param(*rest, marks=pytest.mark.slow)
            for rest in [(1, 0, 1), (3, 0, 1), (1, 2, 1), (3, 2, 1)]
        ),
    ],
)
def test_interrupted_at_every_batch_a_run_ends_as_the_unbroken_one_bit_for_bit(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accumulation: int,
    workers: int,
    every: int,
) -> None:
    """Processes that load batches take most of the time."""
    more = settings(accumulation_steps=accumulation, num_workers=workers)
    run_training(*parts, train_config(tmp_path / "unbroken", **more), monkeypatch)
    expected = outcome(tmp_path / "unbroken", parts)
    tried = 0
    for instant in range(1, POINTS + 1, every):
        config = train_config(tmp_path / str(instant), **more)
        with pytest.raises(Interrupted, match="progress is saved"):
            run_training(*parts, config, monkeypatch, stop_after=instant)
        run_training(*parts, config, monkeypatch)
        found = outcome(tmp_path / str(instant), parts)
        assert same(found, expected), f"interrupted at batch {instant}"
        tried += 1
    assert tried == POINTS // every


@pytest.mark.parametrize(
    ("accumulation", "workers"),
    [(1, 0), *(pytest.param(*rest, marks=pytest.mark.slow) for rest in [(3, 0), (1, 2), (3, 2)])],
)
def test_a_chain_of_three_interruptions_changes_nothing(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulation: int, workers: int
) -> None:
    more = settings(accumulation_steps=accumulation, num_workers=workers)
    run_training(*parts, train_config(tmp_path / "unbroken", **more), monkeypatch)
    expected = outcome(tmp_path / "unbroken", parts)
    chance = np.random.default_rng([accumulation, workers])
    for chain in range(3):
        config = train_config(tmp_path / str(chain), **more)
        for stop_after in chance.integers(1, POINTS // 4, 3):
            with pytest.raises(Interrupted, match="progress is saved"):
                run_training(*parts, config, monkeypatch, stop_after=int(stop_after))
        run_training(*parts, config, monkeypatch)
        assert same(outcome(tmp_path / str(chain), parts), expected), f"chain {chain}"


def test_the_seconds_of_training_are_those_of_the_work_that_was_kept(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that each trained batch moves by a second."""
    now, train_batch = [100.0], trainer.train_batch

    def tick(*args: Any) -> None:
        train_batch(*args)
        now[0] += 1

    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("enstack.training.state.time", clock)
    monkeypatch.setattr(trainer, "train_batch", tick)
    job = job_of(parts, train_config(tmp_path / "run", **settings()))
    with pytest.raises(Interrupted):
        run_training(*parts, job.config, monkeypatch, stop_after=5)
    # Four batches into the second epoch it is saved; the fifth goes with the kill.
    with monkeypatch.context() as patched:
        kill_after(patched, 6)
        with pytest.raises(Killed):
            run_training(*parts, job.config, monkeypatch)
    assert train_base_model(job) == POINTS
    assert now[0] == 100 + POINTS + 1
    assert train_base_model(job) == POINTS, "nothing was trained, nothing is added"


def test_a_checkpoint_that_does_not_tell_its_seconds_leaves_them_unknown(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(parts, train_config(tmp_path / "run", **settings()))

    def as_older_code_wrote_it(progress: Progress) -> dict[str, Any]:
        return {key: value for key, value in state_dict(progress).items() if key != "seconds"}

    with monkeypatch.context() as patched:
        state_dict = Progress.state_dict
        patched.setattr(Progress, "state_dict", as_older_code_wrote_it)
        with pytest.raises(Interrupted):
            run_training(*parts, job.config, monkeypatch, stop_after=8)
    assert train_base_model(job) is None


def test_what_differs_is_seen_by_these_tests(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on with other random bits ends otherwise: the comparison can fail."""
    run_training(*parts, train_config(tmp_path / "unbroken", **settings()), monkeypatch)
    config = train_config(tmp_path / "other", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=5)
    with monkeypatch.context() as patched:
        patched.setattr("enstack.training.state.restore_random_state", lambda state: None)
        run_training(*parts, config, monkeypatch)
    assert not same(outcome(tmp_path / "other", parts), outcome(tmp_path / "unbroken", parts))


def test_the_newest_of_scratch_disk_and_run_dir_is_gone_on_from(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once run_dir lags behind, as while Drive was away; once the machine was another one."""
    config = train_config(tmp_path / "run", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=2)
    with monkeypatch.context() as patched:
        patched.setattr("enstack.checkpoints.mirror.Mirror._bring_all", _away)
        patched.setattr("enstack.checkpoints.mirror.FIRST_WAIT", 0.001)
        patched.setattr("enstack.checkpoints.mirror.PATIENCE", 0.01)
        with pytest.raises(Interrupted):
            run_training(*parts, config, monkeypatch, stop_after=1)
    out = capsys.readouterr().out
    assert "can't be written now (Transport endpoint is not connected)" in out
    assert f"safe in {config.scratch_dir}" in out
    assert state_file.read_state(tmp_path / "run/last_checkpoint")["step"] == 2
    run_training(*parts, train_config(tmp_path / "run", **settings()), monkeypatch)
    assert "will skip 3 batches (fast-forward), train 3 batches" in capsys.readouterr().out
    again = train_config(tmp_path / "run", **settings(epochs=4), local_dir=str(tmp_path / "new"))
    run_training(*parts, again, monkeypatch)
    assert "Resuming: 3 of 4 epochs are complete" in capsys.readouterr().out


def _away(self: Any) -> None:
    raise OSError(107, "Transport endpoint is not connected")


def test_what_is_left_on_the_scratch_disk_of_a_lost_run_dir_goes_on(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = train_config(tmp_path / "run", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=7)
    (tmp_path / "run").rename(tmp_path / "moved away")
    run_training(*parts, config, monkeypatch)
    out = capsys.readouterr().out
    assert "will skip 1 batches (fast-forward), train 5 batches" in out
    assert f"going on from the copy in {config.scratch_dir}" in out


def test_a_lost_best_model_is_said_and_the_best_is_chosen_anew(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = train_config(tmp_path / "run", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=8)
    shutil.rmtree(config.local_dir)
    shutil.rmtree(tmp_path / "run" / "best_model")
    run_training(*parts, config, monkeypatch)
    assert "best_model, of epoch 1, is gone" in capsys.readouterr().out
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    epochs = [record for line in lines if (record := json.loads(line))["event"] == "epoch"]
    assert [record["best"] for record in epochs][:2] == [True, True]
    assert not folder_problems(tmp_path / "run" / "best_model")


@pytest.mark.parametrize("where", ["scratch", "both"])
def test_a_damaged_best_model_is_named_and_holds_back_no_copy(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    """The one in run_dir serves; if that is damaged too, the best is chosen anew."""
    config = train_config(tmp_path / "run", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=8)
    (config.scratch_dir / "best_model" / "model.safetensors").unlink()
    if where == "both":
        (tmp_path / "run" / "best_model" / "config.json").write_bytes(b"{}")
    capsys.readouterr()
    run_training(*parts, config, monkeypatch)
    out = capsys.readouterr().out
    assert "best_model is damaged (model.safetensors is missing)" in out
    assert ("best is chosen anew" in out) == (where == "both")
    assert "lacks a good copy" not in out
    assert state_file.read_state(tmp_path / "run" / "last_checkpoint")["epoch"] == EPOCHS
    assert folder_problems(tmp_path / "run" / "best_model") == []
    assert (tmp_path / "run" / "damaged_best_model_1").exists() == (where == "both")


def test_where_events_tell_of_checkpoints_that_are_gone_training_does_not_start_anew(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(tmp_path / "run", **settings())
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=2)
    for name in ("last_checkpoint", "previous_checkpoint"):
        shutil.rmtree(tmp_path / "run" / name, ignore_errors=True)
    (tmp_path / "run" / "history.jsonl").unlink()
    shutil.rmtree(config.local_dir)
    event = {"time": "x", "event": "saved", "base_model": "micro", "folder": "."}
    (tmp_path / "run" / "events.jsonl").write_text(json.dumps(event) + "\n")
    with pytest.raises(CheckpointError, match=r"no checkpoint of it.*another run_dir"):
        run_training(*parts, config, monkeypatch)
    event["folder"] = "folds/1"
    (tmp_path / "run" / "events.jsonl").write_text(json.dumps(event) + "\n")
    run_training(*parts, config, monkeypatch)


def test_fewer_epochs_say_what_they_set_aside(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Interrupted):
        run_training(
            *parts, train_config(tmp_path / "run", **settings()), monkeypatch, stop_after=8
        )
    run_training(*parts, train_config(tmp_path / "run", **settings(epochs=1)), monkeypatch)
    assert "2 batches of epoch 2 set aside" in capsys.readouterr().out


@pytest.mark.parametrize("stored", [{}, {"seed": None}])
def test_a_setting_that_a_checkpoint_does_not_tell_is_told_as_missing(
    stored: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"does not say with which seed .* Name another"):
        job.refuse_foreign_checkpoint(stored, {"seed": 42}, tmp_path)
    with pytest.raises(CheckpointError, match=r"was made with seed=7, .* Go back to that value"):
        job.refuse_foreign_checkpoint({"seed": 7}, {"seed": 42}, tmp_path)


@pytest.mark.parametrize(
    ("before", "now", "scale"),
    [
        ("fp32", "bf16", ""),
        ("bf16", "fp16", " The loss scale of fp16 begins anew."),
        ("fp16", "fp32", " The loss scale of fp16 is no longer needed."),
    ],
)
def test_another_precision_goes_on_with_all_that_was_saved_and_says_what_it_changes(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: str,
    now: str,
    scale: str,
) -> None:
    """Sessions on a T4 (fp16), on an L4 (bf16) and on a CPU (fp32), as far as a CPU can tell."""
    first, other = (train_config(tmp_path, **settings(precision=one)) for one in (before, now))
    with pytest.raises(Interrupted):
        run_training(*parts, first, monkeypatch, stop_after=7)
    saved = state_file.read_state(tmp_path / "last_checkpoint")
    loaded = start_or_resume(job_of(parts, other)).state_dict()
    for kept in ("optimizer_state_dict", "random", "attempted_steps", "losses", "step"):
        assert same(loaded[kept], saved[kept]), kept
    said = capsys.readouterr().out
    assert f"On CPU in {now}, before on CPU in {before}: weights, moments, order" in said
    assert f"rounded otherwise from here.{scale}\n" in said
    run_training(*parts, other, monkeypatch)
    assert capsys.readouterr().out.count("before on CPU") == 1
    start_or_resume(job_of(parts, changed(other, epochs=EPOCHS + 1)))
    assert "before on CPU" not in capsys.readouterr().out
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    epochs = [line for line in map(json.loads, lines) if line["event"] == "epoch"]
    assert [epoch["precision"] for epoch in epochs] == [before, now, now]
