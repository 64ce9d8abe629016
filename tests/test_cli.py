from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import enstack as enstack_package
from enstack import verify_resume
from enstack.cli import main
from enstack.config import RunConfig, load_config
from enstack.config.defaults import DEFAULT_RULES
from enstack.config.settings import Settings
from enstack.errors import CheckpointError, ConfigError
from enstack.storage.manifest import MANIFEST, write_manifest
from tests.support.command_line import enstack, enstack_here, refused
from tests.support.data_files import write_hdf5_columns
from tests.support.equality import tree_digest


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    settings = {
        "data_dir": str(tmp_path / "data"),
        "base_models": ["tiny-a"],
        "run_dir": str(tmp_path / "run"),
        "local_dir": str(tmp_path / "local"),
    }
    path.write_text(json.dumps(settings))
    return path


def test_a_mistake_ends_a_process_with_its_status(tmp_path: Path) -> None:
    """Here of files; the tests of --debug and of what is forced off tell of settings and data."""
    refused(enstack("inspect", tmp_path / "none"), 4, "is none")


def test_wrong_settings_end_with_status_2(configuration: Path) -> None:
    refused(enstack_here("run", configuration, "EPOCHS=0"), 2, "epochs must be", "found 0")
    typo = enstack_here("run", configuration, "epoch=3")
    refused(typo, 2, "not a known key", "did you mean epochs")
    refused(enstack_here("run", configuration.with_name("none.yaml")), 2, "can't be read")
    refused(enstack_here("run", configuration, "epochs"), 2, "KEY=VALUE")


def test_an_unknown_command_ends_with_status_2() -> None:
    assert enstack_here("fly").returncode == 2


SOURCES = [f"f{number}(int a) {{ return a; }}".encode() for number in range(20)]


def write_splits(folder: Path) -> None:
    for name in ("train", "validate", "test"):
        write_hdf5_columns(folder / f"VDISC_{name}.hdf5", SOURCES)


def odd_nan(folder: Path) -> None:
    values = np.zeros(20)
    values[3] = np.nan
    write_hdf5_columns(folder / "VDISC_train.hdf5", SOURCES, **{"CWE-119": values})


def odd_length(folder: Path) -> None:
    write_hdf5_columns(folder / "VDISC_train.hdf5", SOURCES, **{"CWE-119": np.zeros(19, bool)})


def odd_key(folder: Path) -> None:
    with h5py.File(folder / "VDISC_train.hdf5", "a") as file:
        file.move("functionSource", "functionSources")


def odd_rows(folder: Path) -> None:
    write_hdf5_columns(folder / "VDISC_train.hdf5", [])


def odd_truncated(folder: Path) -> None:
    path = folder / "VDISC_train.hdf5"
    path.write_bytes(path.read_bytes()[:3000])


def odd_page(folder: Path) -> None:
    (folder / "VDISC_train.hdf5").write_text("<!DOCTYPE html><html>Quota exceeded</html>")


def odd_missing(folder: Path) -> None:
    (folder / "VDISC_test.hdf5").unlink()


def odd_empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def odd_csv(folder: Path) -> None:
    odd_empty(folder)
    for name in ("train", "validation", "test"):
        (folder / f"{name}.csv").write_text("code,label\nf(),1\n")


def odd_label(folder: Path) -> None:
    odd_empty(folder)
    for name in ("train", "validation", "test"):
        (folder / f"{name}.csv").write_text("func,label\nf(),1\ng(),9\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (odd_nan, ["CWE-119", "VDISC_train.hdf5"]),
        (odd_length, ["19", "20"]),
        (odd_key, ["functionSource"]),
        (odd_rows, ["VDISC_train.hdf5"]),
        (odd_truncated, ["VDISC_train.hdf5"]),
        (odd_page, ["web page"]),
        (odd_missing, ["VDISC_test"]),
        (odd_empty, ["data"]),
        (odd_csv, ["func"]),
        (odd_label, ["9", "0 to 4"]),
    ],
)
def test_each_odd_file_is_one_clear_error_with_status_3_and_leaves_no_trace(
    configuration: Path, tmp_path: Path, spoil: object, words: list[str]
) -> None:
    write_splits(tmp_path / "data")
    spoil(tmp_path / "data")  # type: ignore[operator]
    refused(enstack_here("run", configuration), 3, *words)
    assert not (tmp_path / "run").exists()


