from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from enstack import verify_resume
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


def test_a_mistake_ends_a_process_with_its_status(configuration: Path, tmp_path: Path) -> None:
    """Settings, data and files, told by the process itself; the calls below tell what is said."""
    refused(enstack("run", configuration, "EPOCHS=0"), 2, "epochs must be", "found 0")
    refused(enstack("run", configuration), 3, "data")
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
    assert list((tmp_path / "run").iterdir()) == []


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


def test_swa_is_forced_off_with_one_line(configuration: Path) -> None:
    done = enstack("run", configuration, "USE_SWA=true")
    assert done.stderr.count("forced to False") == 1
    assert "Configuration updated" not in done.stdout  # the data is absent: nothing begins


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


def test_inspect_of_no_checkpoint_ends_with_status_4(tmp_path: Path) -> None:
    refused(enstack_here("inspect", tmp_path), 4, "holds no checkpoint")
    refused(enstack_here("inspect", tmp_path / "none"), 4, "is none")


def test_report_without_a_finished_run_ends_with_status_4(tmp_path: Path) -> None:
    before = tree_digest(tmp_path)
    refused(enstack_here("report", tmp_path), 4)
    assert tree_digest(tmp_path) == before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_outside_of_training_ends_with_status_130_and_one_line(
    configuration: Path, name: str
) -> None:
    code = (
        "import os, signal, sys; import enstack.pipeline as pipeline; from enstack.cli import main;"
        # A shell starts background jobs with SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"pipeline.read_run_data = lambda config: os.kill(os.getpid(), signal.{name});"
        f"sys.argv = ['enstack', 'run', {str(configuration)!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    refused(done, 130, "Interrupted")


def test_a_scratch_folder_that_can_not_be_written_to_is_named_with_its_setting(
    configuration: Path,
) -> None:
    done = enstack_here("run", configuration, "local_dir=/proc/x")
    refused(done, 2, "local_dir must be a folder")
