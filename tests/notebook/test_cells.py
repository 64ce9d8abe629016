"""What the cells show, and the settings that the forms become."""

from __future__ import annotations

import base64
import dataclasses
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack.checkpoints.inspection_text import Verdict
from enstack.config import RunConfig, configure
from enstack.data.made_up import MADE_UP_NOTE
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.notebook import cells, fault_report, forms
from enstack.pipeline import run_pipeline
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.storage.files import write_bytes, write_json
from tests.support.verdicts import difference, verdict_of, write_verdict


@pytest.fixture(autouse=True)
def _no_toy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSTACK_TOY")


# The forms


def test_form_fields_become_settings_and_other_names_do_not(tmp_path: Path) -> None:
    names = {"EPOCHS": 3, "SCHEDULER": "cosine", "epochs": 9, "PLACES": [1, 2], "WORK": 1, "_": 2}
    settings = cells.form_settings(tmp_path, names)
    assert settings["EPOCHS"] == 3
    assert settings["SCHEDULER"] == "cosine"
    assert not {"epochs", "PLACES", "WORK", "_"} & settings.keys()
    assert configure(**settings).scheduler == "cosine"


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("EPOCH", 3, "epochs"),
        ("PATIENCE", 3, "early_stopping_patience"),
        ("EARLY_STOPPING", True, "early_stopping_patience"),
        ("GRADIENT_ACCUMULATION", 2, "accumulation_steps"),
        ("LR", 1e-4, "learning_rate"),
        ("TRAIN_BATCH_SIZE", 8, "batch_size"),
        ("WARMUP_STEPS", 100, "warmup_ratio"),
        ("MODEL_NAME", "codebert", "base_models"),
        ("MAX_LEN", 256, "max_length"),
        ("N_FOLDS", 3, "folds"),
        ("OUTPUT_DIR", "x", "run_dir"),
        ("FP16", True, "precision"),
    ],
)
def test_what_was_meant_as_a_setting_is_refused_with_the_right_one(
    tmp_path: Path, name: str, value: Any, meant: str
) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {meant}") as refused:
        cells.form_settings(tmp_path, {name: value, "EPOCHS": 3})
    assert f"Write {meant.upper()} = ..." in str(refused.value)
    # What the advice says is accepted.
    right = {meant.upper(): getattr(RunConfig(), meant)}
    cells.form_settings(tmp_path, right)


def test_all_strange_names_are_told_at_once_and_what_has_no_setting_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"OPTIMIZER is none .*sgd.*AdamW, always") as told:
        cells.form_settings(tmp_path, {"OPTIMIZER": "sgd", "PATIENCE": 2, "epochs": 1})
    assert "`del OPTIMIZER, PATIENCE`" in str(told.value)


def test_a_name_that_is_like_no_setting_is_the_users_own(tmp_path: Path) -> None:
    own = {"MY_FOLDER": "x", "COLOURS": ["red"], "MODEL": object(), "T": 1, "Patience": 2}
    assert not own.keys() & cells.form_settings(tmp_path, own).keys()


def test_the_run_folder_lies_in_the_work_folder(tmp_path: Path) -> None:
    assert cells.form_settings(tmp_path, {})["RUN_DIR"] == str(tmp_path / "toy")
    named = cells.form_settings(tmp_path, {"RUN_DIR": "second", "DATA_DIR": "/data/vdisc"})
    assert named["RUN_DIR"] == str(tmp_path / "second")
    whole = cells.form_settings(tmp_path, {"RUN_DIR": "", "DATA_DIR": "/data/vdisc/"})
    assert whole["RUN_DIR"] == str(tmp_path / "vdisc")


def test_a_relative_data_folder_is_looked_up_on_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "DRIVE_ROOT", tmp_path)
    (tmp_path / "MyDrive" / "vdisc").mkdir(parents=True)
    settings = cells.form_settings(tmp_path, {"DATA_DIR": "vdisc"})
    assert settings["DATA_DIR"] == str(tmp_path / "MyDrive" / "vdisc")
    # A folder that is yet to be made, by a download, belongs there too.
    new = cells.form_settings(tmp_path, {"DATA_DIR": "new"})["DATA_DIR"]
    assert new == str(tmp_path / "MyDrive" / "new")
    here = cells.form_settings(tmp_path, {"DATA_DIR": str(tmp_path)})["DATA_DIR"]
    assert here == str(tmp_path)


