"""TensorBoard shows what the history holds, each point once, and training knows nothing of it."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.config import RunConfig
from enstack.errors import ConfigError
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.training import tensorboard as curves
from enstack.training.tensorboard import EVENT_FILE, report_epoch
from tests.support.command_line import enstack_here, refused
from tests.support.equality import same, training_outcome
from tests.support.faults import FaultyDisk, faulty
from tests.support.pipeline_runs import changed
from tests.support.training import Killed, kill_after

Points = dict[str, list[tuple[int, float]]]


def shown(folder: Path) -> Points:
    """The curves as TensorBoard's own reader has them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return {
        tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]
    }


def expected(history: list[dict[str, Any]]) -> Points:
    """The same by the plainest road, of a history without an epoch that was trained twice."""
    points: Points = {}
    rate = None
    for record in history:
        values: dict[str, Any] = {}
        if record["event"] == "step":
            rate, step = record["lr"], record["optimizer_steps"]
            values = {"step/loss": record["loss"], "step/learning_rate": rate}
        elif record["event"] == "epoch":
            step = record["epoch"]
            values = {f"epoch/{key}": record[key] for key in record if key[:4] in ("val_", "trai")}
            values["epoch/learning_rate"], rate = rate, None
        for tag, value in values.items():
            if value is not None:
                points.setdefault(tag, []).append((step, pytest.approx(value, rel=1e-6)))
    return points


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Of some epochs with some steps each; what was not finite is null."""
    number = st.none() | st.floats(-1e6, 1e6, width=32)
    history: list[dict[str, Any]] = []
    taken = 0
    for epoch in range(1, draw(st.integers(0, 4)) + 1):
        for batch in range(10, 10 * draw(st.integers(1, 4)), 10):
            taken += draw(st.integers(1, 10))
            history.append(
                {"event": "step", "epoch": epoch, "batch": batch, "optimizer_steps": taken}
                | {"loss": draw(number), "lr": draw(st.floats(0, 1, width=32))}
            )
        figures = {key: draw(number) for key in ("train_loss", "val_loss", "val_macro_f1")}
        history.append({"event": "epoch", "epoch": epoch, **figures, "best": True})
    return history


@given(
    history=histories(),
    cut=st.integers(0, 20),
    damage=st.sampled_from(["", "other", "more", "cut"]),
)
def test_each_point_is_there_once_whatever_was_written_before(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any], cut: int, damage: str
) -> None:
    pytest.importorskip("tensorboard")
    folder = tmp_path_factory.mktemp("curves")
    # What a start has written that was killed, or one that trained further than its checkpoint.
    report_epoch(folder, history[:cut])
    before = (folder / EVENT_FILE).read_bytes()
    if damage == "more":
        report_epoch(folder, [*history, *history[-1:]])
        (folder / EVENT_FILE).write_bytes((folder / EVENT_FILE).read_bytes() + before[:7])
    elif damage == "other":
        report_epoch(folder, [record | {"loss": 7.0, "val_loss": 7.0} for record in history])
    elif damage == "cut":
        (folder / EVENT_FILE).write_bytes(before[:-5])
    report_epoch(folder, history)
    assert shown(folder) == expected(history)
    # A TensorBoard that has read so far reads on from there.
    assert (folder / EVENT_FILE).read_bytes().startswith(before)
    assert [path.name for path in folder.iterdir()] == [EVENT_FILE]


@given(history=histories())
def test_an_epoch_that_was_trained_twice_is_shown_as_it_was_trained_last(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any]
) -> None:
    pytest.importorskip("tensorboard")
    folder = tmp_path_factory.mktemp("curves")
    # Every other record, so that what was trained last comes between what was there before.
    earlier = [record | {"loss": 7.0, "val_loss": 7.0} for record in history[1::2]]
    old = [{"event": "imported"}, {"event": "step", "epoch": 1}, {"event": "epoch", "epoch": None}]
    report_epoch(folder, [*old, *earlier, *history])
    assert shown(folder) == expected(history)


@pytest.fixture
def reporting(config: RunConfig) -> RunConfig:
    pytest.importorskip("tensorboard")
    return changed(config, report_to="tensorboard")


def history_of(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.base_model("micro").history.read_text().splitlines()]


def test_training_is_the_same_with_it_and_a_killed_run_loses_and_doubles_no_point(
    reporting: RunConfig, kept_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(Path(reporting.run_dir))
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        kill_after(patched, 14)
        run_pipeline(reporting)
    run_pipeline(reporting)
    with_it = training_outcome(run.base_model("micro").path)
    without = training_outcome(kept_run[1] / "base_models" / "micro")
    assert same(with_it, without)
    points = shown(run.tensorboard("micro"))
    assert points == expected(history_of(run))
    assert [step for step, _ in points["epoch/val_macro_f1"]] == [1, 2]
    assert all(math.isfinite(value) for curve in points.values() for _, value in curve)


def test_after_each_epoch_the_curves_are_there_while_training_goes_on(
    reporting: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(
        "enstack.training.stage.report_epoch",
        lambda folder, history: (
            report_epoch(folder, history),
            written.append(len(shown(folder)["epoch/val_loss"])),
        ),
    )
    run_pipeline(reporting)
    assert written == [1, 2]


def test_a_finished_run_may_turn_it_on_and_trains_nothing(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    run = RunFolder(Path(finished_run.run_dir))
    assert not run.tensorboard("micro").exists()
    monkeypatch.setattr("enstack.training.trainer.train_batch", None)
    run_pipeline(changed(finished_run, report_to=["tensorboard"]))
    assert shown(run.tensorboard("micro")) == expected(history_of(run))
    assert json.loads(run.config_file.read_text())["report_to"] == ["tensorboard"]
    run_pipeline(changed(finished_run, report_to="none"))
    assert (run.tensorboard("micro") / EVENT_FILE).exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_does_not_take_the_curves_ends_no_training(
    reporting: RunConfig,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = RunFolder(Path(reporting.run_dir))
    # From the end of the first epoch on; links have been looked for before.
    disk = FaultyDisk(run.path / "tensorboard", sys.maxsize, sys.maxsize, code)

    def failing(folder: Path, history: Any) -> None:
        disk.first = min(disk.first, disk.count + 1)
        report_epoch(folder, history)

    with monkeypatch.context() as patched, faulty(disk):
        patched.setattr("enstack.training.stage.report_epoch", failing)
        run_pipeline(reporting)
    assert disk.failed > 2
    told = [line for line in capsys.readouterr().out.splitlines() if "TensorBoard lacks" in line]
    assert len(told) == 1
    assert run.report_page.exists()
    run_pipeline(reporting)
    assert shown(run.tensorboard("micro")) == expected(history_of(run))


def test_a_file_in_the_place_of_the_folder_is_told_and_left(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    run = RunFolder(Path(finished_run.run_dir))
    (run.path / "tensorboard").write_text("mine")
    run_pipeline(changed(finished_run, report_to="tensorboard"))
    assert "TensorBoard lacks points" in capsys.readouterr().out
    assert (run.path / "tensorboard").read_text() == "mine"


def test_a_drive_that_hangs_is_not_waited_for(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    answers = threading.Event()
    monkeypatch.setattr(curves, "_write", lambda folder, history: answers.wait())
    monkeypatch.setattr(curves, "PATIENCE", 0.05)
    run_pipeline(changed(finished_run, report_to="tensorboard"))
    assert "can't be written (no answer)" in capsys.readouterr().out
    answers.set()


@pytest.mark.parametrize("missing", [True, False])
def test_without_the_package_nothing_is_begun(
    config: RunConfig, missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(history: Any) -> bytes:
        raise (
            ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")
            if missing
            else TypeError("Descriptors cannot be created directly.\nIf so, downgrade.")
        )

    monkeypatch.setattr(curves, "_content", broken)
    found = "which is not installed" if missing else r"which can't be loaded \(TypeError"
    with pytest.raises(ConfigError, match=f"needs the package tensorboard, {found}"):
        run_pipeline(changed(config, report_to="tensorboard"))
    assert not Path(config.run_dir).exists()
    path = Path(config.run_dir).with_suffix(".json")
    path.write_text(config.model_dump_json())
    done = enstack_here("run", path, "report_to=tensorboard")
    refused(done, 2, "report_to=tensorboard", "pip install tensorboard", "report_to=none")
    assert not Path(config.run_dir).exists()


def test_none_asks_for_no_package(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    curves.require_tensorboard(config)
    with pytest.raises(ConfigError, match="not installed"):
        curves.require_tensorboard(changed(config, report_to="tensorboard"))
