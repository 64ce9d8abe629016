"""A training that diverges: what is told, what is kept, and that the advice works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enstack.batches import EpochBatches
from enstack.checkpoints import slots, state_file
from enstack.checkpoints.inspection import inspect_path
from enstack.checkpoints.inspection_text import verdict_text
from enstack.checkpoints.weights import write_weights
from enstack.config import FIXED_SETTINGS, RunConfig
from enstack.errors import CheckpointError, DivergenceError, Interrupted
from enstack.training import divergence, trainer
from enstack.training.job import TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import train_base_model
from tests.support.advice import follow_advice
from tests.support.equality import same, training_outcome
from tests.support.pipeline_runs import changed
from tests.support.spoiling import at, faults_below, spoil
from tests.support.training import job_of, run_training, train_config

BATCHES = 11  # 42 functions in batches of 4
ADVICE = (
    r"Run the same with accumulation_steps=2, .*: it goes on from {place}.*"
    r"anew with a lower learning_rate and another run_dir\."
)


@pytest.mark.parametrize("kind", ["loss", "gradient", "weights"])
@pytest.mark.parametrize(("batch", "save_steps"), [(9, 3), (11, 0)])
def test_nothing_that_is_no_number_is_saved_and_a_run_goes_on_from_before(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    batch: int,
    save_steps: int,
) -> None:
    """The fault happens once: the run that goes on ends as one without it."""
    config = train_config(tmp_path / "run", epochs=2, save_steps=save_steps)
    with monkeypatch.context() as patched:
        spoil(patched, at(2, batch), kind)
        with pytest.raises(DivergenceError, match=ADVICE.format(place="the last checkpoint")):
            train_base_model(job_of(parts, config))
    assert faults_below(tmp_path) == {}
    state = state_file.read_state(tmp_path / "run" / "last_checkpoint")
    last = (2, 6) if save_steps else (1, 0)
    assert (state["epoch"], state["step"]) == last
    run_training(*parts, config, monkeypatch)
    unbroken = train_config(tmp_path / "unbroken", epochs=2, save_steps=save_steps)
    run_training(*parts, unbroken, monkeypatch)
    assert same(training_outcome(tmp_path / "run"), training_outcome(tmp_path / "unbroken"))


@pytest.mark.parametrize("accumulation", [1, 3])
def test_the_batch_and_its_functions_are_told(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulation: int
) -> None:
    """Also after a resume with another batch size, which orders the rest of the epoch anew."""
    with pytest.raises(Interrupted):
        run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch, stop_after=3)
    config = train_config(tmp_path, epochs=1, batch_size=5, accumulation_steps=accumulation)
    read: list[list[str]] = []
    original = trainer.make_loader

    def noted(examples: Any, order: Any, **more: Any) -> Any:
        read.extend([[str(examples.ids[row]) for row in batch] for batch in order])
        return original(examples, order, **more)

    monkeypatch.setattr(trainer, "make_loader", noted)
    spoil(monkeypatch, at(1, 5), "loss")
    events: list[tuple[str, Any]] = []

    def log(event: str, **details: Any) -> None:
        events.append((event, details))

    with pytest.raises(DivergenceError, match=r"in batch 5 of epoch 1") as caught:
        train_base_model(job_of(parts, config, log=log))
    assert f"(functions {', '.join(read[1])})" in str(caught.value)
    assert dict(events)["diverged"]["functions"] == read[1]
    assert caught.value.exit_status == 2


def test_a_gradient_is_told_by_all_batches_of_its_step(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, at(1, 5), "gradient")
    order = list(EpochBatches(parts[2].train.lengths, 4, seed=42, epoch=1))
    ids = [parts[2].train.ids[row] for batch in order[3:6] for row in batch]
    told = rf"batches 4 to 6 of epoch 1 \({', '.join(ids[:8])} and 4 more\)"
    place = ADVICE.replace("steps=2", "steps=6").format(place="its beginning")
    with pytest.raises(DivergenceError, match=rf"{told.replace('(', '(functions ', 1)}.*{place}"):
        train_base_model(job_of(parts, train_config(tmp_path, accumulation_steps=3, save_steps=0)))


def test_a_stop_saves_nothing_that_is_no_number(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, at(1, 4), "loss")
    with pytest.raises(DivergenceError, match="in batch 4 of epoch 1"):
        run_training(*parts, train_config(tmp_path / "run"), monkeypatch, stop_after=5)
    assert faults_below(tmp_path) == {}


def test_a_validation_without_numbers_crowns_nothing(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are numbers, and what half precision makes of them is not."""
    original = TrainingJob.predict

    def overflow(self: TrainingJob, *args: Any) -> np.ndarray:
        probabilities = original(self, *args)
        probabilities[[3, 7]] = np.nan
        return probabilities

    config = train_config(tmp_path, epochs=1, precision="bf16")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingJob, "predict", overflow)
        with pytest.raises(DivergenceError, match=r"2 of 20 validation.*precision=fp32 \(it was b"):
            train_base_model(job_of(parts, config))
    assert not (tmp_path / "best_model").exists()
    run_training(*parts, train_config(tmp_path, epochs=1, precision="fp32"), monkeypatch)
    assert (tmp_path / "best_model").exists()


