"""A result that was changed since is made anew, told while the others stand, or refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import enstack
from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.pipeline import run_pipeline
from enstack.reporting.leaderboard import read_report_leaderboard
from enstack.run_folder import RunFolder
from enstack.storage.manifest import read_manifest, write_manifest
from tests.support.equality import tree_digest
from tests.support.pipeline_runs import changed


def rot(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def results(config: RunConfig) -> dict[str, str]:
    digests = tree_digest(Path(config.run_dir))
    return {name: one for name, one in digests.items() if name != "events.jsonl"}


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors"])
def test_a_rotten_best_model_of_a_finished_run_is_told_and_the_results_stand(
    finished_run: RunConfig, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rot(Path(finished_run.run_dir) / "base_models" / "micro" / "best_model" / name)
    before = results(finished_run)
    run_pipeline(finished_run)
    assert "best_model is damaged" in capsys.readouterr().out
    assert results(finished_run) == before
    with pytest.raises(CheckpointError, match="best_model"):
        enstack.load(finished_run.run_dir)


def test_on_slow_storage_a_finished_run_reads_no_weights_only_to_look_at_them(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    best = Path(finished_run.run_dir) / "base_models" / "micro" / "best_model"
    monkeypatch.setattr("enstack.base_model_stage.slow_storage", lambda path: "fuse.drive")
    read: list[str] = []
    whole = enstack.storage.manifest.sha256_file  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "enstack.storage.manifest.sha256_file",
        lambda path, *rest: (read.append(path.name), whole(path, *rest))[1],
    )
    (best / "config.json").write_text("{}")  # another size is told all the same
    run_pipeline(finished_run)
    assert "best_model is damaged (config.json has 2 bytes" in capsys.readouterr().out
    assert "model.safetensors" not in read


def test_a_best_model_that_is_another_one_since_is_told_and_predicts_nothing(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    best = Path(finished_run.run_dir) / "base_models" / "micro" / "best_model"
    manifest = read_manifest(best) or {}
    (best / "config.json").write_text("{}")
    write_manifest(best, **{key: manifest[key] for key in manifest if key != "files"})
    before = results(finished_run)
    run_pipeline(finished_run)
    assert "best_model is damaged (it has changed since)" in capsys.readouterr().out
    assert results(finished_run) == before


@pytest.mark.parametrize("text", ["", '{"no": "event"}\n', "not JSON\n", None])
def test_a_changed_history_is_written_again_from_the_checkpoint(
    finished_run: RunConfig, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(finished_run.run_dir) / "base_models" / "micro" / "history.jsonl"
    before = results(finished_run)
    # Still JSON, with another figure: only a digest tells.
    changed_text = path.read_text().replace('"val_loss": 1', '"val_loss": 2')
    path.write_text(changed_text if text is None else text)
    run_pipeline(finished_run)
    assert results(finished_run) == before
    assert "Predicting" not in capsys.readouterr().out


def test_without_a_checkpoint_a_changed_history_is_told_and_its_curves_are_left_out(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(Path(finished_run.run_dir))
    for folder in run.base_model("micro").path.glob("*_checkpoint"):
        shutil.rmtree(folder)
    rot(run.base_model("micro").history)
    for _ in range(2):
        run_pipeline(finished_run)
        assert "no checkpoint is left to write it from" in capsys.readouterr().out
    assert json.loads(run.report_data.read_text())["training"][0]["epochs"] == []


def test_settings_edited_by_hand_are_not_believed(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    path, before = Path(finished_run.run_dir) / "config.json", results(finished_run)
    path.write_text(path.read_text().replace('"batch_size": 4', '"batch_size": 5'))
    with pytest.raises(CheckpointError, match=r"config \(batch_size=5, was 4\) changed since"):
        enstack.report(finished_run.run_dir)
    run_pipeline(finished_run)
    assert results(finished_run) == before
    path.write_text(path.read_text().replace('"seed": 42', '"seed": 43'))
    run_pipeline(finished_run)
    assert "says seed=43, but the run was trained with seed=42" in capsys.readouterr().out
    assert results(finished_run) == before
    # The file itself is named as the configuration: what the base models say counts.
    with pytest.raises(CheckpointError, match=r"holds a run with seed=42, asked for is seed=43"):
        run_pipeline(changed(finished_run, seed=43))
    # What a record lacks, or has as null, is told as missing and not as a value.
    path.write_text(path.read_text().replace('"seed": 42', '"seed": null'))
    with pytest.raises(CheckpointError, match=r"seed=42 \(so says .*config.json does not name it"):
        run_pipeline(changed(finished_run, seed=43))
    run_pipeline(finished_run)
    assert "does not say its seed, but the run was trained with seed=42" in capsys.readouterr().out


@pytest.mark.parametrize("gone", ["history.jsonl", ""])
def test_a_history_that_is_gone_is_named_by_its_base_model(
    finished_run: RunConfig, gone: str
) -> None:
    path = Path(finished_run.run_dir) / "base_models" / "micro" / gone
    path.unlink() if gone else shutil.rmtree(path)
    with pytest.raises(CheckpointError, match="histories of micro changed"):
        enstack.report(finished_run.run_dir)


def test_a_fingerprint_edited_by_hand_refuses_no_run(finished_run: RunConfig) -> None:
    path, before = Path(finished_run.run_dir) / "data.json", results(finished_run)
    data: dict[str, Any] = json.loads(path.read_text())
    path.write_text(path.read_text().replace(data["fingerprint"], "0" * 64))
    run_pipeline(finished_run)
    assert results(finished_run) == before


@pytest.mark.parametrize("report", ["as it is", "without its manifest", "gone"])
def test_a_report_is_never_written_from_a_changed_leaderboard(
    finished_run: RunConfig, report: str
) -> None:
    run = RunFolder(Path(finished_run.run_dir))
    rot(run.stacking.leaderboard)
    if report == "without its manifest":
        (run.report / "manifest.json").unlink()
    if report == "gone":
        shutil.rmtree(run.report)
    with pytest.raises(CheckpointError, match=r"stacking must be as its run left it.*leaderboard"):
        enstack.report(run.path)


def test_a_report_is_never_written_beside_the_probabilities_of_something_else(
    finished_run: RunConfig,
) -> None:
    run = RunFolder(Path(finished_run.run_dir))
    folder = run.base_model("micro").probabilities
    manifest = read_manifest(folder) or {}
    (folder / "more.npz").write_bytes(b"other")
    write_manifest(folder, **{key: manifest[key] for key in manifest if key != "files"})
    with pytest.raises(CheckpointError, match="probabilities must hold what the stacks were"):
        enstack.report(run.path)


def test_a_changed_report_is_named_where_its_figures_are_shown(finished_run: RunConfig) -> None:
    path = RunFolder(Path(finished_run.run_dir)).report_data
    assert read_report_leaderboard(path)
    path.write_text(path.read_text().replace("0.", "1."))
    with pytest.raises(CheckpointError, match=r"report.json has other content.*enstack report"):
        read_report_leaderboard(path)


def test_the_best_model_of_another_base_model_is_not_taken(
    config: RunConfig, two_models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    both = changed(config, base_models=two_models)
    run_pipeline(both)
    run, first = RunFolder(Path(both.run_dir)), Path(both.base_models[0]).name
    second = Path(both.base_models[1]).name
    # As if the first had been trained, and stopped before it predicted.
    shutil.rmtree(run.base_model(first).probabilities)
    shutil.rmtree(run.base_model(first).best_model)
    shutil.copytree(run.base_model(second).best_model, run.base_model(first).best_model)
    with pytest.raises(CheckpointError, match="has lost its best_model"):
        run_pipeline(both)
    assert "was made from another base_model" in capsys.readouterr().out


def test_a_checkpoint_in_the_place_of_another_base_model_is_named_by_inspect(
    finished_run: RunConfig, tmp_path: Path
) -> None:
    folder = Path(finished_run.run_dir) / "base_models" / "micro"
    assert enstack.inspect(shutil.copytree(folder / "last_checkpoint", tmp_path / "copy")).valid
    folder.rename(folder.with_name("other"))
    assert "was made from another base_model" in enstack.inspect(finished_run.run_dir).problems[0]


def test_data_json_names_base_models_in_the_order_of_the_settings_whichever_was_done_first(
    finished_run: RunConfig,
) -> None:
    run = RunFolder(Path(finished_run.run_dir))
    settings, data = run.settings(), json.loads(run.data_file.read_text())
    models = [*settings["base_models"], "x/later"]
    run.config_file.write_text(json.dumps({**settings, "base_models": models}))
    data["truncated"] = {"later": {"test": 0}}
    run.data_file.write_text(json.dumps(data))
    run.record_truncation("micro")
    assert list(json.loads(run.data_file.read_text())["truncated"]) == ["micro", "later"]


def flipped(path: Path) -> None:
    """One byte of it is another, its length the same."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "base_models/micro/probabilities/test.npz",
        "base_models/micro/probabilities/validation.npz",
        "stacking/verdict.json",
        "stacking/leaderboard.csv",
    ],
)
def test_results_that_were_altered_are_named_by_inspect_and_refused_by_report(
    finished_run: RunConfig, name: str
) -> None:
    run_dir = Path(finished_run.run_dir)
    assert enstack.inspect(run_dir).valid
    flipped(run_dir / name)
    verdict = enstack.inspect(run_dir)
    folder, _, file = name.rpartition("/")
    assert verdict.problems == [
        f"{folder}: {file} has other content than was written (sha256 differs)"
    ]
    with pytest.raises(CheckpointError, match=rf"but {file} has other content than was written"):
        enstack.report(run_dir)


