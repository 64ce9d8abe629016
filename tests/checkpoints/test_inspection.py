from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from enstack.checkpoints import inspection, slots
from enstack.checkpoints.inspection import inspect_checkpoint, inspect_path
from enstack.checkpoints.inspection_text import verdict_text
from enstack.checkpoints.slots import BEST, LAST
from enstack.config import scratch_dir
from enstack.errors import CheckpointError
from enstack.storage.manifest import HashedFolder, write_manifest
from tests.support.equality import tree_digest

KEYS = {
    "path", "valid", "problems", "layout",
    "base_model", "epoch", "step", "total_batches", "epoch_complete",
    "optimizer_steps", "skipped_optimizer_steps", "weights_bytes", "resume_epoch", "resume_step",
    "remaining_batches", "epochs", "state_bytes", "notes", "finished", "stopped_early", "diverged",
}  # fmt: skip


def state(epoch: int, step: int, **more: Any) -> dict[str, Any]:
    slot = {"step": torch.tensor(997.0), "exp_avg": torch.zeros(2)}
    optimizer = {"state": {0: slot}, "param_groups": [{"lr": 1e-5, "params": [0]}]}
    return {"epoch": epoch, "step": step, "optimizer_state_dict": optimizer, **more}


def write_files(folder: Path, stored: dict[str, Any]) -> None:
    save_file({"w": np.zeros(1000, np.float32)}, folder / "model.safetensors")
    torch.save(stored, folder / "training_state.pth")
    (folder / "config.json").write_text("{}")


def save(folder: Path, stored: dict[str, Any], name: str = LAST, **facts: int) -> Path:
    def write(new: HashedFolder) -> None:
        write_files(new.folder, stored)
        for path in sorted(new.folder.iterdir()):
            content = path.read_bytes()
            with new.file(path.name) as file:
                file.write(content)

    slots.write(folder, name, write, **(facts or {"saved": 1}))
    slots.install(folder, name, keep=2)
    return folder / name


@pytest.mark.parametrize(
    ("epoch", "step", "expected"),
    [(1, 1000, (False, 1, 1000, 270)), (1, 0, (True, 2, 0, 1270)), (3, 1270, (True, 4, 0, 1270))],
)
def test_the_verdict_says_where_training_goes_on(
    tmp_path: Path, epoch: int, step: int, expected: tuple[Any, ...]
) -> None:
    folder = save(tmp_path, state(epoch, step, total_batches=1270, attempted_steps=1000))
    verdict = inspect_path(folder)
    assert verdict.to_json().keys() == KEYS
    assert (verdict.valid, verdict.layout) == (True, "enstack")
    assert (verdict.position.optimizer_steps, verdict.position.skipped_optimizer_steps) == (997, 3)
    names = ("epoch_complete", "resume_epoch", "resume_step", "remaining_batches")
    assert tuple(getattr(verdict.position, name) for name in names) == expected
    assert "Nothing needs to be trained again" in verdict_text(verdict)


def test_a_checkpoint_that_a_run_gives_up_while_it_is_inspected_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        save(tmp_path, state(1, number, total_batches=9), saved=number)
    older, look = tmp_path / "previous_checkpoint", inspection.folder_problems

    def while_it_is_emptied(folder: Path, **more: Any) -> list[str]:
        if folder != older or not (older / "config.json").exists():
            return look(folder, **more)
        (older / "config.json").unlink()
        problems = look(folder, **more)
        shutil.rmtree(older)
        return problems

    monkeypatch.setattr(inspection, "folder_problems", while_it_is_emptied)
    verdict = inspect_path(tmp_path)
    assert verdict.problems == []
    assert list(verdict.checkpoints) == [LAST]


def test_inspecting_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path, state(1, 5, total_batches=10))
    before = tree_digest(tmp_path)
    inspect_path(tmp_path)
    assert tree_digest(tmp_path) == before


def test_a_damaged_checkpoint_is_not_valid_and_the_file_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path, state(1, 5, total_batches=10))
    os.truncate(folder / "model.safetensors", 100)
    verdict = inspect_path(folder)
    assert not verdict.valid
    assert verdict.problems[0].startswith("model.safetensors has 100 bytes")
    assert "newest checkpoint that is whole" in verdict_text(verdict)


def test_a_folder_of_the_old_layout_is_read_with_what_it_does_not_know_left_open(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, state(1, 1000, best_val_f1=np.float64(0.7)))
    verdict = inspect_checkpoint(tmp_path)
    assert (verdict.valid, verdict.layout) == (True, "legacy")
    assert (verdict.position.resume_epoch, verdict.position.resume_step) == (1, 1000)
    assert verdict.position.total_batches is None
    assert verdict.position.remaining_batches is None


def test_old_checkpoints_with_a_part_missing_or_cut_are_not_valid(tmp_path: Path) -> None:
    write_files(tmp_path, state(1, 1000))
    (tmp_path / "training_state.pth").unlink()
    assert inspect_checkpoint(tmp_path).problems == ["training_state.pth is missing"]
    write_files(tmp_path, state(1, 1000))
    os.truncate(tmp_path / "model.safetensors", 50)
    assert "model.safetensors is damaged" in inspect_checkpoint(tmp_path).problems[0]
    write_files(tmp_path, {"epoch": 1})
    assert "lacks what training needs" in inspect_checkpoint(tmp_path).problems[0]


