"""A command that is refused leaves the run as it was: what it asked for is recorded nowhere."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.config import RunConfig, named_again
from enstack.errors import CheckpointError, ConfigError, EnstackError
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.same_run import refuse_a_model_twice
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training import job
from tests.support.equality import tree_digest
from tests.support.pipeline_runs import changed
from tests.support.training import Killed, kill_after

Change = Callable[[RunConfig, Path], dict[str, Any]]
BY_SETTING: list[dict[str, Any]] = [
    {"seed": 1},
    {"learning_rate": 1e-4},
    {"weight_decay": 0.5},
    {"warmup_ratio": 0.3},
    {"scheduler": "cosine"},
    {"max_grad_norm": 3.0},
    {"max_length": 40},
    {"max_length": 1024},
    {"label_mode": "binary"},
    {"label_mode": "multilabel"},
    {"label_rule": "strict_single"},
    {"subset": 30},
    {"drop_near_duplicates": 0.6},
    {"class_weights": "balanced"},
    {"meta_features": "out_of_fold", "folds": 2},
    {"epochs": 1},
    {"resume": False},
    {"base_models": ["/nowhere/model"]},
    {"data_dir": "/nowhere/data"},
    {"local_dir": "/etc"},
]


def other_weights(config: RunConfig, place: Path) -> dict[str, Any]:
    """Another model by the name of the one that the run has trained."""
    texts = ["int main(void) { return 0; }"] * 9
    shape = TinyModel(vocabulary=300, hidden=16, layers=1, heads=2)
    write_encoder(place / "micro", shape, texts, seed=7)
    return {"base_models": [str(place / "micro")], "epochs": 3}


def other_data(config: RunConfig, place: Path) -> dict[str, Any]:
    shutil.copytree(config.data_dir, place / "data")
    shutil.copy(place / "data" / "VDISC_test.hdf5", place / "data" / "VDISC_validate.hdf5")
    return {"data_dir": str(place / "data")}


def a_new_model_first(config: RunConfig, place: Path) -> dict[str, Any]:
    """Hours of another model's training would come before the refusal."""
    shutil.copytree(config.base_models[0], place / "new")
    return {"base_models": [str(place / "new"), *config.base_models], "epochs": 1}


CHANGES: dict[str, Change] = {
    **{str(each): (lambda config, place, each=each: each) for each in BY_SETTING},
    "other weights": other_weights,
    "other data": other_data,
    "a new model first": a_new_model_first,
}


@pytest.fixture(scope="module")
def stopped_run(pipeline_settings: dict[str, Any], tmp_path_factory: Any) -> RunConfig:
    """A run that was killed in its second epoch; no command here may change it."""
    folder = tmp_path_factory.mktemp("stopped")
    config = RunConfig(
        **{**pipeline_settings, "run_dir": str(folder / "run"), "local_dir": str(folder / "local")}
    )
    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(Killed):
        kill_after(patched, 15)
        run_pipeline(config)
    return config


@pytest.fixture(params=["finished", "stopped"])
def begun(request: Any, finished_run: RunConfig, stopped_run: RunConfig) -> RunConfig:
    return finished_run if request.param == "finished" else stopped_run


def as_recorded(config: RunConfig) -> dict[str, str]:
    """Every file of the run but its log, which may tell of the attempt."""
    files = tree_digest(Path(config.run_dir))
    files.pop("events.jsonl")
    return files


# Of a run in its second epoch the first one is complete, and may be all that is asked for.
OF_FINISHED_RUNS = (str({"epochs": 1}), "a new model first")
CASES = [
    (state, name)
    for name in CHANGES
    for state in ("finished", "stopped")
    if state == "finished" or name not in OF_FINISHED_RUNS
]