def told_by_inspect(config: RunConfig) -> str:
    try:
        return " ".join(enstack.inspect(config.run_dir).problems)
    except CheckpointError as error:  # without its settings, nothing else is told of a run
        return str(error)


@pytest.mark.parametrize("damage", ["folder", "cut"])
@pytest.mark.parametrize("name", ["config.json", "data.json"])
def test_a_damaged_record_is_named_by_inspect_and_its_advice_lets_the_run_go_on(
    finished_run: RunConfig, name: str, damage: str
) -> None:
    path = Path(finished_run.run_dir) / name
    content = path.read_bytes()
    path.unlink()
    path.mkdir() if damage == "folder" else path.write_bytes(b"{")
    with pytest.raises(CheckpointError, match=rf"{name} must be .* or remove it") as refused:
        run_pipeline(finished_run)
    assert str(refused.value).rstrip(".") in told_by_inspect(finished_run)
    path.rmdir() if damage == "folder" else path.unlink()
    run_pipeline(finished_run)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["events.jsonl", "base_models/micro/history.jsonl"])
def test_a_folder_in_the_place_of_what_a_run_adds_to_is_named_by_inspect(
    finished_run: RunConfig, name: str
) -> None:
    path = Path(finished_run.run_dir) / name
    path.unlink()
    path.mkdir()
    assert enstack.inspect(finished_run.run_dir).problems == [
        f"{name}: a folder stands where the file {path.name} belongs, move it away"
    ]


def test_of_results_without_manifests_inspect_says_that_nothing_can_be_told(
    finished_run: RunConfig,
) -> None:
    run_dir = Path(finished_run.run_dir)
    (run_dir / "report" / "manifest.json").unlink()
    verdict = enstack.inspect(run_dir)
    assert verdict.valid
    assert "report has no manifest: whether it is as it was written can't be told." in verdict.notes