def test_an_epoch_whose_steps_are_all_skipped_is_said_and_ends_the_run_when_it_goes_on(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """11 steps take the loss scale from 65,536 to 32, 22 below 1."""
    config = train_config(tmp_path, epochs=3, precision="fp16")
    with monkeypatch.context() as patched:
        spoil(patched, lambda training: True, "gradient")
        with pytest.raises(DivergenceError, match=r"All.*epoch 2 were skipped.*precision=fp32"):
            train_base_model(job_of(parts, config))
    assert "⚠️  All optimizer steps of epoch 1 were skipped (11)" in capsys.readouterr().out
    verdict = verdict_text(inspect_path(tmp_path / "last_checkpoint"))
    assert "healthy" not in verdict
    assert "all skipped" in verdict
    run_training(*parts, train_config(tmp_path, epochs=3, precision="fp32"), monkeypatch)


def by_an_older_program(patched: pytest.MonkeyPatch) -> None:
    """It looked at the loss every ten batches, and wrote whatever there was."""
    patched.setattr(trainer, "_require_numbers", lambda training, saver: None)
    patched.setattr("enstack.training.saver.refuse_spoilt_save", lambda *args: None)

    # Of two saves that follow each other closely, the copy to run_dir takes the later one alone.
    def save_and_copy(saver: Saver, best: Any = None, save: Any = Saver.save) -> None:
        save(saver, best)
        saver.settle()
        saver.mirror.wait()

    patched.setattr(Saver, "save", save_and_copy)


@pytest.mark.parametrize("kind", ["loss", "weights"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_checkpoint_of_no_numbers_that_an_older_program_saved_is_passed_over(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: Any,
    elsewhere: bool,
) -> None:
    """In run_dir and on the scratch disk; elsewhere: on a machine that has run_dir alone."""
    config = train_config(tmp_path / "run", epochs=2)
    with monkeypatch.context() as patched:
        by_an_older_program(patched)
        spoil(patched, at(2, 5), kind)
        # Stopped at batch 7: last_checkpoint is spoilt, previous_checkpoint, of batch 3, is not.
        with pytest.raises(Interrupted):
            run_training(*parts, config, patched, stop_after=BATCHES + 6)
    if elsewhere:
        shutil.rmtree(config.local_dir)
    verdict = inspect_path(tmp_path / "run" / "last_checkpoint")
    assert not verdict.valid
    assert "NaN" in verdict.problems[0] or "no number" in verdict.problems[0]
    capsys.readouterr()
    run_training(*parts, config, monkeypatch)
    out = capsys.readouterr().out
    assert "last_checkpoint is damaged (" in out
    assert "will skip 3 batches" in out
    assert faults_below(tmp_path / "run" / "last_checkpoint", tmp_path / "run/best_model") == {}


def test_a_best_model_of_no_numbers_is_put_aside(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = train_config(tmp_path / "run", epochs=1, save_steps=0)
    run_training(*parts, config, monkeypatch)
    best = tmp_path / "run" / "best_model"
    tensors = {"a": torch.tensor([1.0, float("nan")])}
    manifest = json.loads((best / "manifest.json").read_text())
    details = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}

    def write_files(new: Any) -> None:
        with new.file("model.safetensors") as file:
            write_weights(file, tensors)

    slots.write(tmp_path / "run", slots.BEST, write_files, **details)
    slots.install(tmp_path / "run", slots.BEST, keep=2)
    with pytest.raises(CheckpointError, match="has lost its best_model"):
        run_training(*parts, config, monkeypatch)
    assert "best_model is damaged (model.safetensors holds NaN" in capsys.readouterr().out


def test_no_advice_names_what_may_not_be_changed(parts: Any, tmp_path: Path) -> None:
    """Each setting that the first sentence names may differ between two calls."""
    for precision in ("fp32", "fp16", "bf16"):
        training = start_or_resume(job_of(parts, train_config(tmp_path, precision=precision)))
        first, rest = divergence.way_on(training).split(": it goes on from ")
        assert not [name for name in FIXED_SETTINGS if f"{name}=" in first]
        assert "learning_rate and another run_dir" in rest


@pytest.mark.parametrize(("precision", "kind"), [("fp32", "weights"), ("fp16", "loss")])
def test_following_the_message_by_the_command_line_ends_well(
    config: RunConfig, tmp_path: Path, precision: str, kind: Any
) -> None:
    """A whole run; the fault stays until the setting is changed. See tests/sweeps/not_finite.py."""
    spoilt = changed(config, precision=precision, save_steps=0)
    assert follow_advice(spoilt, tmp_path / "run.yaml", epoch=2, batch=9, kind=kind) == []
