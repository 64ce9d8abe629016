from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.planning.status import status_of
from enstack.planning.status_text import status_text, what_is_left
from enstack.run_folder import RunFolder
from enstack.run_place import alone_in
from tests.support.command_line import enstack_here


def began(folder: str, epochs: float) -> dict[str, Any]:
    return {"event": "training_begun", "folder": folder, **position(epochs)}


def saved(folder: str, epochs: float, seconds: float) -> dict[str, Any]:
    return {"event": "saved", "folder": folder, **position(epochs), "training_seconds": seconds}


def position(epochs: float) -> dict[str, int]:
    inside = epochs % 1
    epoch = int(epochs) + (inside > 0)
    return {"epoch": epoch, "step": round(100 * inside), "total_batches": 100}


def run_with(folder: Path, events: list[dict[str, Any]], **settings: Any) -> RunFolder:
    """A run folder that has got so far; a finished base model is named in `finished`."""
    finished = settings.pop("finished", ())
    stored = {"epochs": 4, "meta_features": "holdout", "folds": 5, "seeds": "none", **settings}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"base_models": ["a", "b"], **stored}))
    lines = [{"time": "2026-01-01T00:00:00+00:00", **event} for event in events]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in finished:
        place = folder / "base_models" / name / "probabilities"
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")
    return RunFolder(folder)


STARTED = {"event": "run_started"}
A, B = "base_models/a", "base_models/b"


def test_hours_left_follow_the_pace_of_the_newest_session_of_each_model(tmp_path: Path) -> None:
    slow = [STARTED, began(A, 0), saved(A, 1, 36_000)]  # ten hours an epoch
    fast = [STARTED, began(A, 1), saved(A, 2.5, 5400)]  # one hour an epoch
    status = status_of(run_with(tmp_path / "run", [*slow, *fast], session_hours=2))
    assert [model.done for model in status.models] == [2.5, 0]
    # What has not begun is taken to be like the others.
    assert [model.hours_left for model in status.models] == [1.5, 4]
    assert (status.hours_left, status.sessions_left) == (5.5, 3)


def test_a_finished_model_takes_no_more_hours(tmp_path: Path) -> None:
    events = [STARTED, began(A, 0), saved(A, 3, 10_800)]  # it stopped early
    status = status_of(run_with(tmp_path / "run", events, finished=["a"]))
    assert [model.hours_left for model in status.models] == [0, 4]


def test_folds_count_as_what_they_train_on(tmp_path: Path) -> None:
    events = [STARTED, began(A, 0), saved(A, 4, 4 * 3600), saved(f"{A}/folds/1", 1, 60)]
    run = run_with(
        tmp_path / "run", events, base_models=["a"], meta_features="out_of_fold", folds=2
    )
    status = status_of(run)
    (model,) = status.models
    assert "a: 5 of 12 epochs (2 folds included), about 3 h 30 min left" in status_text(status)
    # Two folds of four epochs, each on half of train; one epoch of one of them is done.
    assert (model.done, model.epochs, model.hours_left) == (5, 12, 3.5)


def test_without_a_recorded_pace_no_hours_are_told(tmp_path: Path) -> None:
    events = [STARTED, {**saved(A, 2, 0), "training_seconds": None}]
    status = status_of(run_with(tmp_path / "run", events))
    assert (status.models[0].done, status.hours_left) == (2, None)
    assert "known when a checkpoint of it is saved" in status_text(status)


def test_every_seed_is_told_of_those_not_begun_too(tmp_path: Path) -> None:
    events = [STARTED, began(A, 0), saved(A, 4, 14_400)]
    run = run_with(tmp_path / "run", events, base_models=["a"], seeds=[7, 8], finished=["a"])
    status = status_of(run)
    assert [(one.seed, one.models[0].done) for one in (status, *status.others)] == [(7, 4), (8, 0)]
    assert status.hours_left == 4


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must hold a run that has begun, it has no config"):
        status_of(RunFolder(tmp_path))


def test_a_run_that_is_at_work_on_this_machine_is_not_called_cut_off(tmp_path: Path) -> None:
    local_dir = str(tmp_path / "local")
    before = [STARTED, began(A, 0), saved(A, 1, 60)]  # long ago, and no end of it is recorded
    run = run_with(tmp_path / "run", before, local_dir=local_dir)
    with alone_in(RunConfig(run_dir=str(run.path), local_dir=local_dir)):
        reading = status_of(run)  # nothing is recorded before the data is read
        for event in ({**STARTED}, began(A, 1), saved(A, 2, 60)):
            run.log(event.pop("event"), **event)
        training = status_of(run)
    assert [one.end for one in reading.sessions] == ["cut off"]
    assert [one.end for one in training.sessions] == ["cut off", "at work"]
    assert [one.end for one in status_of(run).sessions] == ["cut off", "cut off"]
    for status in (reading, training):
        assert "A process of this machine is at work on it, since 20" in what_is_left(status)
    assert what_is_left(status_of(run)).endswith("The same command goes on.")


def test_asking_for_the_status_makes_no_lock(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", [STARTED], local_dir=str(tmp_path / "local"))
    assert status_of(run).at_work_since is None
    assert not (tmp_path / "local").exists()


def test_the_command_prints_no_line_over_80_columns_and_json_of_the_same(tmp_path: Path) -> None:
    long = "a-base-model-with-a-name-that-somebody-gave-it-who-likes-long-names-of-folders-" * 2
    place = f"base_models/{long}"
    events = [
        {**STARTED, "machine": "Some Processor With A Long Name 3.14 GHz, 2 cores"},
        {"event": "training_started", "device": "NVIDIA Tesla T4", "precision": "fp16"},
        began(place, 0),
        {**saved(place, 1.25, 4500), "saving_seconds": 3, "waiting_seconds": 2, "checkpoint": "x"},
        STARTED,
        {**began(place, 1.25), "checkpoint": "x"},
        saved(place, 2, 4000),
        STARTED,
        {**began(place, 2), "checkpoint": "another"},
        saved(place, 3, 4000),
    ]
    run = run_with(tmp_path / "run", events, base_models=["a", long])
    text = enstack_here("status", run.path).stdout
    assert "Session 3 went on with" in " ".join(text.split())
    told = [line for line in text.splitlines() if long not in line and str(run.path) not in line]
    assert max(map(len, told)) <= 80
    as_json = json.loads(enstack_here("status", "--json", run.path).stdout)
    assert [one["fits"] for s in as_json["sessions"] for one in s["stretches"]] == [
        *(None, True, False),
    ]


def test_the_ledger_tells_how_fast_it_went_and_how_much_of_that_was_of_use(tmp_path: Path) -> None:
    computed = {
        "trained_functions": 30_000,
        "trained_tokens": 8_190_000,
        "trained_flops": 13e15,
        "padded_flops": 13e15 / 0.975,
        "step_seconds": 500,
        "peak_memory": 5 * 2**30,
        "joules": 126_000,
    }
    began_on = {"event": "training_started", "device": "Tesla T4", "precision": "fp16"}
    events = [STARTED, began_on, began(A, 0), {**saved(A, 1, 600), **computed}]
    said = " ".join(status_text(status_of(run_with(tmp_path / "run", events))).split())
    assert (
        "steps alone: functions/s 60, tokens/s 16,380; 97.5 % of the work no padding; "
        "40 % of the GPU's peak; 5.0 GiB of its memory; 0.035 kWh"
    ) in said
