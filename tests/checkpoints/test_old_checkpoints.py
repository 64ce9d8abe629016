"""Checkpoints of the program before this one, made here in its documented layout."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from enstack.checkpoints import state_file
from enstack.checkpoints.inspection import inspect_checkpoint, inspect_path
from enstack.checkpoints.inspection_text import verdict_text
from enstack.checkpoints.old_checkpoints import find_old_checkpoint
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.errors import CheckpointError, ConfigError
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.base_models import BaseModel, load_classifier
from enstack.models.tokens import LabelledTokens
from enstack.pipeline import run_pipeline
from enstack.reporting.stored_run import read_history
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.trainer import train_base_model
from tests.support.equality import tree_digest
from tests.support.training import job_of, train_config

TOTAL = 11  # batches of an epoch: 42 functions in batches of 4


def write_legacy(
    folder: Path,
    model: BaseModel,
    class_names: tuple[str, ...],
    *,
    epoch: int = 1,
    step: int = 4,
    skipped: int = 0,
    schedule: int | None = None,
    **state: Any,
) -> Path:
    """Train a little with torch's own classes, and save in the old layout."""
    classifier = load_classifier(model, class_names, seed=5)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 - n / 100)
    done = (epoch - 1) * TOTAL + (step or TOTAL)
    for _ in range(done - skipped):
        ids = torch.randint(5, 200, (2, 12))
        classifier(input_ids=ids).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    scheduler.last_epoch = done if schedule is None else schedule
    folder.mkdir(parents=True, exist_ok=True)
    classifier.save_pretrained(folder)
    stored = {
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": {"last_epoch": scheduler.last_epoch, "_last_lr": [1e-4]},
        "epoch": epoch,
        "step": step,
        "total_batches": TOTAL,
        "best_val_f1": np.float64(0.71),
        "best_val_acc": np.float64(0.74),
        **state,
    }
    torch.save({k: v for k, v in stored.items() if v is not None}, folder / "training_state.pth")
    return folder


def go_on(parts: Any, config: RunConfig, old_runs: Path) -> None:
    folder = Path(config.run_dir) / "base_models" / "micro"
    train_base_model(job_of(parts, config, folder, old_runs=old_runs))