def test_a_read_only_run_folder_is_one_clear_error_with_status_4(
    configuration: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "kept").write_text("kept")
    (tmp_path / "run").chmod(0o555)
    refused(enstack_here("run", configuration), 4, "read-only", "run_dir=PATH")
    assert (tmp_path / "run" / "kept").read_text() == "kept"


def test_a_base_model_that_can_not_be_loaded_says_which_files_to_put_where(
    configuration: Path, tmp_path: Path
) -> None:
    write_splits(tmp_path / "data")
    done = enstack_here("run", configuration, "base_models=codebert")
    refused(done, 2, "codebert", "tokenizer.json", "model.safetensors", "base_models")


def test_debug_shows_the_traceback(configuration: Path) -> None:
    done = enstack("--debug", "run", configuration, "epochs=0")
    assert "Traceback" in done.stderr
    assert done.returncode == 2


def test_swa_is_forced_off_with_one_line(configuration: Path) -> None:
    done = enstack("run", configuration, "USE_SWA=true")
    assert done.stderr.count("forced to False") == 1
    assert "Configuration updated" not in done.stdout  # the data is absent: nothing begins
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_verify_resume_says_identical(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    if not whole:
        for name, few in (("INTERRUPTIONS", 2), ("BATCHES", 4), ("EPOCHS", 2)):
            monkeypatch.setattr(verify_resume, name, few)
    settings = ("data_dir=toy", "batch_size=4", "epochs=2", "label_mode=binary", "num_workers=0")
    done = enstack_here("verify-resume", configuration, *settings, "--seed", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("✅ identical: weights")
    assert not (tmp_path / "run").exists()
    refused(enstack_here("verify-resume", tmp_path / "none.yaml"), 2, "can't be read")


@pytest.mark.parametrize("command", ["verify-resume", "verify-parallel"])
def test_settings_may_stand_without_a_file(command: str) -> None:
    refused(enstack_here(command, "batch_sise=4"), 2, "batch_sise")


def test_inspect_of_no_checkpoint_ends_with_status_4(tmp_path: Path) -> None:
    refused(enstack_here("inspect", tmp_path), 4, "holds no checkpoint")
    refused(enstack_here("inspect", tmp_path / "none"), 4, "is none")


def test_report_without_a_finished_run_ends_with_status_4(tmp_path: Path) -> None:
    before = tree_digest(tmp_path)
    refused(enstack_here("report", tmp_path), 4)
    assert tree_digest(tmp_path) == before


SIGNALLED = """
import atexit, os, signal, sys
from enstack import exit_status, pipeline
from enstack.cli import main
first, second, config = sys.argv[1:]
def send(name, *_, kill=os.kill, pid=os.getpid(), signals=signal.Signals):
    kill(pid, signals[name])
class Last:
    def __del__(self, send=send, name=second):
        send(name)
last = Last()
atexit.register(send, second)
report = exit_status.put_sentences
def report_and_send(*args):
    send(second)
    report(*args)
exit_status.put_sentences = report_and_send
pipeline.read_run_data = lambda config: send(first)
# A shell starts background jobs with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = ["run", config]
main()
"""


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGTERM")])
def test_signals_outside_of_training_end_it_with_status_130_and_one_line(
    configuration: Path, first: str, second: str
) -> None:
    """The second one comes while the first is told, at exit, and as modules are taken apart."""
    command = [sys.executable, "-c", SIGNALLED, first, second, str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line]
    assert [line.split()[1] for line in told] == ["Already", "Interrupted;"], told


SIGNALLED_AT = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from enstack.cli import main
number, moment = signal.Signals[sys.argv[1]], sys.argv[2]
signal.signal(signal.SIGINT, signal.default_int_handler)
def sending(function):
    def send_first(*args, **kwargs):
        os.kill(os.getpid(), number)
        return function(*args, **kwargs)
    return send_first
class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == moment:
            try:
                signal.raise_signal(number)
            except BaseException:  # as libraries do that may or may not be there
                pass
sys.meta_path.insert(0, Finder())
if "." in moment and not moment.startswith("enstack."):
    import typer.core, enstack.cli.app as app
    place, name = moment.split(".")
    place = {"group": typer.core.TyperGroup, "app": app}[place]
    setattr(place, name, sending(getattr(place, name)))
sys.argv[1:] = ["bench", "--help"]
main()
"""


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("SIGINT", "typer"),
        ("SIGTERM", "enstack.cli.commands"),
        ("SIGINT", "group.make_context"),
        ("SIGTERM", "app.finish_output"),
    ],
)
def test_from_its_first_moment_to_its_last_a_signal_ends_main_in_a_line(
    name: str, moment: str
) -> None:
    command = [sys.executable, "-c", SIGNALLED_AT, name, moment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if line]
    assert (done.returncode, len(told)) == (130, 1), done.stderr
    assert told[0].startswith("enstack: Interrupted; what was finished")


def test_a_scratch_folder_that_can_not_be_written_to_is_named_with_its_setting(
    configuration: Path,
) -> None:
    done = enstack_here("run", configuration, "local_dir=/proc/x")
    refused(done, 2, "local_dir must be a folder")


def test_inspect_json_is_one_object_for_every_path(
    tmp_path: Path, finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    run_dir = Path(finished_run.run_dir)
    whole = json.loads(enstack_here("inspect", run_dir, "--json").stdout)
    assert (whole["valid"], whole["base_model"]) == (True, "micro")
    assert list(whole["base_models"]) == ["micro"]
    one = run_dir / "base_models" / "micro" / "last_checkpoint"
    assert json.loads(enstack_here("inspect", one, "--json").stdout)["base_model"] == "micro"
    for path in ("absent", "file", "empty", "x" * 300):
        done = enstack_here("inspect", tmp_path / path, "--json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["valid"], len(said["problems"])) == (4, False, 1)
        assert {*said} <= {*whole}, "the same keys"

    def unreadable(self: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", unreadable)
    said = json.loads(enstack_here("inspect", tmp_path / "empty", "--json").stdout)
    assert "can't be read: Permission denied" in said["problems"][0]


def test_a_run_with_more_epochs_is_told_by_the_base_model_in_training(
    finished_run: RunConfig,
) -> None:
    """Another base model, later in the order, has the fewer epochs of before."""
    run_dir = Path(finished_run.run_dir)
    copied = shutil.copytree(run_dir / "base_models" / "micro", run_dir / "base_models" / "after")
    for path in copied.rglob(MANIFEST):
        manifest = json.loads(path.read_text())
        made_from = {**manifest.get("made_from", {}), "base_model": "after"}
        write_manifest(path.parent, **{**manifest, "made_from": made_from})
    settings = json.loads((run_dir / "config.json").read_text())
    models = {"base_models": [*settings["base_models"], "x/after", "x/later"], "epochs": 3}
    (run_dir / "config.json").write_text(json.dumps({**settings, **models}))
    verdict = enstack_package.inspect(run_dir)
    assert verdict.base_model == "micro"
    assert list(verdict.base_models or {}) == ["after", "micro", "later"]
    said = enstack_here("inspect", run_dir).stdout
    assert "Nothing needs to be trained again" in said
    assert "it goes on at epoch 3, batch 0" in said


def test_init_writes_every_setting_commented_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    assert enstack_here("init", path).stdout == f"{path}\n"
    text = path.read_text()
    assert load_config(path) == RunConfig()
    for key, field in Settings.model_fields.items():
        assert f"\n{'' if key == 'data_dir' else '#'}{key}:" in text
        assert str(field.description).replace("`", "")[:40] in text
    # Each line without its # is a setting that means the default.
    keys = {*RunConfig.model_fields} - {*DEFAULT_RULES}
    plain = [line.removeprefix("#") for line in text.splitlines()]
    lines = [line for line in plain if line.partition(":")[0] in keys]
    path.write_text("\n".join(lines))
    assert len(lines) == len(keys)
    assert load_config(path) == RunConfig()
    refused(enstack_here("init", path), 2, "is there already, and is kept")
    refused(enstack_here("init", tmp_path / "run.json"), 2, "must be a .yaml or .yml file")
    refused(enstack_here("init", tmp_path / "no" / "run.yaml"), 2, "can't be written")
    refused(enstack_here("init", tmp_path / "caf\udce9.yaml"), 2, "must have a name in UTF-8")
    assert [found.name for found in tmp_path.glob("caf*")] == []


def test_doctor_says_versions_hardware_and_disks(finished_run: RunConfig) -> None:
    done = enstack_here("doctor", finished_run.run_dir)
    assert done.returncode == 0, done.stderr
    for said in ("No GPU", "Precision: ", "torch ", "GiB free at", "run_finished"):
        assert said in done.stdout


def test_doctor_reads_events_that_a_kill_tore_within_a_letter(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"time": "1", "event": "saved"}\n{"name": "caf\xc3')
    done = enstack_here("doctor", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1  saved" in done.stdout
    assert '{"name": "caf' in done.stdout


@pytest.mark.parametrize("folder", ["/", "/etc", "~"])
def test_made_up_data_is_written_into_no_folder_that_others_need(folder: str) -> None:
    place = Path(folder).expanduser()
    before = sorted(place.iterdir())
    refused(enstack_here("toy", folder), 2, "folder must be a folder of its own")
    assert sorted(place.iterdir()) == before


def test_quiet_prints_results_and_nothing_else(finished_run: RunConfig) -> None:
    done = enstack_here("-q", "run", Path(finished_run.run_dir) / "config.json")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("#  kind")
    assert any(line.endswith("report.html") for line in lines)
    assert "⚖️" in lines[-1] or lines[-1].startswith("    "), "the verdict is the last word"
    assert "Configuration updated" not in done.stdout
    assert enstack_here("run", Path(finished_run.run_dir) / "config.json").stdout != done.stdout


@pytest.mark.parametrize("words", [["--version"], ["run", "--debug", "-h"], ["-h"]])
def test_version_and_help_are_asked_for_in_the_usual_ways(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["enstack", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert ("enstack 0.1.0" if words == ["--version"] else "Usage:") in said


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["a"]])
def test_what_is_no_path_is_refused_in_words(wrong: object) -> None:
    for call in (
        enstack_package.load,
        enstack_package.inspect,
        enstack_package.report,
        enstack_package.write_toy,
    ):
        with pytest.raises(ConfigError, match=r"must be text or a pathlib\.Path, found"):
            call(wrong)  # type: ignore[operator]
    for wrong_names in (None, 5, [None]):
        with pytest.raises(ConfigError, match="tokenizers must be a list of base models"):
            enstack_package.audit("toy", tokenizers=wrong_names)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must be named once"):
        enstack_package.audit("toy", data_dir="x")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_disk_takes_is_refused_in_words(name: str) -> None:
    for call in (enstack_package.load, enstack_package.inspect, enstack_package.report):
        with pytest.raises(CheckpointError, match="can't be read"):
            call(name)


def test_a_report_that_can_not_be_written_is_told_in_words(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "report.html")

    monkeypatch.setattr("enstack.reporting.stage.write_report", read_only)
    with pytest.raises(CheckpointError, match=r"must be written into .*Permission denied"):
        enstack_package.report(finished_run.run_dir)


@pytest.mark.parametrize("name", ["LR", "Logistic Regression", "stack:LR"])
def test_a_model_is_loaded_by_what_the_leaderboard_calls_it(
    name: str, finished_run: RunConfig
) -> None:
    assert enstack_package.load(finished_run.run_dir, name).name == "stack:lr"
