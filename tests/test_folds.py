"""The folds of a run: what is alike is never in two of them; a run in progress keeps its own."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack import same_run
from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.stacking import stage
from enstack.training.job import TrainingJob
from tests.support.data_files import write_rows
from tests.support.equality import tree_digest
from tests.support.pipeline_runs import changed
from tests.support.training import Killed, kill_after

BASE = "base_models/micro"
SLOWLY = functools.partial(pytest.param, marks=pytest.mark.slow)


def lines(number: int, variant: int) -> str:
    """A function with 40 statements; two variants of a number share nearly all of them."""
    body = " ".join(f"x{number}_{place} += {place};" for place in range(40))
    return f"int f{number}(int a) {{ {body} return {variant}; }}"


@pytest.fixture
def alike(config: RunConfig, tmp_path: Path) -> RunConfig:
    """A run on 24 train functions, of which each has one that is nearly the same."""
    folder = tmp_path / "alike"
    rows = [
        {"func": lines(number, variant), "label": number % 2}
        for variant in range(2)
        for number in range(12)
    ]
    write_rows(folder, "jsonl", rows)
    settings = {"meta_features": "out_of_fold", "folds": 2, "epochs": 1, "label_mode": "binary"}
    return changed(config, data_dir=str(folder), **settings)


def probabilities(config: RunConfig) -> dict[str, np.ndarray]:
    with np.load(Path(config.run_dir) / BASE / "probabilities" / "train.npz") as stored:
        return {name: stored[name] for name in ("ids", "probabilities", "seen")}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def results(config: RunConfig) -> dict[str, str]:
    """What was trained, and on which folds."""
    digests = tree_digest(Path(config.run_dir))
    return {k: v for k, v in digests.items() if k == "folds.npz" or k.startswith("base_models/")}


def seen_of_fold(config: RunConfig, fold: int) -> set[str]:
    path = Path(config.run_dir) / BASE / "folds" / str(fold) / "best_model" / "seen_ids.npz"
    with np.load(path) as stored:
        return {each for each in stored["ids"].tolist() if each.startswith("train/")}


def by_classes_alone(patched: pytest.MonkeyPatch) -> None:
    """As runs were begun before folds heeded what is alike."""
    patched.setattr(same_run, "_folds", lambda config, data, run: config.folds)


def stopped(config: RunConfig, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        kill_after(patched, batches)
        run_pipeline(config)


def test_no_fold_trains_on_what_is_nearly_the_same_as_what_it_predicts(
    alike: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pipeline(alike)
    before_training, _ = capsys.readouterr().out.split("fine-tuning", 1)
    assert "Out-of-fold: 2 more trainings of each of 1 base model" in before_training
    train = {f"train/{row}" for row in range(24)}
    for fold in (1, 2):
        inside = {int(each.split("/")[1]) % 12 for each in train - seen_of_fold(alike, fold)}
        outside = {int(each.split("/")[1]) % 12 for each in seen_of_fold(alike, fold)}
        assert len(inside) == 6
        assert not inside & outside
    holdout = json.loads((Path(alike.run_dir) / "data.json").read_text())["holdout"]
    assert holdout["kept_together"]["largest_cluster"] == 2
    assert "refit" in holdout["test_predictions"]
    before = results(alike)
    RunFolder(Path(alike.run_dir)).folds_file.write_bytes(b"")
    shutil.rmtree(RunFolder(Path(alike.run_dir)).stacking.path)
    run_pipeline(alike)  # what is lost is made again, and nothing is trained
    assert results(alike) == before


# In the first fold, and in the model of all of train.
@pytest.mark.parametrize("batches", [8, pytest.param(5, marks=pytest.mark.slow)])
def test_a_run_that_began_with_folds_by_class_alone_goes_on_with_them(
    alike: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, batches: int
) -> None:
    unbroken = changed(alike, run_dir=str(tmp_path / "unbroken"))
    with monkeypatch.context() as patched:
        by_classes_alone(patched)
        run_pipeline(unbroken)
        stopped(alike, monkeypatch, batches)
    run_pipeline(alike)
    assert_same(probabilities(alike), probabilities(unbroken))
    holdout = json.loads((Path(alike.run_dir) / "data.json").read_text())["holdout"]
    assert holdout["kept_together"] is None
    before = (Path(alike.run_dir) / "events.jsonl").read_text().count("base_model_finished")
    run_pipeline(alike)
    assert (Path(alike.run_dir) / "events.jsonl").read_text().count("base_model_finished") == before


@pytest.mark.parametrize(("meta_features", "asked"), [("out_of_fold", []), SLOWLY("holdout", None)])
def test_out_of_fold_no_model_of_the_run_is_suspected_for_being_better_on_test(
    alike: RunConfig, monkeypatch: pytest.MonkeyPatch, meta_features: str, asked: Any
) -> None:
    given = []
    monkeypatch.setattr(stage, "leaps", lambda *all_: given.append(all_[3]) or [])
    run_pipeline(changed(alike, meta_features=meta_features))
    assert given == [asked]


def test_what_was_predicted_before_a_stop_is_not_predicted_again(
    alike: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said, predict = list[str](), TrainingJob.predict

    def noted(job: Any, model: Any, examples: Any, title: str, stop: Any) -> Any:
        said.append(f"{title} {job.folder.name}")
        return predict(job, model, examples, title, stop)

    unbroken = changed(alike, run_dir=str(tmp_path / "unbroken"))
    monkeypatch.setattr(TrainingJob, "predict", noted)
    run_pipeline(unbroken)
    all_at_once = sorted(said)
    said.clear()
    stopped(alike, monkeypatch, 11)  # in the second fold: validation, test and the first are said
    assert len(said) == len(all_at_once) - 2
    run_pipeline(alike)
    assert sorted(said) == all_at_once
    assert results(alike).keys() == results(unbroken).keys()
    assert_same(probabilities(alike), probabilities(unbroken))


@pytest.mark.parametrize("fault", ["another model's", SLOWLY("damaged"), SLOWLY("a user's file")])
def test_a_kept_prediction_that_is_not_this_one_is_not_used(
    alike: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    unbroken = changed(alike, run_dir=str(tmp_path / "unbroken"))
    run_pipeline(unbroken)
    stopped(alike, monkeypatch, 11)
    kept = Path(alike.run_dir) / BASE / "predicted"
    if fault == "another model's":
        shutil.rmtree(kept / "test")
        shutil.copytree(kept.parent / "folds" / "1" / "predicted" / "train", kept / "test")
    elif fault == "damaged":
        content = bytearray((kept / "test" / "probabilities.npz").read_bytes())
        content[-200] ^= 1
        (kept / "test" / "probabilities.npz").write_bytes(content)
    else:
        shutil.rmtree(kept / "test")
        (kept / "test").write_text("mine")
    run_pipeline(alike)
    assert_same(probabilities(alike), probabilities(unbroken))
    if fault == "a user's file":
        assert (kept / "test").read_text() == "mine"
    else:
        assert results(alike).keys() == results(unbroken).keys()


@pytest.mark.slow
def test_a_run_in_progress_keeps_its_folds_when_near_duplicates_would_be_found_otherwise(
    alike: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unbroken = changed(alike, run_dir=str(tmp_path / "unbroken"))
    run_pipeline(unbroken)
    stopped(alike, monkeypatch, 8)
    another: Any = lambda data, n_folds: (np.arange(24), {"near_duplicates_from": 1.0})  # noqa: E731
    monkeypatch.setattr(same_run, "train_clusters", another)
    run_pipeline(alike)
    assert_same(probabilities(alike), probabilities(unbroken))
    RunFolder(Path(alike.run_dir)).folds_file.unlink()
    with pytest.raises(CheckpointError, match=r"folds.npz must hold the folds .* Put a good copy"):
        run_pipeline(alike)