def test_an_old_checkpoint_goes_on_at_its_batch_with_its_weights_and_moments(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_legacy(
        tmp_path / "drive" / "checkpoints" / "micro" / "last_checkpoint",
        parts[0],
        parts[2].class_names,
        step=8,
        skipped=0,
    )
    before = tree_digest(old)
    config = train_config(tmp_path / "run", epochs=2, learning_rate=1e-9, warmup_ratio=0.0)
    go_on(parts, config, tmp_path / "drive")
    out = capsys.readouterr().out
    assert "⏭️  Resuming: will skip 8 batches (fast-forward), train 3 batches" in out
    assert "in epoch 1 some may come twice" in out
    assert tree_digest(old) == before
    state = state_file.read_state(tmp_path / "run/base_models/micro/last_checkpoint")
    assert (state["epoch"], state["step"], state["attempted_steps"]) == (2, 0, 2 * TOTAL)
    # With a learning rate of nearly nothing, the weights at the end are those that were imported.
    new = load_file(tmp_path / "run/base_models/micro/last_checkpoint/model.safetensors")
    for name, weights in load_file(old / "model.safetensors").items():
        torch.testing.assert_close(new[name], weights, atol=1e-6, rtol=1e-5)


def test_a_complete_old_epoch_is_validated_and_the_next_one_begins(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (0, TOTAL):
        drive = tmp_path / f"drive-{step}" / "micro" / "last_checkpoint"
        write_legacy(drive, parts[0], parts[2].class_names, epoch=1, step=step)
        config = train_config(tmp_path / f"run-{step}", epochs=2)
        go_on(parts, config, tmp_path / f"drive-{step}")
        out = capsys.readouterr().out
        assert "will skip 11 batches (fast-forward), train 0 batches" in out
        assert "Epoch 2 [Train]: 100% 11/11" in out
        assert "Epoch 1 [Train]" not in out
        assert "Epoch 1: train loss not known, validation loss" in out
        history = tmp_path / f"run-{step}/base_models/micro/history.jsonl"
        # As a reader of another language takes it: there is no NaN in JSON.
        text = history.read_text()
        lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
        assert lines[0]["train_loss"] is None
        assert [epoch.train_loss is None for epoch in read_history(history)] == [True, False]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_old_checkpoint_whose_moments_are_no_numbers_is_passed_over(
    parts: Any, tmp_path: Path, value: float
) -> None:
    place = tmp_path / "micro"
    write_legacy(place / "checkpoint_epoch1_step3", parts[0], parts[2].class_names, step=3)
    last = write_legacy(place / "last_checkpoint", parts[0], parts[2].class_names, step=5)
    state = torch.load(last / "training_state.pth", weights_only=False)
    state["optimizer_state_dict"]["state"][4]["exp_avg_sq"].view(-1)[0] = value
    torch.save(state, last / "training_state.pth")
    old = find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert old is not None
    assert old.folder.name == "checkpoint_epoch1_step3"
    assert "NaN or infinite optimizer moments, in exp_avg_sq of parameter 4" in old.notes[-1]
    assert "optimizer moments" in inspect_checkpoint(last).problems[0]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"step": 8, "epoch": 4, "skipped": 2},
            r"39 optimizer steps for 41 batches.*skipped 2, which is healthy",
        ),
        ({"step": 8, "schedule": 16}, r"run ahead, to step 16 with 8 done: put right"),
        ({"total_batches": None}, r"not stored; the data tells"),
        ({"total_batches": 0}, r"not stored; the data tells"),
    ],
)
def test_what_is_odd_is_said_in_one_line(
    parts: Any, tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    write_legacy(tmp_path / "micro" / "last_checkpoint", parts[0], parts[2].class_names, **settings)
    old = find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert old is not None
    (note,) = [note for note in old.notes if "order" not in note and "best" not in note]
    assert re.search(told, note)


def test_the_state_counts_where_the_folders_name_says_otherwise(parts: Any, tmp_path: Path) -> None:
    write_legacy(
        tmp_path / "micro" / "checkpoint_epoch2_step500", parts[0], parts[2].class_names, step=6
    )
    old = find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert old is not None
    assert (old.epoch, old.step) == (1, 6)
    assert "name says epoch 2, step 500; the state inside says epoch 1, step 6" in old.notes[0]


def test_the_one_that_has_come_furthest_is_taken_and_other_kinds_are_not(
    parts: Any, tmp_path: Path
) -> None:
    classes = parts[2].class_names
    folder = tmp_path / "checkpoints" / "micro"
    write_legacy(folder / "last_checkpoint", parts[0], classes, step=3)
    write_legacy(folder / "recovery_checkpoint", parts[0], classes, step=7)
    write_legacy(folder / "swa_model", parts[0], classes, epoch=3)
    write_legacy(folder / "best_model", parts[0], classes, epoch=2)
    old = find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert old is not None
    assert old.folder.name == "recovery_checkpoint"
    assert find_old_checkpoint(tmp_path, "other", n_classes=6, alone=False) is None


def truncate(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, 1000)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def rewrite(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        state = state_file.read_state(folder)
        torch.save(
            {k: v for k, v in {**state, **changes}.items() if v is not None},
            folder / "training_state.pth",
        )

    return change


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def poison(folder: Path) -> None:
    torch.save({"epoch": Evil()}, folder / "training_state.pth")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncate("model.safetensors"), r"model\.safetensors is damaged"),
        (truncate("training_state.pth"), r"training_state\.pth can't be read"),
        (remove("model.safetensors"), r"model\.safetensors is missing"),
        (remove("training_state.pth"), r"training_state\.pth is missing"),
        (remove("config.json"), r"config\.json is missing"),
        (rewrite(epoch=None), "lacks what training needs: KeyError"),
        (rewrite(optimizer_state_dict=None), "lacks what training needs: KeyError"),
        (rewrite(epoch=0), "epoch must be from 1"),
        (poison, r"training_state\.pth can't be read"),
    ],
)
def test_a_damaged_old_checkpoint_never_means_a_silent_start(
    parts: Any, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    classes, folder = parts[2].class_names, tmp_path / "micro"
    last = write_legacy(folder / "last_checkpoint", parts[0], classes, step=8)
    spoil(last)
    assert not inspect_checkpoint(last).valid
    before = tree_digest(tmp_path)
    with pytest.raises(CheckpointError, match=rf"No old checkpoint of micro.*{reason}.*run_dir"):
        find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert tree_digest(tmp_path) == before
    write_legacy(folder / "recovery_checkpoint", parts[0], classes, step=3)
    old = find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=False)
    assert old is not None
    assert old.folder.name == "recovery_checkpoint"
    assert old.notes[-1].startswith("Passed over: ")
    assert not Path("ran").exists()