def test_a_run_folder_gives_all_and_the_one_that_has_come_least_far(tmp_path: Path) -> None:
    save(tmp_path / "base_models" / "a", state(3, 0, total_batches=10))
    save(tmp_path / "base_models" / "b", state(1, 4, total_batches=10))
    verdict = inspect_path(tmp_path)
    assert (verdict.position.epoch, verdict.position.resume_step, verdict.valid) == (1, 4, True)
    assert len(verdict.checkpoints) == 2
    os.truncate(tmp_path / "base_models" / "a" / "last_checkpoint" / "model.safetensors", 1)
    verdict = inspect_path(tmp_path)
    assert not verdict.valid
    assert verdict.problems[0].startswith("base_models/a/last_checkpoint: model.safetensors")


def test_what_holds_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        inspect_path(tmp_path)
    with pytest.raises(CheckpointError, match="is a folder"):
        inspect_path(tmp_path / "none")


def test_a_checkpoint_without_its_manifest_is_unfinished_and_not_an_old_one(tmp_path: Path) -> None:
    folder = save(tmp_path, state(2, 16, total_batches=38, identity={}))
    (folder / "manifest.json").unlink()
    verdict = inspect_path(folder)
    assert (verdict.valid, verdict.layout) == (False, "enstack")
    assert "never finished" in verdict.problems[0]


def test_beside_a_damaged_checkpoint_the_older_one_tells_where_training_goes_on(
    tmp_path: Path,
) -> None:
    for number, step in ((1, 15), (2, 16)):
        save(tmp_path, state(2, step, total_batches=38), saved=number)
    os.truncate(tmp_path / "last_checkpoint" / "model.safetensors", 8)
    verdict = inspect_path(tmp_path)
    assert not verdict.valid
    assert (verdict.position.resume_epoch, verdict.position.resume_step) == (2, 15)
    shutil.rmtree(tmp_path / "last_checkpoint")
    verdict = inspect_path(tmp_path)
    assert (verdict.valid, verdict.position.resume_step) == (True, 15)


@pytest.mark.parametrize("taken", ["a/previous_checkpoint", "a/best_model", "b"])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path, taken: str) -> None:
    """A run would refuse it."""
    (tmp_path / "config.json").write_text(json.dumps({"base_models": ["a", "b"]}))
    save(tmp_path / "base_models" / "a", state(1, 0))
    assert inspect_path(tmp_path).valid
    (tmp_path / "base_models" / taken).write_text("mine")
    verdict = inspect_path(tmp_path)
    name = taken.rpartition("/")[2]
    told = f"base_models/{taken}: a file stands where the folder {name} belongs, move it away"
    assert (verdict.valid, verdict.problems) == (False, [told])


def test_a_damaged_best_model_spoils_the_verdict_on_its_run(tmp_path: Path) -> None:
    save(tmp_path, state(2, 0, total_batches=38))
    save(tmp_path, state(2, 0), BEST, best_epoch=2)
    assert inspect_path(tmp_path).valid
    os.truncate(tmp_path / "best_model" / "model.safetensors", 8)
    assert inspect_path(tmp_path).problems[0].startswith("best_model: model.safetensors")


def test_a_training_that_is_finished_is_said_to_be(tmp_path: Path) -> None:
    folder = save(tmp_path, state(2, 0, total_batches=38, epochs=2))
    assert "Training is finished" in verdict_text(inspect_path(folder))


@pytest.mark.parametrize(
    ("stale", "patience", "epochs", "stopped"),
    [(2, 2, 9, True), (3, 1, 9, True), (1, 2, 9, False), (2, 0, 9, False), (2, 2, 4, False)],
)
def test_a_checkpoint_of_a_training_that_stopped_early_says_so(
    tmp_path: Path, stale: int, patience: int, epochs: int, stopped: bool
) -> None:
    more = {"early_stopping_patience": patience, "progress": {"stale_epochs": stale}}
    folder = save(tmp_path, state(4, 0, total_batches=38, epochs=epochs, **more))
    verdict = inspect_path(folder)
    how = f"stopped early after epoch 4: no better for {stale} epochs"
    assert verdict.to_json()["stopped_early"] == (how if stopped else None)
    assert (how in verdict_text(verdict)) == stopped
    assert verdict.to_json()["finished"] == (stopped or epochs == 4)
    assert ("it goes on at epoch 5" in verdict_text(verdict)) == (not stopped and epochs > 4)


