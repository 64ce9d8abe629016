"""What stands below the form: how long the whole run takes, for these models and functions."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.errors import ConfigError
from enstack.models.base_models import BaseModel
from enstack.notebook.run_time import show_run_time
from enstack.progress.session_end import SessionEnd, session_of
from enstack.training import run_plan
from enstack.training.epoch_time import BatchCost
from enstack.training.run_time import batch_widths, work_left
from tests.support.training import train_config

PER_TOKEN = 0.01


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was measured; a token costs a hundredth of a second to train, nothing to predict."""
    sizes: list[dict[str, Any]] = []

    def measure(encoder: object, hardware: object, **asked: Any) -> BatchCost:
        sizes.append(asked)
        return BatchCost(0.0, PER_TOKEN, 0.0)

    monkeypatch.setattr("enstack.training.run_time.measure_batch", measure)
    monkeypatch.setattr(run_plan, "STACKING_SECONDS_PER_FUNCTION", 0.0)
    return sizes


@pytest.fixture
def config(tmp_path: Path, toy_folder: Path, micro_model: BaseModel) -> RunConfig:
    return config_of(tmp_path, toy_folder, micro_model)


def config_of(tmp_path: Path, data: Path, model: BaseModel, **settings: Any) -> RunConfig:
    return train_config(
        tmp_path / "run", data_dir=str(data), base_models=[model.location], **settings
    )


def minutes(said: str) -> float:
    """The total that the first line names."""
    hours, mins, seconds = re.search(  # type: ignore[union-attr]
        r"About (?:(\d+) h )?(?:(\d+) min)?(?:(\d+) s)? ?from here", said
    ).groups()
    return int(hours or 0) * 60 + int(mins or 0) + int(seconds or 0) / 60


def test_one_total_and_a_clock_time_are_told_for_the_forms_models_and_real_lengths(
    config: RunConfig, toy_data: VulnerabilityData, asked: list[Any], capsys: Any
) -> None:
    show_run_time(config)
    said = capsys.readouterr().out
    (sizes,) = asked
    assert sizes["batch_size"] == 4
    assert sizes["max_length"] <= 150 + 2, "as wide as the longest function, not as max_length"
    # 42 functions in three epochs, by the tokens that they really have.
    total = minutes(said) - run_plan.STACKING_SECONDS / 60
    assert 3 * 42 * 40 * PER_TOKEN / 60 - 1 < total < 3 * 42 * 152 * PER_TOKEN / 60 + 1
    done = re.search(r"until (\d\d:\d\d) ", said)
    assert done
    later = time.strftime("%H:%M", time.localtime(time.time() + minutes(said) * 60))
    assert abs(int(done[1][3:]) - int(later[3:])) % 59 <= 1
    assert "micro: " in said
    assert "stacking and report" in said


def test_padding_is_counted_as_batches_of_like_length_have_it() -> None:
    widths = batch_widths(np.array([8, 100, 8, 9, 100]), 2)
    assert widths.tolist() == [8, 104, 104]
    assert batch_widths(np.array([5]), 16).tolist() == [8]


def test_every_stage_counts(
    tmp_path: Path, toy_folder: Path, toy_data: VulnerabilityData, micro_model: BaseModel
) -> None:
    holdout = config_of(tmp_path, toy_folder, micro_model, epochs=10)
    work = work_left(toy_data, holdout, 10, 0)
    assert (work.trained, work.tokenized) == (10 * 42, 72)
    assert work.predicted == 10 * 10 + 20 + 10, "half of validation each epoch, then both splits"
    folds = config_of(
        tmp_path, toy_folder, micro_model, epochs=10, meta_features="out_of_fold", folds=3
    )
    assert work_left(toy_data, folds, 10, 3 * 10).trained == 10 * 42 + 10 * 2 * 42


def test_what_is_done_already_takes_no_time(
    config: RunConfig, asked: list[Any], capsys: Any
) -> None:
    show_run_time(config)
    whole = minutes(capsys.readouterr().out)
    folder = Path(config.run_dir) / "base_models" / "micro"
    folder.mkdir(parents=True)
    lines = [{"event": "step", "epoch": 3}, *({"event": "epoch", "epoch": n} for n in (1, 2))]
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    show_run_time(config)
    rest = minutes(capsys.readouterr().out)
    assert rest == pytest.approx(whole / 3, abs=1)
    (folder / "history.jsonl").write_text("{torn")
    show_run_time(config)
    assert minutes(capsys.readouterr().out) == pytest.approx(whole, abs=0.1)
    (folder / "probabilities").mkdir()
    (folder / "probabilities" / "manifest.json").write_text("{}")
    asked.clear()
    show_run_time(config)
    assert "Every base model is trained" in capsys.readouterr().out
    assert asked == []


def test_models_of_one_shape_are_measured_once(
    tmp_path: Path, toy_folder: Path, micro_model: BaseModel, asked: list[Any], capsys: Any
) -> None:
    config = config_of(tmp_path, toy_folder, micro_model)
    twice = config.model_copy(update={"base_models": [micro_model.location] * 2})
    show_run_time(twice)
    assert len(asked) == 1
    assert len(re.findall(r"   - micro(-2)?: ", capsys.readouterr().out)) == 2


def test_a_length_that_a_model_can_not_read_is_refused_before_it_is_measured(
    tmp_path: Path, toy_folder: Path, micro_model: BaseModel, asked: list[Any]
) -> None:
    config = config_of(tmp_path, toy_folder, micro_model, max_length=8192)
    with pytest.raises(ConfigError, match="max_length must be at most"):
        show_run_time(config)
    assert asked == []


@pytest.mark.parametrize(("seconds", "told"), [(50, "50 s"), (90_000, "in 1.0 days")])
def test_a_long_run_says_in_how_many_days(
    config: RunConfig,
    toy_data: VulnerabilityData,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    told: str,
) -> None:
    monkeypatch.setattr(run_plan, "STACKING_SECONDS", seconds)
    monkeypatch.setattr(run_plan, "STACKING_SECONDS_PER_FUNCTION", 0.0)
    (first, *_) = run_plan.plan_lines([], toy_data, config, now=lambda: 0.0)
    assert told in first


def test_the_plan_counts_what_is_left_of_the_session_it_is_told_in(
    config: RunConfig, toy_data: VulnerabilityData, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(SessionEnd.__init__, "__defaults__", (lambda: now[0],))
    monkeypatch.setattr(run_plan, "STACKING_SECONDS", 3000)
    monkeypatch.setattr(run_plan, "STACKING_SECONDS_PER_FUNCTION", 0.0)
    hourly = config.model_copy(update={"session_hours": 1.0})
    told = []
    with session_of(1.0):
        for now[0] in (0.0, 3000.0):
            told += run_plan.plan_lines([], toy_data, hourly)[:1]
    assert ["1 session of 1 h" in told[0], "2 sessions of 1 h" in told[1]] == [True, True]


def test_the_plan_counts_every_seed(
    config: RunConfig, toy_data: VulnerabilityData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_plan, "STACKING_SECONDS", 600)
    monkeypatch.setattr(run_plan, "STACKING_SECONDS_PER_FUNCTION", 0.0)
    seeds = config.model_copy(update={"seeds": [config.seed, 7, 8]})
    lines = run_plan.plan_lines([], toy_data, seeds)
    assert "About 30 min from here to the report" in lines[0]
    assert lines[-1] == "   - all of it again under 2 further seeds"