def test_an_old_checkpoint_is_looked_up_on_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forms, "DRIVE_ROOT", tmp_path)
    (tmp_path / "MyDrive" / "old_run").mkdir(parents=True)
    config = cells.configure_run(tmp_path, {"RESUME_FROM": " old_run ", "EPOCHS": 3})
    assert config.resume_from == str(tmp_path / "MyDrive" / "old_run")
    assert "   - Epochs: 3\n" in capsys.readouterr().out
    assert cells.configure_run(tmp_path, {"RESUME_FROM": ""}).resume_from == ""


def test_auto_and_an_empty_field_leave_the_choice_to_the_package(tmp_path: Path) -> None:
    for left in ("auto", "", None):
        settings = cells.form_settings(tmp_path, {"BASE_MODELS": left, "RUN_DIR": left})
        assert RunConfig(**settings).base_models == ["tiny-a", "tiny-b", "tiny-c"]
        assert settings["RUN_DIR"] == str(tmp_path / "toy")
    # A field that the package reads "auto" in itself gets it.
    assert cells.form_settings(tmp_path, {"PRECISION": "auto"})["PRECISION"] == "auto"


def test_the_choice_of_data_outlives_the_kernel(
    tmp_path: Path, toy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = {"DATA_DIR": str(toy_folder), "LABEL_MODE": "binary", "SUBSET": "8", "SEED": 7}
    table = cells.show_data(tmp_path, **choice)
    assert table.loc["all"].to_dict() == {"train": 8, "validation": 8, "test": 8}
    assert list(table.index) == ["clean", "vulnerable", "all"]
    config = RunConfig(**cells.form_settings(tmp_path, {"EPOCHS": 3}))
    assert (config.data_dir, config.label_mode) == (str(toy_folder), "binary")
    assert (config.subset, config.seed, config.epochs) == (8, 7, 3)
    assert f"Data: {toy_folder}" in capsys.readouterr().out
    changed = cells.form_settings(tmp_path, {"LABEL_MODE": "cwe"})
    assert changed["LABEL_MODE"] == "cwe"


def test_data_that_cannot_be_used_is_not_remembered(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data_dir must be a folder"):
        cells.show_data(tmp_path, DATA_DIR=str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="label_mode must be"):
        cells.show_data(tmp_path, LABEL_MODE="all")
    assert list(tmp_path.iterdir()) == []


def test_a_download_goes_to_the_named_folder_and_never_to_the_toy(
    tmp_path: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("enstack.data.download.download_vdisc", asked.append)
    cells.show_data(tmp_path, download=True, DATA_DIR=str(toy_folder))
    assert asked == [toy_folder]
    with pytest.raises(ConfigError, match='such as DATA_DIR = "vdisc"'):
        cells.show_data(tmp_path, download=True, DATA_DIR="toy")
    assert asked == [toy_folder]


def test_a_learning_rate_that_was_left_alone_is_the_one_that_suits_the_models(
    tmp_path: Path,
) -> None:
    def rate(**changed: object) -> float:
        return cells.configure_run(tmp_path, {"LEARNING_RATE": "auto", **changed}).learning_rate

    for models in ("", "tiny-a, tiny-b", ["tiny-a"], "['tiny-a', 'tiny-b']"):
        assert rate(BASE_MODELS=models) == 1e-3
    assert rate(BASE_MODELS="codebert, tiny-a") == rate(DATA_DIR="/data") == 2e-5
    # As Colab's list of choices gives it, and as one would write it.
    assert rate(LEARNING_RATE="5e-5") == rate(LEARNING_RATE=5e-5) == 5e-5
    assert rate(LEARNING_RATE=2e-5) == 2e-5, "whoever writes it down means it"


def test_the_toy_settings_stand_in_for_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert forms.toy_overrides() == {}
    monkeypatch.setenv("ENSTACK_TOY", "1")
    settings = cells.form_settings(tmp_path, {"EPOCHS": 10, "DATA_DIR": "/data"})
    config = RunConfig(**settings)
    assert (config.data_dir, config.epochs) == ("toy", 1)
    assert config.local_dir == str(tmp_path / "local")


def test_changed_code_asks_for_cell_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forms, "LOADED_AT", 0.0)
    cells.form_settings(tmp_path, {})
    assert "changed since it was loaded: run cell 2" in capsys.readouterr().out


def test_hardware_names_precision_and_cores(capsys: pytest.CaptureFixture[str]) -> None:
    cells.show_hardware()
    said = capsys.readouterr().out
    assert f"CPU cores: {os.cpu_count()}" in said
    assert "Precision: " in said
    assert "GPU" in said


def test_hardware_names_a_gpu_and_its_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = types.SimpleNamespace(name="Tesla T4", total_memory=15 * 2**30, major=7, minor=5)
    monkeypatch.setattr("enstack.models.hardware.choose_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("enstack.models.hardware.choose_precision", lambda *_: "fp16")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: card)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    cells.show_hardware()
    said = capsys.readouterr().out
    assert "GPU: Tesla T4, 15.0 GiB\n" in said
    assert "Precision: fp16" in said
    assert "PROCESSES" not in said
    # Kaggle's two.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cells.show_hardware()
    assert "2 GPUs: PROCESSES = 2 in cell 5" in capsys.readouterr().out


# The results


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    displayed: list[Any] = []
    monkeypatch.setattr("IPython.display.display", displayed.append)
    return displayed


def evaluation(kind: str, title: str, f1: float) -> dict[str, Any]:
    names = {"class": "CWE-476", "support": 1200, "precision": 0.25, "recall": None}
    key = f"{kind}:{title}"
    return {"key": key, "title": title, "per_class": [{**names, "f1": f1}]}


def write_report_of(tmp_path: Path, **more: Any) -> None:
    fields = [field.name for field in dataclasses.fields(LeaderboardRow)]
    row: dict[str, Any] = dict.fromkeys(fields) | {"kind": "stack", "title": "SVM", "mcc": 0.1}
    row |= {"macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6, "accuracy": 0.25}
    content = {"leaderboard": [row], "evaluations": [more["chosen"]], **more}
    write_json(tmp_path / "report" / "report.json", content)
    write_bytes(tmp_path / "report" / "figures" / "curves.png", b"a picture")
    write_bytes(tmp_path / "report" / "report.html", b"<p>the page</p>")


def test_results_show_leaderboard_classes_figures_and_a_download(
    tmp_path: Path, shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_report_of(tmp_path, chosen=evaluation("stack", "SVM", 0.5))
    cells.show_results(tmp_path)
    table, by_class, figures, download = shown
    assert "margin-left: 0" in table.to_html()
    assert table.data.loc[1].to_dict() == {
        "kind": "stack",
        "name": "SVM",
        "macro-F1": "0.500",
        "95 % interval": "0.400–0.600",
        "accuracy": "0.250",
        "AUC": "–",
        "MCC": "0.100",
    }
    assert by_class.data.loc[1].to_dict() == {
        "class": "CWE-476",
        "test functions": "1,200",
        "precision": "0.250",
        "recall": "–",
        "F1": "0.500",
        "what it is": "a pointer that may be NULL is followed",
    }
    assert f"base64,{base64.b64encode(b'a picture').decode()}" in figures.data
    page = base64.b64encode(b"<p>the page</p>").decode()
    assert f'href="data:text/html;base64,{page}" download="{tmp_path.name}-report.html"' in (
        download.data
    )
    said = capsys.readouterr().out
    assert str(tmp_path / "report" / "report.html") in said
    assert "SVM, class by class" in said
    assert MADE_UP_NOTE not in said


def test_the_verdict_is_on_top_and_its_candidate_is_shown_class_by_class(
    tmp_path: Path, shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    best, stack = evaluation("baseline", "words", 0.9), evaluation("stack", "rf", 0.4)
    verdict = verdict_of(difference(0.01, 0.05), candidate="stack:rf")
    write_verdict(tmp_path, verdict)
    settings = {"data_dir": "toy"}
    write_report_of(tmp_path, chosen=best, evaluations=[best, stack], settings=settings)
    cells.show_results(tmp_path)
    assert shown[1].data.loc[1, "F1"] == "0.400"
    said = capsys.readouterr().out
    assert said.index("⚖️  Not shown that stacking pays") < said.index("rf, class by class")
    assert MADE_UP_NOTE in said


def test_missing_or_empty_results_are_an_error_that_names_cell_6(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Run cell 6 to its end"):
        cells.show_results(tmp_path)
    write_json(tmp_path / "report" / "report.json", {"leaderboard": []})
    with pytest.raises(CheckpointError, match="holds no leaderboard"):
        cells.show_results(tmp_path)
    write_json(tmp_path / "report" / "report.json", {"leaderboard": [{"kind": "stack"}]})
    with pytest.raises(CheckpointError, match="have it written again"):
        cells.show_results(tmp_path)


# When something is wrong


def test_a_checkpoint_is_looked_for_in_the_work_folder_and_on_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def looked_at(path: Path) -> Verdict:
        seen.append(path)
        return Verdict(path, layout=None)

    monkeypatch.setattr("enstack.checkpoints.inspection.inspect_path", looked_at)
    monkeypatch.setattr(
        "enstack.checkpoints.inspection_text.verdict_text", lambda verdict: "a verdict"
    )
    monkeypatch.setattr(forms, "DRIVE_ROOT", tmp_path)
    work = tmp_path / "work"
    (work / "toy").mkdir(parents=True)
    (tmp_path / "MyDrive" / "old").mkdir(parents=True)
    run = RunConfig(run_dir=str(work / "other"))
    for place in (" toy ", "old", str(work / "toy"), ""):
        cells.show_checkpoint(work, place, run)
    assert seen == [work / "toy", tmp_path / "MyDrive" / "old", work / "toy", work / "other"]
    with pytest.raises(ConfigError, match="run cell 5 until it says"):
        cells.show_checkpoint(work, "", None)


def test_a_report_of_a_fault_has_versions_commit_disks_and_the_last_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"config": RunConfig(run_dir=str(tmp_path / "run"))}
    fault_report.show_troubleshooting(tmp_path, names)
    assert "none (No such file or directory)" in capsys.readouterr().out
    event = '{{"time": "T", "event": "number {}", "f1": 0.12341}}\n'
    lines = [event.format(number) for number in range(20)]
    lines.append('{"time": "T", "eve')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "events.jsonl").write_text("".join(lines))
    fault_report.show_troubleshooting(tmp_path, names)
    said = capsys.readouterr().out
    assert f"torch {torch.__version__}" in said
    assert "commit " in said or "not under git" in said
    assert f"GiB free at {tmp_path}" in said
    assert "   T  number 19  f1=0.1234\n" in said
    assert said.endswith('   {"time": "T", "eve\n')
    assert "number 8" not in said


def test_a_report_of_a_fault_names_the_build_of_torch_that_its_metadata_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.11.0+cu130")
    monkeypatch.setattr(fault_report.metadata, "version", lambda name: "2.11.0")
    monkeypatch.delitem(sys.modules, "skops", raising=False)
    fault_report.show_troubleshooting(tmp_path, {})
    said = capsys.readouterr().out
    assert "torch 2.11.0+cu130, transformers" in said
    assert "scikit-learn 2.11.0" in said, "no module bears this name: its metadata tells"


@pytest.mark.parametrize("names", [{}, {"config": None}])
def test_a_report_of_a_fault_needs_no_configuration(
    tmp_path: Path, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fault_report.show_troubleshooting(tmp_path / "gone", names)
    said = capsys.readouterr().out
    assert f"torch {torch.__version__}" in said
    assert "cell 5 was not run, or refused its form" in said


def test_a_refused_form_leaves_no_older_configuration_to_go_on_with(tmp_path: Path) -> None:
    names: dict[str, Any] = {"EPOCHS": 3}
    names["config"] = cells.configure_run(tmp_path, names)
    names["EPOCHS"] = "ten"
    with pytest.raises(ConfigError, match="epochs"):
        cells.configure_run(tmp_path, names)
    assert names["config"] is None
    with pytest.raises(ConfigError, match="run cell 5 again"):
        run_pipeline(names["config"])


@pytest.mark.parametrize("name", ["../x", "q/../../outside", "/", "/elsewhere", ".", "a/.."])
def test_a_run_folder_lies_within_the_work_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="RUN_DIR must name a folder within"):
        cells.form_settings(tmp_path / "work", {"RUN_DIR": name})


def test_a_spoilt_memory_of_cell_4_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / forms.CHOICES_FILE).write_text("{")
    with pytest.raises(ConfigError, match="what cell 4 chose: remove it, run cell 4"):
        cells.form_settings(tmp_path, {})
