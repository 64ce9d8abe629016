"""What the loop waits for while it saves, and what becomes of saves that fail."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from enstack.batches import Segment
from enstack.checkpoints import slots, state_file
from enstack.checkpoints.mirror import Mirror
from enstack.checkpoints.slots import BEST, LAST
from enstack.errors import CheckpointError
from enstack.storage.manifest import folder_problems, read_manifest
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.state import TrainingState
from enstack.training.trainer import train_base_model
from tests.support.equality import training_outcome
from tests.support.training import job_of, run_training, train_config


@pytest.fixture
def training(parts: Any, tmp_path: Path) -> TrainingState:
    config = train_config(tmp_path / "run")
    return start_or_resume(job_of(parts, config))


def hold(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Writing to the scratch disk waits until the event is set."""
    go_on, write = threading.Event(), slots.write

    def held(*args: Any, **kwargs: Any) -> None:
        assert go_on.wait(30)
        write(*args, **kwargs)

    monkeypatch.setattr(slots, "write", held)
    return go_on


def test_a_save_returns_before_a_byte_is_written_and_holds_the_weights_of_its_moment(
    training: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = hold(monkeypatch)
    weights = {name: w.clone() for name, w in training.model.state_dict().items()}
    with Saver(training) as saver:
        saver.save()
        assert not (training.job.scratch / ".saving").exists()
        for parameter in training.model.parameters():
            parameter.data.add_(1)
        torch.manual_seed(99)
        go_on.set()
    stored = load_file(training.job.folder / LAST / "model.safetensors")
    assert stored.keys() == weights.keys()
    assert all(torch.equal(stored[name], weights[name]) for name in weights)


def test_one_save_is_in_flight_and_the_next_waits_for_it(
    training: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = hold(monkeypatch)
    with Saver(training) as saver:
        saver.save()
        release = threading.Timer(0.05, go_on.set)
        release.start()
        saver.save()
        assert go_on.is_set()
    assert slots.saved_number(training.job.folder / LAST) == 2
    assert slots.saved_number(training.job.folder / "previous_checkpoint") in (0, 1)


def test_a_best_model_that_can_not_be_saved_ends_the_run_and_is_made_again(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training on would leave the best epoch without its weights."""
    run_training(*parts, train_config(tmp_path / "unbroken"), monkeypatch)
    write = slots.write

    def full_for_best(folder: Path, name: str, *args: Any, **kwargs: Any) -> None:
        if name == BEST:
            raise OSError(28, "No space left on device")
        write(folder, name, *args, **kwargs)

    config = train_config(tmp_path / "full")
    with monkeypatch.context() as patched:
        patched.setattr(slots, "write", full_for_best)
        with pytest.raises(CheckpointError, match=r"could not be saved in .*No space left.*Make"):
            train_base_model(job_of(parts, config))
    assert not (tmp_path / "full" / BEST).exists()
    # What was saved before is brought to run_dir all the same.
    assert state_file.read_state(tmp_path / "full" / LAST)["step"] == 9
    run_training(*parts, config, monkeypatch)
    left, right = training_outcome(tmp_path / "full"), training_outcome(tmp_path / "unbroken")
    assert all(torch.equal(left["best"][name], right["best"][name]) for name in right["best"])


def test_a_best_model_stands_in_run_dir_before_a_checkpoint_that_names_its_epoch(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install, seen = slots.install, []

    def watch(folder: Path, name: str, **kwargs: Any) -> None:
        install(folder, name, **kwargs)
        best = read_manifest(folder / BEST) or {"best_epoch": 0}
        if name == LAST:
            named = state_file.read_state(folder / LAST)["progress"]["best_epoch"]
            seen.append((folder.name, named, best["best_epoch"]))

    monkeypatch.setattr(slots, "install", watch)
    train_base_model(job_of(parts, train_config(tmp_path / "run")))
    assert {name for name, _, _ in seen} == {"run", train_config(tmp_path / "run").scratch_dir.name}
    assert all(named <= there for _, named, there in seen), seen


def test_a_ctrl_c_that_insists_ends_the_wait_for_the_copy_and_says_where_all_is_safe(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken_off(self: Any, meanwhile: Any) -> bool:
        raise KeyboardInterrupt

    config = train_config(tmp_path / "run")
    monkeypatch.setattr("enstack.checkpoints.mirror.Mirror.wait", broken_off)
    with pytest.raises(KeyboardInterrupt):
        train_base_model(job_of(parts, config))
    assert f"epoch 3, complete, is safe in {config.scratch_dir}" in capsys.readouterr().out


def test_what_is_copied_is_removed_from_the_scratch_disk_when_training_is_finished(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_config(tmp_path / "run")
    train_base_model(job_of(parts, config))
    assert not config.scratch_dir.exists()
    assert not folder_problems(tmp_path / "run" / LAST)


def test_events_are_written_by_the_mirror_with_the_time_at_which_they_happened(
    parts: Any, tmp_path: Path
) -> None:
    written: list[tuple[str, str]] = []

    def log(event: str, **details: Any) -> None:
        assert details["time"].endswith("+00:00")
        written.append((event, threading.current_thread().name))

    config = train_config(tmp_path / "run", epochs=1)
    train_base_model(job_of(parts, config, log=log))
    assert [event for event, _ in written].count("saved") == 4
    assert {thread for _, thread in written} == {"mirror"}


def test_the_last_checkpoint_is_known_with_its_place_time_and_copy(
    training: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    looked = threading.Event()
    bring = Mirror._bring

    def held(self: Mirror, *what: Any) -> None:
        looked.set()
        assert go_on.wait(30)
        bring(self, *what)

    monkeypatch.setattr(Mirror, "_bring", held)
    before = time.time()
    with Saver(training) as saver:
        assert saver.last_checkpoint() is None
        training.progress.segments = [Segment(4, 5)]
        saver.save()
        saver.settle()
        assert looked.wait(30)
        last = saver.last_checkpoint()
        assert last is not None
        assert last.position == "epoch 1, batch 5"
        assert before <= last.saved_at <= time.time()
        assert not last.copied
        go_on.set()
        assert saver.mirror.wait()
        last = saver.last_checkpoint()
        assert last is not None
        assert (last.copied, last.copying) == (True, "")