@pytest.mark.parametrize(("begun", "name"), CASES, indirect=["begun"])
def test_a_refused_command_changes_no_file_of_the_run(
    begun: RunConfig, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = changed(begun, **CHANGES[name](begun, tmp_path))
    before = as_recorded(begun)
    with pytest.raises(EnstackError) as refused:
        run_pipeline(settings)
    assert refused.value.exit_status in (2, 3, 4)
    assert as_recorded(begun) == before
    assert "[Train]" not in capsys.readouterr().out
    # Nothing of it stands in the way of what the run was.
    if "finished" in begun.run_dir:
        run_pipeline(begun)


FOREIGN = (
    "config.json",
    "data.json",
    "subset.json",
    "bundle.json",
    "events.jsonl",
    "report/report.html",
    "report/manifest.json",
    "stacking/leaderboard.csv",
    "stacking/manifest.json",
    "base_models",
    "base_models/micro",
    "base_models/micro/history.jsonl",
    "base_models/micro/best_model/model.safetensors",
    "base_models/micro/last_checkpoint/config.json",
    "base_models/micro/probabilities/test.npz",
    "base_models/micro/folds/1/history.jsonl",
)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("content", [b'{"epochs": 3, "seed": 1}', b"\x00\xff no JSON"])
def test_what_no_run_wrote_is_never_overwritten(
    config: RunConfig, name: str, content: bytes
) -> None:
    path = Path(config.run_dir) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    before = tree_digest(Path(config.run_dir))
    named = name.removesuffix("/1/history.jsonl") if "folds" in name else name
    with pytest.raises(CheckpointError, match=r"names that a run writes; .* holds") as caught:
        run_pipeline(config)
    assert str(caught.value).split(" holds ")[1].startswith(named.split("/")[0])
    assert tree_digest(Path(config.run_dir)) == before


def test_empty_folders_and_other_names_are_in_nobodys_way(config: RunConfig) -> None:
    run_dir = Path(config.run_dir)
    for name in ("stacking", "report/figures", "base_models/micro", "base_models/mine"):
        (run_dir / name).mkdir(parents=True)
    (run_dir / "report" / "figures").rmdir()
    mine = [run_dir / "notes.txt", run_dir / "base_models" / "mine" / "config.json"]
    for path in mine:
        path.write_text("{}")
    run_pipeline(config)
    assert [path.read_text() for path in mine] == ["{}", "{}"]


@pytest.mark.parametrize(
    "asked",
    [
        {"data_dir": "/nowhere/data"},
        {"data_dir": "/dev/null"},
        {"local_dir": "/etc/x"},
        {"local_dir": "a file"},
        {"subset": 1},  # that leaves nothing to fit a stack on
    ],
    ids=str,
)
def test_a_first_run_that_is_refused_leaves_no_empty_folder_behind(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    settings = changed(config, run_dir=str(tmp_path / "new" / "place" / "run"), **asked)
    with pytest.raises(EnstackError) as refused:
        run_pipeline(settings)
    assert refused.value.exit_status in (2, 3)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("fault", ["data.json", "predictions"])
def test_a_run_that_is_refused_late_records_nothing(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Its training has ended: what follows is refused, be it a record or what is predicted."""
    run_dir = Path(finished_run.run_dir)
    if fault == "data.json":
        (run_dir / "data.json").write_text("{")
    shutil.rmtree(run_dir / "base_models" / "micro" / "probabilities")
    spoilt = np.full((20, 6), np.nan, dtype=np.float32)
    monkeypatch.setattr(job, "predict_probabilities", lambda *args, **more: spoilt)
    before = as_recorded(finished_run)
    with pytest.raises(EnstackError) as refused:
        run_pipeline(changed(finished_run, meta_classifiers=["lr"]))
    assert refused.value.exit_status == (4 if fault == "data.json" else 2)
    assert as_recorded(finished_run) == before


@pytest.mark.parametrize("key", ["drop_near_duplicates", "learning_rate", "label_rule"])
def test_where_config_json_is_lost_the_checkpoints_tell_the_settings(
    begun: RunConfig, key: str
) -> None:
    other = {"drop_near_duplicates": 0.95, "learning_rate": 1e-4, "label_rule": "strict_single"}
    (Path(begun.run_dir) / "config.json").unlink(missing_ok=True)
    before = as_recorded(begun)
    was, asked = getattr(begun, key), other[key]
    with pytest.raises(
        EnstackError, match=rf"holds a run with {key}={was} .*config\.json is missing"
    ):
        run_pipeline(changed(begun, **{key: asked}))
    assert as_recorded(begun) == before


def test_a_run_whose_config_json_is_lost_goes_on_as_its_refusal_advises(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thresholds that drop the same functions make one fingerprint: the record alone tells."""
    settings = changed(config, drop_near_duplicates=0.95)
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        kill_after(patched, 15)
        run_pipeline(settings)
    (Path(config.run_dir) / "config.json").unlink()
    for _ in range(2):
        with pytest.raises(EnstackError, match=r"holds a run with drop_near_duplicates=0\.95"):
            run_pipeline(config)
    run_pipeline(settings)


def test_another_file_in_the_place_of_config_json_is_named_and_can_be_removed(
    stopped_run: RunConfig, tmp_path: Path
) -> None:
    config = changed(stopped_run, run_dir=str(tmp_path / "run"))
    shutil.copytree(stopped_run.run_dir, config.run_dir)
    record, data = (tmp_path / "run" / name for name in ("config.json", "data.json"))
    record.write_text(data.read_text())
    data.write_text(json.dumps(config.model_dump(mode="json")))
    with pytest.raises(CheckpointError, match="must hold a run's settings, found available, class"):
        run_pipeline(config)
    record.unlink()
    with pytest.raises(CheckpointError, match="must hold what a run's data is, found accumulation"):
        run_pipeline(config)
    assert not record.exists()
    data.unlink()
    run_pipeline(config)
    assert json.loads(record.read_text())["seed"] == config.seed
    assert json.loads(data.read_text())["fingerprint"]


@pytest.mark.parametrize(
    "models",
    [
        ["micro", "micro"],
        ["micro", "./micro/"],
        ["micro", "linked"],
        ["tiny-a", "tiny-b", "tiny-a"],
        ["codebert", "Microsoft/CodeBERT-base"],
    ],
)
def test_one_base_model_twice_is_refused_whatever_its_spelling(
    config: RunConfig, models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "micro").mkdir()
    (tmp_path / "linked").symlink_to("micro")
    monkeypatch.chdir(tmp_path)
    again = changed(config, base_models=models)
    with pytest.raises(ConfigError, match=r"each model once; .* Leave one of them out"):
        run_pipeline(again)
    assert not Path(config.run_dir).exists()


def test_a_run_that_was_begun_with_one_base_model_twice_goes_on_and_says_so(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(Path(config.run_dir))
    run.base_model("tiny-a-2").path.mkdir(parents=True)
    refuse_a_model_twice(changed(config, base_models=["tiny-a", "tiny-a"]), run)
    assert "tiny-a is trained twice, as tiny-a-2 too" in capsys.readouterr().out


def test_two_base_models_of_one_last_part_are_two(config: RunConfig, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "micro").mkdir(parents=True)
    models = [str(tmp_path / place / "micro") for place in ("a", "b")]
    assert named_again(models) == {}
    refuse_a_model_twice(changed(config, base_models=models), RunFolder(tmp_path / "run"))