def test_in_a_run_folder_a_base_model_that_stopped_early_is_not_the_one_to_be_trained(
    tmp_path: Path,
) -> None:
    settings = {"epochs": 9, "early_stopping_patience": 2, "base_models": ["x/a", "x/b", "x/c"]}
    for name, (epoch, stale) in {"a": (3, 2), "b": (4, 1)}.items():
        stored = state(epoch, 0, total_batches=38, progress={"stale_epochs": stale})
        save(tmp_path / "base_models" / name, stored)
    (tmp_path / "config.json").write_text(json.dumps(settings))
    verdict = inspect_path(tmp_path)
    assert (verdict.base_model, verdict.to_json()["stopped_early"]) == ("b", None)
    text = verdict_text(verdict)
    assert "a: stopped early after epoch 3: no better for 2 epochs" in text
    assert "c: not begun" in text
    assert "it goes on at epoch 5, batch 0" in text
    shutil.rmtree(tmp_path / "base_models" / "b")
    assert "b, c are still to be trained" in verdict_text(inspect_path(tmp_path))


def write_events(run_dir: Path, *events: dict[str, Any]) -> None:
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (run_dir / "events.jsonl").write_text(lines + '{"event": "to')  # torn by a kill


@pytest.mark.parametrize("since", ["run_started", "saved", "epoch_finished", "run_finished"])
def test_a_run_that_diverged_says_where_and_what_helps_until_it_has_gone_on(
    tmp_path: Path, since: str
) -> None:
    message = "The loss must be a number; NaN in batch 9 of epoch 2. Run the same with X."
    write_events(
        tmp_path,
        {"event": "saved"},
        {"event": "run_stopped", "reason": "DivergenceError", "message": message},
        {"event": since},
        {"event": "run_stopped", "reason": "ConfigError", "message": "Something else."},
    )
    with pytest.raises(CheckpointError, match="holds no checkpoint") as refused:
        inspect_path(tmp_path)
    save(tmp_path / "base_models" / "a", state(2, 5, total_batches=38, epochs=3))
    verdict, over = inspect_path(tmp_path), since != "run_started"
    assert verdict.to_json()["diverged"] == (None if over else message)
    assert (f"training diverged: {message}" in verdict_text(verdict)) != over
    assert (message in str(refused.value)) != over
    assert ("Nothing needs to be trained again" in verdict_text(verdict)) == over
    assert "it goes on at epoch 2, batch 5" in verdict_text(verdict)


def finished(run_dir: Path, name: str, **made_from: Any) -> None:
    """The probabilities of a base model that is finished, as far as an inspection looks."""
    folder = run_dir / "base_models" / name / "probabilities"
    folder.mkdir(parents=True)
    write_manifest(folder, made_from=made_from)


@pytest.mark.parametrize("left", [slots.PREVIOUS, BEST, None])
def test_a_finished_base_model_whose_last_checkpoint_is_gone_says_what_more_epochs_would_do(
    tmp_path: Path, left: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"epochs": 4, "base_models": ["x/a", "x/b"]}))
    for name in ("a", "b"):
        finished(tmp_path, name, epochs=4)
    save(tmp_path / "base_models" / "b", state(4, 0, total_batches=38, epochs=4))
    folder = tmp_path / "base_models" / "a"
    if left == slots.PREVIOUS:
        save(folder, state(4, 5, total_batches=38, epochs=4)).rename(folder / left)
    elif left == BEST:
        save(folder, state(3, 0), BEST, best_epoch=3)
    text = verdict_text(inspect_path(tmp_path))
    told = {
        slots.PREVIOUS: f"a: {LAST} is gone or damaged: the results stand, and with more epochs "
        "training would go on from previous_checkpoint, at epoch 4, batch 5",
        BEST: "a: no checkpoint is left that training could go on from: the results stand",
        None: "a: its results stand, but neither checkpoint nor best model is left",
    }
    assert told[left] in text
    assert "Training is finished" in text
    assert "not begun" not in text


def test_what_waits_on_the_scratch_disk_tells_where_training_goes_on(tmp_path: Path) -> None:
    run_dir, local = tmp_path / "run", tmp_path / "local"
    save(run_dir / "base_models" / "a", state(1, 5, total_batches=38), saved=1)
    (run_dir / "config.json").write_text(json.dumps({"local_dir": str(local)}))
    assert inspect_path(run_dir).position.resume_step == 5
    place = scratch_dir(local, run_dir) / "base_models" / "a"
    save(place, state(2, 7, total_batches=38), saved=2)
    verdict = inspect_path(run_dir)
    assert verdict.valid
    assert (verdict.position.resume_epoch, verdict.position.resume_step) == (2, 7)
    assert "scratch disk: base_models/a/last_checkpoint" in verdict.checkpoints


def test_a_best_model_alone_is_not_said_to_be_gone_on_from(tmp_path: Path) -> None:
    save(tmp_path, state(2, 0), BEST, best_epoch=2)
    (tmp_path / BEST / "training_state.pth").unlink()
    new = HashedFolder(tmp_path / BEST)
    for name in ("model.safetensors", "config.json"):
        content = (tmp_path / BEST / name).read_bytes()
        with new.file(name) as file:
            file.write(content)
    new.finish(best_epoch=2)
    text = verdict_text(inspect_path(tmp_path))
    assert "no checkpoint to go on from" in text