def test_other_classes_data_or_models_are_refused_with_the_way_out(
    parts: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "micro" / "last_checkpoint"
    write_legacy(folder, parts[0], parts[2].class_names, total_batches=40)
    with pytest.raises(CheckpointError, match="trained for 6 classes, this run has 5: check label"):
        find_old_checkpoint(tmp_path, "micro", n_classes=5, alone=False)
    with pytest.raises(CheckpointError, match="40 batches an epoch, which fits no batch size"):
        go_on(parts, train_config(tmp_path / "run"), tmp_path)
    state = state_file.read_state(folder)
    slots = state["optimizer_state_dict"]["state"]
    slots[0], slots[1] = slots[1], slots[0]
    torch.save({**state, "total_batches": TOTAL}, folder / "training_state.pth")
    with pytest.raises(CheckpointError, match="belongs to another model than micro"):
        go_on(parts, train_config(tmp_path / "run"), tmp_path)


def test_another_batch_size_is_told_by_the_number_of_batches(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six batches of seven functions an epoch, four of them done: 14 functions are left."""
    folder = tmp_path / "micro" / "last_checkpoint"
    write_legacy(folder, parts[0], parts[2].class_names, step=4, total_batches=6)
    go_on(parts, train_config(tmp_path / "run", epochs=1), tmp_path)
    assert "will skip 4 batches (fast-forward), train 4 batches" in capsys.readouterr().out


def test_a_run_imports_from_resume_from_once_and_then_goes_on_by_itself(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = load_classes(toy_folder)
    old = write_legacy(tmp_path / "old" / "last_checkpoint", micro_model, classes, epoch=2, step=0)
    config = RunConfig(
        data_dir=str(toy_folder),
        label_mode="cwe_or_clean",
        base_models=[micro_model.location],
        epochs=2,
        batch_size=4,
        max_length=32,
        meta_classifiers=["lr"],
        resume_from=str(old),
        run_dir=str(tmp_path / "run"),
        local_dir=str(tmp_path / "local"),
    )
    run_pipeline(config)
    out = capsys.readouterr().out
    assert f"📦 Going on from the old checkpoint {old}" in out
    assert "[Train]" not in out, "both epochs were trained before"
    shutil.rmtree(old)
    run_pipeline(config)
    assert "✓ micro: finished before, skipped" in capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert report["leaderboard"]


def load_classes(folder: Path) -> tuple[str, ...]:
    from enstack.data.functions import read_data

    return read_data(folder, label_mode="cwe_or_clean").class_names


def test_resume_from_a_place_without_an_old_checkpoint_is_refused(
    parts: Any, tmp_path: Path
) -> None:
    place = str(tmp_path / "nothing")
    config = train_config(tmp_path / "run", resume_from=place, base_models=["micro"])
    with pytest.raises(CheckpointError, match=r"resume_from must hold an old checkpoint of micro"):
        go_on(parts, config, tmp_path / "nothing")


def test_a_new_checkpoint_wins_over_an_old_one(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = train_config(tmp_path / "run", epochs=1)
    write_legacy(tmp_path / "micro" / "last_checkpoint", parts[0], parts[2].class_names, step=8)
    go_on(parts, config, tmp_path)
    capsys.readouterr()
    go_on(parts, config, tmp_path)
    assert "old checkpoint" not in capsys.readouterr().out


def test_an_old_checkpoint_of_another_shape_is_refused_though_it_is_the_only_one(
    parts: Any, toy_data: VulnerabilityData, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    texts = toy_data.splits["train"].sources.to_pylist()
    write_encoder(other, TinyModel(vocabulary=280, hidden=16, layers=1, heads=2), texts, seed=1)
    old = tmp_path / "old" / "last_checkpoint"
    write_legacy(old, BaseModel("micro", str(other)), parts[2].class_names, step=8)
    with pytest.raises(CheckpointError, match=r"must be one of micro; it is a roberta of 1 layers"):
        go_on(parts, train_config(tmp_path / "run", base_models=["micro"]), tmp_path / "old")
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_an_old_checkpoint_in_another_known_models_folder_is_refused(
    parts: Any, micro_model: BaseModel, tmp_path: Path
) -> None:
    place = tmp_path / "checkpoints" / "graphcodebert"
    write_legacy(place / "last_checkpoint", micro_model, parts[2].class_names, step=8)
    called = (BaseModel("codebert", micro_model.location), *parts[1:])
    with pytest.raises(CheckpointError, match="it lies in a folder of graphcodebert"):
        go_on(called, train_config(tmp_path / "run", base_models=["codebert"]), place)


def test_an_old_checkpoint_of_classes_is_refused_for_as_many_flags(
    parts: Any, micro_model: BaseModel, tmp_path: Path
) -> None:
    data = parts[2]
    flags = data.train.labels[:, None] == np.arange(len(data.class_names))
    train = LabelledTokens(data.train.tokens, flags, data.train.ids)
    old = tmp_path / "old" / "last_checkpoint"
    write_legacy(old, micro_model, data.class_names, step=8)
    severally = (
        *parts[:2],
        dataclasses.replace(data, train=train, task=SeveralFlags(data.class_names)),
    )
    with pytest.raises(CheckpointError, match="one class, this run has label_mode=multilabel"):
        go_on(severally, train_config(tmp_path / "run", base_models=["micro"]), tmp_path / "old")
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def two_models(toy_folder: Path, micro_model: BaseModel, tmp_path: Path, **more: Any) -> RunConfig:
    twin = tmp_path / "models" / "twin"
    shutil.copytree(micro_model.location, twin)
    return RunConfig(
        data_dir=str(toy_folder),
        label_mode="cwe_or_clean",
        base_models=[micro_model.location, str(twin)],
        epochs=1,
        batch_size=4,
        max_length=32,
        meta_classifiers=["lr"],
        run_dir=str(tmp_path / "run"),
        local_dir=str(tmp_path / "local"),
        **more,
    )


def test_what_resume_from_serves_is_said_before_anything_is_trained(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, classes = tmp_path / "old", load_classes(toy_folder)
    write_legacy(old / "micro" / "last_checkpoint", micro_model, classes, step=8)
    config = two_models(toy_folder, micro_model, tmp_path, resume_from=str(old))
    run_pipeline(config)
    said = capsys.readouterr().out
    warning = f"{old} holds no old checkpoint of twin: it is trained from the start."
    assert said.index(warning) < said.index("micro: fine-tuning")
    assert "Going on from the old checkpoint" in said


@pytest.mark.parametrize("place", ["nothing", "empty"])
def test_a_resume_from_that_serves_nobody_is_refused_before_anything_is_trained(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, place: str
) -> None:
    (tmp_path / "empty").mkdir()
    config = two_models(toy_folder, micro_model, tmp_path, resume_from=str(tmp_path / place))
    with pytest.raises(CheckpointError, match="must hold an old checkpoint of micro or twin"):
        run_pipeline(config)
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_a_run_with_checkpoints_of_its_own_says_that_it_leaves_resume_from_alone(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = two_models(toy_folder, micro_model, tmp_path)
    run_pipeline(config)
    write_legacy(
        tmp_path / "old" / "last_checkpoint", micro_model, load_classes(toy_folder), step=8
    )
    capsys.readouterr()
    more = {"epochs": 2, "resume_from": str(tmp_path / "old")}
    run_pipeline(RunConfig(**{**config.model_dump(), **more}))
    said = capsys.readouterr().out
    for name in ("micro", "twin"):
        assert f"resume_from is not used for {name}" in said
    assert "Going on from the old checkpoint" not in said


def test_resume_from_without_resume_is_refused() -> None:
    with pytest.raises(ConfigError, match="resume_from goes on from a checkpoint, so resume must"):
        RunConfig(resume=False, resume_from="/old")


LEFT = [".backup_{}", ".tmp_{}", ".tmp_{}_1768123456", ".backup_{}_old"]


@pytest.mark.parametrize("last", ["gone", "cut", "empty"])
@pytest.mark.parametrize(
    ("slot", "left"),
    [*(("last_checkpoint", left) for left in LEFT), ("recovery_checkpoint", LEFT[0])],
)
def test_what_a_killed_save_of_the_old_program_left_is_found_and_gone_on_from(
    parts: Any, tmp_path: Path, slot: str, left: str, last: str
) -> None:
    classes, folder = parts[2].class_names, tmp_path / "checkpoints" / "micro"
    whole = write_legacy(folder / left.format(slot), parts[0], classes, step=8)
    write_legacy(folder / "checkpoint_epoch1_step3", parts[0], classes, step=3)
    write_legacy(folder / ".tmp_best_model", parts[0], classes, epoch=3)
    if last != "gone":
        shutil.copytree(whole, folder / slot)
        truncate("training_state.pth" if last == "cut" else "model.safetensors")(folder / slot)
    before = tree_digest(tmp_path)
    # Above it, beside it by the name that is gone, and itself.
    for place in (tmp_path, folder, folder / slot, whole):
        old = find_old_checkpoint(place, "micro", n_classes=6, alone=True)
        assert old is not None, place
        assert old.folder == whole
        assert any("when it was killed" in note for note in old.notes)
    verdict = inspect_path(tmp_path)
    assert verdict.position.resume_step == 8
    assert f"resume_from={tmp_path}" in verdict_text(verdict)
    assert tree_digest(tmp_path) == before


def test_a_run_goes_on_from_what_a_killed_save_left(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, classes = tmp_path / "old", load_classes(toy_folder)
    write_legacy(old / "micro" / ".backup_last_checkpoint", micro_model, classes, step=8)
    place = str(old / "micro" / "last_checkpoint")
    run_pipeline(two_models(toy_folder, micro_model, tmp_path, resume_from=place))
    said = capsys.readouterr().out
    assert f"Going on from the old checkpoint {old}/micro/.backup_last_checkpoint" in said
    assert "will skip 8 batches (fast-forward), train 3 batches" in said


def test_torn_leftovers_spoil_no_verdict_and_alone_are_named(parts: Any, tmp_path: Path) -> None:
    classes = parts[2].class_names
    last = write_legacy(tmp_path / "last_checkpoint", parts[0], classes, step=8)
    torn = Path(shutil.copytree(last, tmp_path / ".tmp_last_checkpoint_1"))
    truncate("training_state.pth")(torn)
    assert inspect_path(tmp_path).valid
    shutil.rmtree(last)
    assert not inspect_path(tmp_path).valid
    with pytest.raises(CheckpointError, match=r"\.tmp_last_checkpoint_1/training_state\.pth can't"):
        find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=True)


def test_inspecting_a_checkpoint_that_is_gone_names_what_its_killed_save_left(
    parts: Any, tmp_path: Path
) -> None:
    write_legacy(tmp_path / ".backup_last_checkpoint", parts[0], parts[2].class_names)
    with pytest.raises(CheckpointError, match=r"left \.backup_last_checkpoint: inspect .*") as told:
        inspect_path(tmp_path / "last_checkpoint")
    # Its advice works.
    assert inspect_path(Path(str(told.value).rsplit("inspect ", 1)[1].rstrip("."))).valid


def test_a_checkpoint_by_another_name_is_named_before_training_from_the_start_is_advised(
    toy_folder: Path, micro_model: BaseModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drive calls a copy so; old users call theirs as they like."""
    old, classes = tmp_path / "old", load_classes(toy_folder)
    copy = write_legacy(old / "twin" / "last_checkpoint (1)", micro_model, classes, step=8)
    write_legacy(old / "twin" / "best_model", micro_model, classes)
    config = two_models(toy_folder, micro_model, tmp_path, resume_from=str(old))
    with pytest.raises(CheckpointError, match=r"resume_from=.*last_checkpoint \(1\)\.$") as told:
        run_pipeline(config)
    # Its advice works.
    place = str(told.value).rsplit("resume_from=", 1)[1].rstrip(".")
    assert place == str(copy)
    run_pipeline(RunConfig(**{**config.model_dump(), "resume_from": place}))
    assert f"Going on from the old checkpoint {copy}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"step": 10**18}, 4),
        ({"step": 10**18, "total_batches": 10**18}, 4),
        ({"step": 5, "total_batches": -11}, 4),
        ({"step": -1}, 4),
        ({"step": 23}, 4),
        ({"epoch": 10**9}, 4),
        ({"epoch": -3}, 4),
        ({"epoch": 1.5}, 4),
        ({"epoch": float("nan")}, 4),
        ({"epoch": float("inf")}, 4),
        ({"epoch": "2"}, 4),
        ({"epoch": 400, "step": 0, "total_batches": 10**5}, 4),
        ({"step": float("nan")}, 4),
        ({"total_batches": float("nan")}, 4),
        ({"total_batches": None, "step": 10**7}, 4),
        ({"total_batches": None, "step": 10**12, "epoch": 2}, 4),
        ({}, 10**18),
        ({}, 10**6),
        ({}, -4),
        ({}, float("nan")),
        ({}, float("inf")),
        ({}, 3.5),
    ],
)
def test_a_state_that_no_training_can_have_is_damaged_for_inspect_and_import(
    parts: Any, tmp_path: Path, changes: dict[str, Any], steps: float
) -> None:
    last = write_legacy(tmp_path / "last_checkpoint", parts[0], parts[2].class_names, step=8)
    optimizer = state_file.read_state(last)["optimizer_state_dict"]
    slots = {place: {**slot, "step": steps} for place, slot in optimizer["state"].items()}
    state = state_file.read_state(last)
    torch.save(
        {**state, "optimizer_state_dict": {**optimizer, "state": slots}, **changes},
        last / "training_state.pth",
    )
    verdict = inspect_checkpoint(last)
    assert not verdict.valid
    assert "training_state.pth" in verdict.problems[0]
    assert "Nothing needs to be trained again" not in verdict_text(verdict)
    with pytest.raises(CheckpointError, match=r"No old checkpoint of micro .*training_state\.pth"):
        find_old_checkpoint(tmp_path, "micro", n_classes=6, alone=True)
