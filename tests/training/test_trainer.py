from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enstack.batches import EpochBatches
from enstack.checkpoints import state_file
from enstack.checkpoints.slots import SEEN_FILE
from enstack.errors import CheckpointError, Interrupted
from enstack.models.base_models import BaseModel
from enstack.models.hardware import Hardware
from enstack.models.loader import why_waiting
from enstack.models.tokens import LabelledTokens
from enstack.progress.data_wait import DataWait
from enstack.progress.screen import shown_on
from enstack.storage.manifest import read_manifest
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training import trainer
from enstack.training.saver import Saver
from enstack.training.trainer import train_base_model
from tests.support.equality import same, training_outcome
from tests.support.training import (
    Killed,
    Stop,
    job_of,
    kill_after,
    record_reads,
    run_training,
    train_config,
)

BATCHES = 11  # 42 functions in batches of 4


def test_a_killed_run_goes_on_from_its_last_save_bit_for_bit(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(*parts, train_config(tmp_path / "unbroken"), monkeypatch)
    config = train_config(tmp_path / "killed")
    for batches in (2, 8, 13):
        with monkeypatch.context() as patched:
            kill_after(patched, batches)
            with pytest.raises(Killed):
                train_base_model(job_of(parts, config))
    run_training(*parts, config, monkeypatch)
    assert same(training_outcome(tmp_path / "killed"), training_outcome(tmp_path / "unbroken"))


def test_resume_prints_the_two_lines_with_the_right_numbers_and_reads_no_skipped_function(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = train_config(tmp_path, epochs=1)
    with pytest.raises(Interrupted, match=r"epoch 1, 4 of 11 batches"):
        run_training(*parts, config, monkeypatch, stop_after=4)
    capsys.readouterr()
    read = record_reads(monkeypatch)
    run_training(*parts, config, monkeypatch)
    out = capsys.readouterr().out
    assert "⏭️  Resuming: will skip 4 batches (fast-forward), train 7 batches\n" in out
    assert "Epoch 1 [Train]: 100% 7/7 [" in out
    lengths = parts[2].train.lengths
    order = list(EpochBatches(lengths, 4, seed=42, epoch=1))
    assert read[:7] == order[4:]


def test_another_batch_size_goes_on_with_the_functions_not_yet_seen(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Interrupted):
        run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch, stop_after=5)
    seen = {
        i
        for batch in list(EpochBatches(parts[2].train.lengths, 4, seed=42, epoch=1))[:5]
        for i in batch
    }
    read: list[int] = []
    original = LabelledTokens.__getitems__

    def noted(self: LabelledTokens, rows: list[int]) -> Any:
        read.extend(self.places[rows].tolist())
        return original(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(LabelledTokens, "__getitems__", noted)
        run_training(*parts, train_config(tmp_path, epochs=1, batch_size=7), monkeypatch)
    assert "will skip 5 batches (fast-forward), train 4 batches" in capsys.readouterr().out
    assert sorted([*seen, *read[:22]]) == list(range(42))


def test_more_epochs_go_on_after_the_last_one(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    run_training(*parts, train_config(tmp_path, epochs=2), monkeypatch)
    out = capsys.readouterr().out
    assert "Resuming: 1 of 2 epochs are complete" in out
    # 22 steps, 2 of them warm-up: half of the way down, where one epoch had ended at 0.
    told = "epochs=2, where the schedule was laid out for 1: the learning rate goes on at 0.00055, "
    assert f"⚠️  {told}from 0. That is not the same as 2 epochs at once." in out
    assert state_file.read_state(tmp_path / "last_checkpoint")["epoch"] == 2


def test_batches_of_another_size_lay_the_schedule_out_anew_and_that_is_said(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = train_config(tmp_path, epochs=2, batch_size=4)
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=4)
    capsys.readouterr()
    changed = train_config(tmp_path, epochs=2, batch_size=8, accumulation_steps=2)
    with pytest.raises(Interrupted):
        run_training(*parts, changed, monkeypatch, stop_after=2)
    said = capsys.readouterr().out
    assert "   · batch_size=8, before 4; accumulation_steps=2, before 1: the schedule is" in said
    run_training(*parts, changed, monkeypatch)
    assert "before" not in capsys.readouterr().out


def test_the_training_state_keeps_the_documented_keys_with_their_meaning(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(tmp_path, epochs=1)
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=4)
    state = state_file.read_state(tmp_path / "last_checkpoint")
    assert (state["epoch"], state["step"], state["total_batches"]) == (1, 4, 11)
    assert state["scheduler_state_dict"]["last_epoch"] == 4
    assert len(state["optimizer_state_dict"]["param_groups"]) == 1
    run_training(*parts, config, monkeypatch)
    state = state_file.read_state(tmp_path / "last_checkpoint")
    assert (state["epoch"], state["step"], state["total_batches"]) == (1, 0, 11)
    assert 0 <= state["best_val_f1"] <= 1
    assert 0 <= state["best_val_acc"] <= 1


@pytest.mark.parametrize(("name", "value"), [("seed", 7), ("learning_rate", 0.5)])
def test_other_settings_are_refused_by_name_with_both_values(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    with pytest.raises(CheckpointError, match=rf"{name}=.*this run has {name}={value}.*run_dir"):
        run_training(*parts, train_config(tmp_path, epochs=2, **{name: value}), monkeypatch)


def test_early_stopping_ends_after_the_patience_and_says_so(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "val_macro_f1": 0.5}
    monkeypatch.setattr(trainer, "validate", lambda training, stop: dict(figures))
    config = train_config(tmp_path, epochs=9, early_stopping_patience=2)
    run_training(*parts, config, monkeypatch)
    told = "Early stopping: macro-F1 has not risen above that of epoch 1 for 2 epochs"
    out = capsys.readouterr().out
    assert f"{told} (early_stopping_patience=2). Epoch 3 of 9 was the last." in out
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line) for line in lines if '"event": "epoch"' in line]
    assert [record["best"] for record in epochs] == [True, False, False]


def test_the_best_model_is_the_epoch_with_the_best_macro_f1_and_knows_what_it_saw(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.6, 0.4])

    def figures(training: Any, stop: Any) -> dict[str, float]:
        return dict.fromkeys(("train_loss", "val_loss", "val_accuracy"), 0.5) | {
            "val_macro_f1": next(scores)
        }

    monkeypatch.setattr(trainer, "validate", figures)
    run_training(*parts, train_config(tmp_path), monkeypatch)
    manifest = read_manifest(tmp_path / "best_model")
    assert manifest is not None
    assert (manifest["best_epoch"], manifest["val_macro_f1"]) == (2, 0.6)
    with np.load(tmp_path / "best_model" / SEEN_FILE) as arrays:
        expected = {*parts[2].train.ids, *parts[2].selection.ids}
        assert set(arrays["ids"]) == expected


def test_a_save_that_fails_is_said_and_training_goes_on(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original, failed = torch.save, []

    def full_disk_once(state: Any, file: Any) -> None:
        if not failed:
            failed.append(True)
            raise OSError(28, "No space left on device")
        original(state, file)

    monkeypatch.setattr(torch, "save", full_disk_once)
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    assert "No space left on device" in capsys.readouterr().out
    assert state_file.read_state(tmp_path / "last_checkpoint")["step"] == 0


def test_the_global_generators_drift_by_no_loader_and_no_validation(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another number of workers the same dropout masks are drawn."""
    run_training(*parts, train_config(tmp_path / "none", epochs=1), monkeypatch)
    run_training(*parts, train_config(tmp_path / "two", epochs=1, num_workers=2), monkeypatch)
    left, right = (training_outcome(tmp_path / name) for name in ("none", "two"))
    assert same(left["weights"], right["weights"])
    assert torch.equal(left["random"]["torch"], right["random"]["torch"])


def test_another_accumulation_goes_on_with_whole_groups(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches 5-7, 8-10 and 11 are one step each, though 4 is no multiple of 3."""
    with pytest.raises(Interrupted):
        run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch, stop_after=4)
    run_training(*parts, train_config(tmp_path, epochs=1, accumulation_steps=3), monkeypatch)
    state = state_file.read_state(tmp_path / "last_checkpoint")
    assert state["attempted_steps"] == 4 + 3


def test_a_stop_while_the_last_epoch_is_saved_is_not_forgotten(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(tmp_path, epochs=1)

    @contextmanager
    def requests() -> Iterator[Stop]:
        yield stop

    original, stop = Saver.save, Stop()

    def ask_while_saving(saver: Saver, best: Any = None) -> None:
        stop.requested |= best is not None
        original(saver, best)

    monkeypatch.setattr(Saver, "save", ask_while_saving)
    with pytest.raises(Interrupted, match="trained to its end and saved"):
        train_base_model(job_of(parts, config), stops=requests)


def test_a_stop_while_validating_saves_the_whole_epoch_and_validates_again(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_training(*parts, train_config(tmp_path / "unbroken", epochs=1), monkeypatch)
    config = train_config(tmp_path / "stopped", epochs=1)

    def interrupted(*args: Any) -> dict[str, float]:
        raise Interrupted("Stopped")

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "validate", interrupted)
        with pytest.raises(Interrupted, match="11 of 11 batches"):
            run_training(*parts, config, monkeypatch)
    run_training(*parts, config, monkeypatch)
    assert "will skip 11 batches (fast-forward), train 0 batches" in capsys.readouterr().out
    assert same(training_outcome(tmp_path / "stopped"), training_outcome(tmp_path / "unbroken"))


def test_a_state_of_another_version_is_one_clear_error(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    original = state_file.read_state

    def without_losses(folder: Path) -> dict[str, Any]:
        return {key: value for key, value in original(folder).items() if key != "losses"}

    monkeypatch.setattr(state_file, "read_state", without_losses)
    with pytest.raises(CheckpointError, match=r"written by another version of enstack.*losses"):
        run_training(*parts, train_config(tmp_path, epochs=2), monkeypatch)


def test_a_state_of_another_order_is_refused(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    monkeypatch.setattr("enstack.training.state.ORDER", 3)
    with pytest.raises(CheckpointError, match=r"written by another version of enstack.*order 2"):
        run_training(*parts, train_config(tmp_path, epochs=2), monkeypatch)


@pytest.mark.parametrize(
    ("shape", "seed", "field"),
    [((2, 16), 1, "architecture=roberta of 1 layers, width 16"), ((1, 16), 2, "base_weights=")],
)
def test_another_base_model_of_the_same_name_is_refused(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int],
    seed: int,
    field: str,
) -> None:
    _, tokenizer, data = parts
    run_training(*parts, train_config(tmp_path / "run", epochs=1), monkeypatch)
    layers, hidden = shape
    sources = [f"int f{n}(char *p) {{ return p[{n}]; }}" for n in range(50)]
    other = TinyModel(vocabulary=300, hidden=hidden, layers=layers, heads=2)
    write_encoder(tmp_path / "micro", other, sources, seed=seed)
    with pytest.raises(CheckpointError, match=rf"{field}.*this run has .*name another run_dir"):
        run_training(
            BaseModel("micro", str(tmp_path / "micro")),
            tokenizer,
            data,
            train_config(tmp_path / "run", epochs=2),
            monkeypatch,
        )


def test_a_checkpoint_that_does_not_say_what_its_base_model_was_made_of_goes_on(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    original = state_file.read_state

    def of_the_first_version(folder: Path) -> dict[str, Any]:
        state = original(folder)
        for name in ("architecture", "base_weights"):
            del state["identity"][name]
        return state

    with monkeypatch.context() as patched:
        patched.setattr(state_file, "read_state", of_the_first_version)
        run_training(*parts, train_config(tmp_path, epochs=2), monkeypatch)
    assert state_file.read_state(tmp_path / "last_checkpoint")["epoch"] == 2


class Recorder:
    """A screen that writes down what it is shown."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str, int]] = []
        self.views: list[Any] = []
        self.saved: set[str] = set()
        self.warnings: list[str] = []

    def open(self, bar: Any) -> None:
        self.opened.append((bar.level, bar.description, bar.total))

    def redraw(self, bar: Any) -> bool:
        last = self.views[-1].last_checkpoint()
        self.saved |= {last.position} if last else set()
        return True

    def close(self, bar: Any) -> None:
        pass

    def watch(self, view: Any) -> None:
        self.views.append(view)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_a_screen_is_shown_the_bars_the_curves_and_the_checkpoints(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Recorder()
    with shown_on(screen):
        run_training(*parts, train_config(tmp_path / "run", epochs=2), monkeypatch)
    assert screen.opened == [
        ("epoch", "micro", 2),
        ("batch", "Epoch 1 [Train]", BATCHES),
        ("batch", "Epoch 1 [Validate]", 3),
        ("batch", "Epoch 2 [Train]", BATCHES),
        ("batch", "Epoch 2 [Validate]", 3),
    ]
    (view,) = screen.views
    assert (view.name, view.batches, view.epochs) == ("micro", BATCHES, 2)
    assert [record["epoch"] for record in view.history if record["event"] == "epoch"] == [1, 2]
    assert any(record["event"] == "step" for record in view.history)
    assert "epoch 2, batch 9" in screen.saved or "epoch 2, batch 6" in screen.saved
    assert "[Train]" not in capsys.readouterr().out


def test_a_slow_loader_is_advised_on_once_a_run_before_the_epoch_ends(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(DataWait, "share", lambda self: 0.4)
    monkeypatch.setattr(DataWait, "settled", lambda self: self.batches > 2)
    monkeypatch.setattr("enstack.models.loader.slow_storage", lambda path: "fuse.drive")
    seen: list[str] = []
    whole = DataWait.advise

    def advise(self: DataWait) -> bool:
        seen.append(f"batch {self.batches}")
        return whole(self)

    monkeypatch.setattr(DataWait, "advise", advise)
    run_training(*parts, train_config(tmp_path / "run", epochs=2), monkeypatch)
    assert seen == ["batch 3"]
    said = capsys.readouterr().out
    assert said.count("The model waits 40 % of the time for data") == 1
    assert "is no disk of this machine (fuse.drive); set local_dir to one." in said


@pytest.mark.parametrize(
    ("workers", "advice"),
    [(0, "0 of 4 cores read it; set num_workers=1 or more"), (4, "all 4 cores read it already")],
)
def test_on_a_fast_disk_the_advice_is_about_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, advice: str
) -> None:
    monkeypatch.setattr("enstack.models.loader.os.cpu_count", lambda: 4)
    monkeypatch.setattr("enstack.models.loader.slow_storage", lambda path: None)
    assert advice in why_waiting(tmp_path, Hardware(torch.device("cuda"), "fp16", workers))
    assert "the same cores" in why_waiting(tmp_path, Hardware(torch.device("cpu"), "fp32", workers))


def test_training_leaves_what_is_said_of_a_model_that_learned_nothing_to_its_stage(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which knows test too, and says it once."""
    figures = {"train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "val_macro_f1": 0.5}
    more = {"val_mcc": 0.0, "only_answer": "clean"}
    monkeypatch.setattr(trainer, "validate", lambda training, stop: {**figures, **more})
    screen = Recorder()
    with shown_on(screen):
        run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    assert "What helps" not in capsys.readouterr().out
    assert screen.warnings == []
