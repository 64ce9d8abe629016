from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd
import pytest

from enstack.checkpoints import mirror
from enstack.checkpoints.slots import LAST
from enstack.config import ForcedOffWarning, RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.errors import CheckpointError, ConfigError, DataError, DivergenceError, Interrupted
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.run_place import alone_in
from enstack.storage.manifest import folder_problems, read_manifest, write_manifest
from enstack.training import trainer
from enstack.training.job import TrainingJob
from tests.support.command_line import enstack_here
from tests.support.equality import tree_digest
from tests.support.faults import FaultyDisk, faulty
from tests.support.flawfinders import FLAWFINDER_ROWS
from tests.support.pipeline_runs import changed, declared

BASELINES = {"baseline:tfidf_lr", "baseline:length", "baseline:majority"}
KINDS = {"base:micro", "stack:lr", "stack:svm", *BASELINES} | FLAWFINDER_ROWS


def test_the_session_that_wrote_the_report_is_not_called_cut_off_by_it(
    finished_run: RunConfig,
) -> None:
    report = json.loads((Path(finished_run.run_dir) / "report/report.json").read_text())
    assert [session["end"] for session in report["provenance"]["sessions"]] == ["at work"]


def test_a_run_leaves_everything_that_the_contract_names(finished_run: RunConfig) -> None:
    run_dir = Path(finished_run.run_dir)
    for name in (
        "config.json",
        "data.json",
        "events.jsonl",
        "base_models/micro/last_checkpoint/model.safetensors",
        "base_models/micro/last_checkpoint/config.json",
        "base_models/micro/last_checkpoint/training_state.pth",
        "base_models/micro/last_checkpoint/tokenizer.json",
        "base_models/micro/last_checkpoint/manifest.json",
        "base_models/micro/previous_checkpoint/manifest.json",
        "base_models/micro/best_model/manifest.json",
        "base_models/micro/history.jsonl",
        "base_models/micro/probabilities/validation.npz",
        "base_models/micro/probabilities/test.npz",
        "stacking/leaderboard.csv",
        "stacking/costs.json",
        "stacking/wrong_functions.json",
        "stacking/lr.skops",
        "stacking/calibration.json",
        "stacking/manifest.json",
        "report/report.html",
        "report/report.json",
    ):
        assert (run_dir / name).is_file(), name
    board = run_pipeline(finished_run).leaderboard
    keys = set(board["kind"] + ":" + board["name"])
    assert keys == KINDS | declared(run_dir)
    assert (board["n"] == 10).all()
    assert board["macro_f1"].is_monotonic_decreasing
    costs = json.loads((run_dir / "stacking" / "costs.json").read_text())
    assert costs.keys() == keys
    for field in ("training_minutes", "seconds_per_1000"):
        assert costs["stack:lr"][field] > costs["base:micro"][field] > 0


def test_the_same_run_again_changes_no_file_but_the_events(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree_digest(Path(finished_run.run_dir))
    capsys.readouterr()
    run_pipeline(finished_run)
    after = tree_digest(Path(finished_run.run_dir))
    assert before.pop("events.jsonl") != after.pop("events.jsonl")
    assert after == before
    out = capsys.readouterr().out
    for stage in ("micro", "stacking", "report"):
        assert f"✓ {stage}: finished before, skipped" in out
    assert "[Train]" not in out


def test_settings_are_announced_once_nothing_speaks_against_them(finished_run: RunConfig) -> None:
    path = Path(finished_run.run_dir) / "config.json"
    done = enstack_here("run", path)
    announced = (
        f"{finished_run.announcement()}   - Data: {finished_run.data_dir} (cwe_or_clean)\n"
        f"   - Base Models: micro\n   - Run Folder: {finished_run.run_dir}\n"
        "   - Learning Rate: 2e-05\n   - Also Set: max_length=32, precision=fp32, meta_class"
    )
    assert announced in done.stdout, done.stderr
    assert done.stdout.index("▶ Data:") < done.stdout.index("✅ Configuration updated:")
    refused = enstack_here("run", path, "seed=7")
    assert refused.returncode == 4
    assert "Configuration updated" not in refused.stdout


def test_a_run_that_was_begun_at_the_papers_rate_goes_on_with_it(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As runs of tiny models were, before those came with a rate of their own."""
    monkeypatch.setattr("enstack.config.defaults.TINY_MODELS", tuple(finished_run.base_models))
    before = tree_digest(Path(finished_run.run_dir))
    settings = finished_run.model_dump()
    del settings["learning_rate"]
    config = RunConfig(**settings)
    assert config.learning_rate == 1e-3
    run_pipeline(config)
    after = tree_digest(Path(finished_run.run_dir))
    assert before.pop("events.jsonl") != after.pop("events.jsonl")
    assert after == before
    assert "   - Learning Rate: 2e-05\n" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match=r"with learning_rate=2e-05, asked for is .*0.001"):
        run_pipeline(RunConfig(**settings, learning_rate=1e-3))


def test_a_finished_run_is_shown_again_without_loading_torch(finished_run: RunConfig) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from enstack.config import load_config; from enstack.pipeline import run_pipeline;"
        f"run_pipeline(load_config(Path({finished_run.run_dir!r}) / 'config.json'));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# Seconds, far more than any machine takes: one that would never end is a failure, and no wait.
FOR_EVER = 300
STOP_AFTER = """
import fcntl, os, signal, sys, termios
import torch
torch.set_num_threads(1)
import enstack.training.trainer as trainer
how, after, config = sys.argv.pop(), int(sys.argv.pop()), sys.argv[-1]
original, trained = trainer.train_batch, 0
def counted(*args):
    global trained
    original(*args)
    trained += 1
    if trained == after:
        stop()
trainer.train_batch = counted
def stop():
    if how != "hang-up":
        return os.kill(os.getpid(), getattr(signal, how))
    print("hang up now", flush=True)
    try:
        os.read(0, 1)  # which ends when the terminal is gone
    except OSError:
        pass
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
if how == "hang-up":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""
COMMAND = "from enstack.cli import main; main()"
SCRIPT = "import enstack, enstack.config, json; s = json.load(open(config)); "
SCRIPT += "enstack.run(enstack.config.RunConfig(**s))"


def driver(config: RunConfig, code: str, after: int, how: str) -> list[str]:
    """`enstack run` in its own process, which is stopped after some trained batches."""
    path = Path(config.run_dir).parent / "config.json"
    path.write_text(config.model_dump_json())
    return [sys.executable, "-c", STOP_AFTER + code, "run", str(path), str(after), how]


def with_signal(config: RunConfig, code: str, name: str) -> str:
    """Send a signal after the fifth batch; what it printed when it ended as it should."""
    command = driver(config, code, 5, name)
    stopped = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FOR_EVER)
    assert stopped.returncode == 130, stopped.stderr
    assert "Interrupted; progress is saved: micro, epoch 1, 5 of 11 batches." in stopped.stderr
    assert "Traceback" not in stopped.stderr
    return stopped.stdout


# More of them once the first has come: in the save, around the record of the end, and until the
# interpreter takes its modules apart.
STORM = """
import atexit, os, signal
from enstack import pipeline
from enstack.checkpoints import slots
def again(kill=os.kill, pid=os.getpid(), numbers=(signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)):
    for number in numbers:
        kill(pid, number)
class Last:
    def __del__(self, again=again):
        again()
def stormy(original):
    def work(*args, **kwargs):
        if trained == 5:
            again()
        original(*args, **kwargs)
        if trained == 5:
            again()
    return work
slots.install, pipeline.log_end = stormy(slots.install), stormy(pipeline.log_end)
atexit.register(again)
last = Last()
"""


def by_the_command(config: RunConfig) -> None:
    said = with_signal(config, STORM + COMMAND, "SIGTERM")
    assert "💾 micro, epoch 1, batch 5, is safe in" in said


def by_a_script(config: RunConfig) -> None:
    said = with_signal(config, STORM + SCRIPT, "SIGTERM")
    assert "💾 micro, epoch 1, batch 5, is safe in" in said


def by_hanging_up(config: RunConfig) -> None:
    """The terminal goes: the system sends SIGHUP, and whatever is printed from then on fails."""
    master, terminal = pty.openpty()
    running = subprocess.Popen(
        driver(config, COMMAND, 5, "hang-up"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = b""
    while b"hang up now" not in seen:
        seen += os.read(master, 1024)
    os.close(master)
    assert running.wait() == 130
    assert "progress is saved" in RunFolder(Path(config.run_dir)).events()[-1]


@pytest.mark.parametrize(
    "stop",
    [
        by_a_script,
        *(pytest.param(how, marks=pytest.mark.slow) for how in (by_hanging_up, by_the_command)),
    ],
)
def test_a_run_that_was_stopped_goes_on_and_ends_as_the_unbroken_one(
    config: RunConfig,
    finished_run: RunConfig,
    stop: Callable[[RunConfig], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop(config)
    run_pipeline(config)
    said = capsys.readouterr().out
    assert "⏭️  Resuming: will skip 5 batches (fast-forward), train 6 batches" in said
    assert "6/6 [" in said
    left, right = (tree_digest(Path(c.run_dir)) for c in (config, finished_run))
    for kept in ("stacking/leaderboard.csv", "base_models/micro/history.jsonl"):
        assert left[kept] == right[kept]
    weights = "base_models/micro/best_model/model.safetensors"
    assert left[weights] == right[weights]


IN_THE_SAVE = """
from enstack.checkpoints import slots
from enstack.training.saver import Saver
write, install, step = Saver._write, slots.install, 0
def write_noted(self, copy, *rest):
    global step
    step = copy["state"]["step"]
    write(self, copy, *rest)
def install_when_told(*args, **kwargs):
    if step == 5:
        print("saving now", flush=True)
        os.read(0, 1)
    install(*args, **kwargs)
Saver._write, slots.install = write_noted, install_when_told
"""


def read_until(stream: IO[bytes], words: str) -> None:
    """Read lines until one holds these words; the end of the stream is a failure."""
    seen = []
    for line in stream:
        seen.append(line.decode())
        if words in seen[-1]:
            return
    raise AssertionError("".join(seen))


@contextlib.contextmanager
def stopped_in_the_save(config: RunConfig, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run that a first Ctrl-C has reached, which saves when its standard input says so."""
    command, pipe = driver(config, IN_THE_SAVE + code, 5, "SIGINT"), subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as running:
        assert running.stdout
        assert running.stderr
        # What it waits for may never come: its end is the end of what is read.
        watch = threading.Timer(FOR_EVER, running.kill)
        watch.start()
        try:
            read_until(running.stdout, "saving now")
            read_until(running.stderr, "Stopping at the next batch boundary, then saving.")
            yield running
        finally:
            watch.cancel()
            running.kill()


@pytest.mark.slow  # test_stopping holds what is said, and test_resume that what was saved counts
@pytest.mark.parametrize("code", [COMMAND, SCRIPT])
def test_a_second_ctrl_c_is_told_that_it_is_being_saved_and_a_third_ends_at_once(
    config: RunConfig, finished_run: RunConfig, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with stopped_in_the_save(config, code) as running:
        running.send_signal(signal.SIGINT)
        assert running.stderr
        read_until(running.stderr, "what is done is being saved. A third Ctrl-C ends at once.")
        # However often: who sends these sends SIGKILL next.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            running.send_signal(number)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        left = running.stderr.read().decode()
        assert (running.wait(), "Traceback" in left) == (130, False), left
        assert "Ended at once; what was saved before is kept." in left
    assert folder_problems(config.scratch_dir / "base_models" / "micro" / LAST) == []
    run_pipeline(config)
    # What the save had written whole counts, although it was not in place yet.
    assert re.search(r"will skip [35] batches", capsys.readouterr().out)
    left_files, expected = (tree_digest(Path(c.run_dir)) for c in (config, finished_run))
    weights = "base_models/micro/best_model/model.safetensors"
    assert left_files[weights] == expected[weights]


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_disturb_the_save(config: RunConfig) -> None:
    with stopped_in_the_save(config, COMMAND) as running:
        running.send_signal(signal.SIGINT)
        assert running.stderr
        read_until(running.stderr, "what is done is being saved.")
        left = running.communicate(b"x")[1].decode()
        assert (running.returncode, "Traceback" in left) == (130, False), left
    assert "progress is saved: micro, epoch 1, 5 of 11 batches" in left


HANG = """
import os, sys
from pathlib import Path
from enstack import pipeline, run_end
from enstack.checkpoints import mirror
from enstack.storage import disks
from tests.support.faults import HangingDisk, faulty
run_dir = Path(config).parent / "run"
pipe = run_dir.with_name("pipe")
os.mkfifo(pipe)
disk = HangingDisk(run_dir, pipe)
mirror.PATIENCE, mirror.QUIET, run_end.END_SECONDS, disks.END_SECONDS = 2.5, 0.2, 0.2, 0.2
start = mirror.Mirror.start
def start_and_hang(self):
    disk.hangs = True
    start(self)
mirror.Mirror.start = start_and_hang
layer = faulty(disk)
layer.__enter__()
"""


@pytest.mark.slow  # test_mirror holds a disk that hangs, without a process of its own
def test_a_run_stopped_while_run_dir_hangs_says_what_it_waits_for_and_ends(
    config: RunConfig, tmp_path: Path
) -> None:
    """Every operation below run_dir waits in the system for ever, as on a Drive that is gone."""
    said = with_signal(config, HANG + COMMAND, "SIGTERM")
    assert (
        f"⏳ Waiting for {tmp_path}/run/base_models/micro to take what was saved (no answer" in said
    )
    assert f"What was saved is safe in {config.scratch_dir}" in said
    assert "lacks what was saved last (no answer for" in said
    assert "Training goes on" not in said.split("⏳")[1]
    assert f"{tmp_path}/run/events.jsonl can't be written (no answer)" in said
    assert not RunFolder(tmp_path / "run").has_trained()
    # Drive is back: what waits on the scratch disk is gone on from.
    assert folder_problems(config.scratch_dir / "base_models" / "micro" / LAST) == []


def test_a_run_stopped_while_run_dir_is_gone_is_told_as_stopped_and_saved(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mirror, "PATIENCE", 0.02)
    disk = FaultyDisk(Path(config.run_dir), 1, 0, errno.ENOTCONN)
    start, original = mirror.Mirror.start, trainer.train_batch

    def start_and_go(self: mirror.Mirror) -> None:
        disk.count, disk.times = 0, sys.maxsize
        start(self)

    def train_and_stop(*args: Any) -> None:
        original(*args)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(mirror.Mirror, "start", start_and_go)
    monkeypatch.setattr(trainer, "train_batch", train_and_stop)
    with faulty(disk), pytest.raises(Interrupted, match="progress is saved: micro, epoch 1, 1 of"):
        run_pipeline(config)
    out = capsys.readouterr().out
    assert "lacks what was saved last (Transport endpoint is not connected)" in out
    assert "events.jsonl can't be written (Transport endpoint is not connected)" in out


def test_stacking_fits_on_no_row_that_selected_or_trained_a_base_model(
    finished_run: RunConfig, toy_data: VulnerabilityData
) -> None:
    folder = Path(finished_run.run_dir) / "base_models" / "micro"
    with np.load(folder / "best_model" / "seen_ids.npz") as arrays:
        seen = set(arrays["ids"].tolist())
    with np.load(folder / "probabilities" / "validation.npz") as arrays:
        unseen = set(arrays["ids"][~arrays["seen"]].tolist())
    facts = json.loads((Path(finished_run.run_dir) / "data.json").read_text())
    assert facts["holdout"]["stacking"] == {"split": "validation", "functions": 10}
    assert len(unseen) == 10
    assert not unseen & seen
    assert seen | unseen == {*toy_data.splits["train"].ids, *toy_data.splits["validation"].ids}


def rewrite_probabilities(config: RunConfig, split: str, **arrays: np.ndarray) -> None:
    """Change stored probabilities behind the pipeline's back, and make the manifest fit again."""
    folder = Path(config.run_dir) / "base_models" / "micro" / "probabilities"
    with np.load(folder / f"{split}.npz") as stored:
        changed_arrays = {**dict(stored), **arrays}
    np.savez(folder / f"{split}.npz", **changed_arrays)
    facts = read_manifest(folder) or {}
    write_manifest(folder, **{key: value for key, value in facts.items() if key != "files"})


@pytest.mark.parametrize(("split", "n_rows"), [("validation", 20), ("test", 10)])
def test_probabilities_of_rows_a_base_model_has_seen_are_refused(
    finished_run: RunConfig, split: str, n_rows: int
) -> None:
    rewrite_probabilities(finished_run, split, seen=np.ones(n_rows, dtype=bool))
    with pytest.raises(DataError, match="micro"):
        run_pipeline(finished_run)


def test_probabilities_in_another_order_are_refused(
    finished_run: RunConfig, toy_data: VulnerabilityData
) -> None:
    rewrite_probabilities(finished_run, "test", ids=toy_data.splits["test"].ids[::-1])
    with pytest.raises(CheckpointError, match="must hold the functions of the test split"):
        run_pipeline(finished_run)


def test_damaged_probabilities_are_made_again(finished_run: RunConfig) -> None:
    first = run_pipeline(finished_run).leaderboard
    probabilities = Path(finished_run.run_dir) / "base_models" / "micro" / "probabilities"
    (probabilities / "test.npz").write_bytes(b"")
    pd.testing.assert_frame_equal(run_pipeline(finished_run).leaderboard, first)


def test_out_of_fold_meta_features_come_from_models_that_have_not_seen_the_row(
    config: RunConfig, toy_data: VulnerabilityData
) -> None:
    settings = changed(config, meta_features="out_of_fold", folds=3, epochs=1)
    run_pipeline(settings)
    folder = Path(settings.run_dir) / "base_models" / "micro"
    with np.load(folder / "probabilities" / "train.npz") as arrays:
        assert np.array_equal(arrays["ids"], toy_data.splits["train"].ids)
        assert not arrays["seen"].any()
        np.testing.assert_allclose(arrays["probabilities"].sum(axis=1), 1, rtol=1e-5)
    folds = [set(_seen(folder / "folds" / str(k))) for k in (1, 2, 3)]
    assert set.union(*folds) >= set(toy_data.splits["train"].ids)
    assert not set.intersection(*folds) & set(toy_data.splits["train"].ids)


def _seen(folder: Path) -> list[str]:
    with np.load(folder / "best_model" / "seen_ids.npz") as arrays:
        return [str(name) for name in arrays["ids"]]


def test_resume_false_refuses_a_folder_with_a_run_and_names_another(
    finished_run: RunConfig,
) -> None:
    before = tree_digest(Path(finished_run.run_dir))
    with pytest.raises(ConfigError, match=r"holds one.*Use run_dir=.*run-2"):
        run_pipeline(changed(finished_run, resume=False))
    assert tree_digest(Path(finished_run.run_dir)) == before


def test_resume_false_refuses_what_is_still_on_its_way_to_a_folder(config: RunConfig) -> None:
    """A run that was killed before its first copy has left its checkpoint on the scratch disk."""
    folder = config.scratch_dir / "base_models" / "micro" / "last_checkpoint"
    folder.mkdir(parents=True)
    write_manifest(folder, saved=1)
    with pytest.raises(ConfigError, match=r"holds one.*Use run_dir=.*run-2"):
        run_pipeline(changed(config, resume=False))
    assert read_manifest(folder) is not None


def test_other_data_or_settings_in_a_run_folder_are_refused_by_name(
    finished_run: RunConfig, toy_folder: Path, tmp_path: Path
) -> None:
    before = tree_digest(Path(finished_run.run_dir))
    with pytest.raises(CheckpointError, match=r"seed=42, asked for is seed=1.*another run_dir"):
        run_pipeline(changed(finished_run, seed=1))
    other = tmp_path / "other"
    shutil.copytree(toy_folder, other, ignore=shutil.ignore_patterns("flaw_lines.jsonl"))
    shutil.copy(other / "VDISC_test.hdf5", other / "VDISC_validate.hdf5")
    with pytest.raises(CheckpointError, match="data fingerprint="):
        run_pipeline(changed(finished_run, data_dir=str(other)))
    assert tree_digest(Path(finished_run.run_dir)) == before


def test_a_stored_config_with_swa_warns_once_and_is_set_to_false(config: RunConfig) -> None:
    run_dir = Path(config.run_dir)
    run_dir.mkdir()
    (run_dir / "config.json").write_text(json.dumps({"USE_SWA": True, "SEED": 42}))
    with pytest.warns(ForcedOffWarning, match="forced to False") as caught:
        run_pipeline(config)
    assert len(caught) == 1
    assert json.loads((run_dir / "config.json").read_text())["use_swa"] is False


def test_another_set_of_meta_classifiers_trains_no_base_model(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    board = run_pipeline(changed(finished_run, meta_classifiers=["svm"])).leaderboard
    assert set(board.loc[board["kind"] == "stack", "name"]) == {"svm"}
    assert not (Path(finished_run.run_dir) / "stacking" / "lr.skops").exists()
    assert "[Train]" not in capsys.readouterr().out


def test_bad_data_leaves_the_run_folder_as_it_was(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Path(config.run_dir).mkdir()
    with pytest.raises(DataError):
        run_pipeline(changed(config, data_dir=str(tmp_path / "empty")))
    assert list(Path(config.run_dir).iterdir()) == []


def test_a_lost_checkpoint_never_means_a_silent_start(finished_run: RunConfig) -> None:
    folder = Path(finished_run.run_dir) / "base_models" / "micro"
    for name in ("last_checkpoint", "previous_checkpoint", "probabilities"):
        shutil.rmtree(folder / name)
    before = tree_digest(folder)
    with pytest.raises(CheckpointError, match="history of a training but no checkpoint"):
        run_pipeline(finished_run)
    assert tree_digest(folder) == before


def test_fewer_epochs_than_are_trained_are_refused(finished_run: RunConfig) -> None:
    with pytest.raises(CheckpointError, match=r"trained for 2 epochs already.*epochs=2 or more"):
        run_pipeline(changed(finished_run, epochs=1))


def test_a_finished_run_keeps_the_record_of_how_it_was_trained(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pipeline(changed(finished_run, batch_size=8, precision="bf16"))
    assert "Training is finished: batch_size stays 4, precision stays fp32" in (
        capsys.readouterr().out
    )
    stored = json.loads((Path(finished_run.run_dir) / "config.json").read_text())
    assert (stored["batch_size"], stored["precision"]) == (4, "fp32")


@pytest.mark.parametrize("lost", [True, False])
def test_a_run_that_only_predicts_again_keeps_the_record_of_how_it_was_trained(
    finished_run: RunConfig, lost: bool
) -> None:
    """Probabilities that are lost, and another patience, ask for no training."""
    if lost:
        shutil.rmtree(Path(finished_run.run_dir) / "base_models" / "micro" / "probabilities")
    more = {} if lost else {"early_stopping_patience": 3}
    run_pipeline(changed(finished_run, batch_size=8, **more))
    stored = json.loads((Path(finished_run.run_dir) / "config.json").read_text())
    assert (stored["batch_size"], stored["early_stopping_patience"]) == (4, 0)
    report = json.loads((Path(finished_run.run_dir) / "report" / "report.json").read_text())
    assert report["settings"]["batch_size"] == 4


OTHER_VALUES = {
    "batch_size": [4, 8],
    "precision": ["fp32", "bf16"],
    "early_stopping_patience": [0, 1, 3],
    "save_steps": [3, 5],
    "keep_checkpoints": [2, 3],
}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_however_often_other_settings_are_asked_for_the_record_is_of_what_trained(
    finished_run: RunConfig, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call twice, and between them probabilities are lost or damaged at times."""
    run, draw = RunFolder(Path(finished_run.run_dir)), random.Random(seed)
    trained = run.config_file.read_bytes()
    for _ in range(2):
        asked = {key: draw.choice(values) for key, values in OTHER_VALUES.items()}
        # Never what trained, so that there is always something to say.
        config = changed(finished_run, **asked, accumulation_steps=2)
        for damage in (None, draw.choice([None, "test.npz", "manifest.json", ""])):
            if damage is not None:
                spoil(run.base_model("micro").probabilities / damage)
            run_pipeline(config)
            assert run.config_file.read_bytes() == trained
            assert json.loads(run.report_data.read_text())["settings"]["batch_size"] == 4
            out = capsys.readouterr().out
            (told,) = [line for line in out.splitlines() if "Training is finished" in line]
            assert "accumulation_steps stays 1" in told
            assert ("batch_size stays 4" in told) == (asked["batch_size"] == 8)


def spoil(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(b"{")


def test_epochs_that_were_added_before_an_interruption_stay_in_the_record(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained on to its end and stopped before it predicted: the stored probabilities are older."""
    run, more = RunFolder(Path(finished_run.run_dir)), {"epochs": 3, "batch_size": 8}

    def stop(*_: Any) -> None:
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("enstack.training.predictions._predict", stop)
        with pytest.raises(Interrupted, match="stopped"):
            run_pipeline(changed(finished_run, **more))
    for asked in (more, {**more, "batch_size": 2}, {**more, "batch_size": 2}):
        run_pipeline(changed(finished_run, **asked))
        assert run.settings()["epochs"] == 3
        assert run.settings()["batch_size"] == 8


def test_base_models_trained_with_different_settings_keep_their_own_records(
    finished_run: RunConfig, two_models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is trained later: the record is of the last training, and nothing is kept."""
    run = RunFolder(Path(finished_run.run_dir))
    spoil(run.base_model("micro").probabilities)
    both = changed(finished_run, base_models=two_models, batch_size=8, max_length=32)
    run_pipeline(both)
    assert "Training is finished" not in capsys.readouterr().out
    for asked in (both, changed(both, early_stopping_patience=1, batch_size=2)):
        run_pipeline(asked)
        sizes = [
            run.base_model(name).trained_with()["batch_size"] for name in ("micro", "with-mode")
        ]
        assert (sizes, run.settings()["batch_size"]) == ([4, 8], 8)
    assert capsys.readouterr().out.count("Training is finished: batch_size stays 8") == 1


def test_predictions_that_are_no_numbers_are_refused_and_made_again_as_advised(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chosen weights are numbers; on other functions half precision overflows."""
    original = TrainingJob.predict

    def overflow(self: TrainingJob, model: Any, examples: Any, title: str, stop: Any) -> Any:
        probabilities = original(self, model, examples, title, stop)
        if "[test]" in title:
            probabilities[[2, 5]] = np.nan
        return probabilities

    halved = changed(config, precision="bf16")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingJob, "predict", overflow)
        found = r"2 of 10 test functions are not .*Run the same with precision=fp32 \(it was bf16\)"
        with pytest.raises(DivergenceError, match=found):
            run_pipeline(halved)
    assert not (Path(config.run_dir) / "base_models" / "micro" / "probabilities").exists()
    monkeypatch.setattr("enstack.training.trainer.train_epoch", None)  # nothing is trained again
    run_pipeline(config)


def test_epochs_that_were_trained_with_other_settings_are_told_in_the_report(
    finished_run: RunConfig,
) -> None:
    run_pipeline(changed(finished_run, batch_size=8, epochs=3))
    report = json.loads((Path(finished_run.run_dir) / "report" / "report.json").read_text())
    assert report["warnings"][-1] == (
        "micro was trained with changing settings: epochs 1 to 2 with batch_size=4, "
        "accumulation_steps=1, precision=fp32; epoch 3 with batch_size=8, "
        "accumulation_steps=1, precision=fp32. "
        "Train anew in another run_dir where its figures are to stand for one of them."
    )


def test_a_run_that_failed_before_training_binds_nobody(config: RunConfig) -> None:
    with pytest.raises(ConfigError, match="max_length must be at most 512"):
        run_pipeline(changed(config, max_length=1024))
    run_pipeline(config)


def test_a_base_model_that_can_not_be_loaded_is_refused_before_any_is_trained(
    config: RunConfig,
) -> None:
    models = [*config.base_models, "/nowhere/model"]
    with pytest.raises(ConfigError, match="there is no such folder"):
        run_pipeline(changed(config, base_models=models))
    assert not (Path(config.run_dir) / "base_models").exists()


def test_files_of_the_user_outlive_a_stage_that_is_done_again(finished_run: RunConfig) -> None:
    note = Path(finished_run.run_dir) / "stacking" / "notes.txt"
    note.write_text("mine")
    run_pipeline(changed(finished_run, meta_classifiers=["svm"]))
    assert note.read_text() == "mine"


def test_two_runs_at_once_in_one_folder_are_refused(finished_run: RunConfig) -> None:
    with (
        alone_in(finished_run),
        pytest.raises(CheckpointError, match="another process is at work in it"),
    ):
        run_pipeline(finished_run)
    run_pipeline(finished_run)


def test_a_lost_history_is_written_again(finished_run: RunConfig) -> None:
    path = Path(finished_run.run_dir) / "base_models" / "micro" / "history.jsonl"
    before = path.read_text()
    path.unlink()
    run_pipeline(finished_run)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("config.json", "[1]", "must hold a JSON object"),
        ("config.json", '{"use_swa": "perhaps"}', "use_swa in .* must be true or false"),
        ("data.json", "[1]", "must hold a JSON object"),
        ("data.json", "garbage", "must be a readable JSON file"),
    ],
)
def test_a_spoilt_record_is_one_clear_error(
    finished_run: RunConfig, name: str, text: str, rule: str
) -> None:
    (Path(finished_run.run_dir) / name).write_text(text)
    with pytest.raises(CheckpointError, match=rule):
        run_pipeline(finished_run)


def test_a_checkpoint_whose_manifest_is_nonsense_is_damaged(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(finished_run.run_dir) / "base_models" / "micro"
    (folder / "last_checkpoint" / "manifest.json").write_text('{"files": []}')
    run_pipeline(changed(finished_run, epochs=3))
    assert "last_checkpoint is damaged" in capsys.readouterr().out


def test_other_folds_are_refused_by_name(config: RunConfig) -> None:
    run_pipeline(changed(config, meta_features="out_of_fold", folds=2, epochs=1))
    with pytest.raises(CheckpointError, match="folds=2, asked for is folds=3"):
        run_pipeline(changed(config, meta_features="out_of_fold", folds=3, epochs=1))


def test_a_stop_between_two_saves_is_told_as_an_interruption(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("enstack.inputs.read_tables", stopped)
    with pytest.raises(Interrupted, match="what was finished or saved before is kept"):
        run_pipeline(config)


def test_a_configuration_of_other_code_is_refused(config: RunConfig) -> None:
    with pytest.raises(ConfigError, match="run cell 5 again"):
        run_pipeline(SimpleNamespace(**config.model_dump()))  # type: ignore[arg-type]
    assert not Path(config.run_dir).exists()


def test_a_report_of_an_older_page_is_written_again(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("enstack.reporting.stage.REPORT_EDITION", 10_000)
    run_pipeline(finished_run)
    said = capsys.readouterr().out
    assert "stacking: finished before, skipped" in said
    assert "report: finished before" not in said


def test_train_functions_that_stand_in_test_are_dropped_and_told(
    config: RunConfig, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(
        toy_folder, tmp_path / "data", ignore=shutil.ignore_patterns("flaw_lines.jsonl")
    )
    shutil.copy(tmp_path / "data" / "VDISC_train.hdf5", tmp_path / "data" / "VDISC_test.hdf5")
    with h5py.File(tmp_path / "data" / "VDISC_test.hdf5", "a") as file:
        for name in list(file):
            few = file[name][:7]
            del file[name]
            file[name] = few
    settings = changed(
        config,
        data_dir=str(tmp_path / "data"),
        drop_near_duplicates=1.0,
        local_dir=str(tmp_path / "local"),
    )
    run_pipeline(settings)
    facts = json.loads((Path(settings.run_dir) / "data.json").read_text())
    reason = "near-duplicate of validation or test, Jaccard >= 1"
    assert facts["dropped"]["train"][reason] == 7
    assert sum(facts["counts"]["train"].values()) == 42 - 7
    assert "7 of 42 functions in validation or test too" in facts["notes"][-1]
    apart = json.loads((Path(settings.run_dir) / "report" / "report.json").read_text())["apart"]
    assert apart["n"] == 7
    capsys.readouterr()
    run_pipeline(settings)
    said = capsys.readouterr().out
    assert "✓ stacking: finished before" in said
    # Compared once: the second start only reads what was found.
    assert "Near-duplicates" not in said
    (kept,) = (Path(settings.local_dir) / "near_duplicates").glob("*/train_rows_to_keep.npy")
    before = kept.read_bytes()
    np.save(kept, np.load(kept)[::2])
    run_pipeline(settings)
    # Half of the rows, in a file of the right kind: compared again, and used by nobody.
    assert kept.read_bytes() == before
    assert "✓ stacking: finished before" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="drop_near_duplicates"):
        run_pipeline(changed(settings, drop_near_duplicates=0.0))


def test_results_without_near_duplicates_leave_out_what_stands_in_train(
    config: RunConfig, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(
        toy_folder, tmp_path / "data", ignore=shutil.ignore_patterns("flaw_lines.jsonl")
    )
    shutil.copy(tmp_path / "data" / "VDISC_train.hdf5", tmp_path / "data" / "VDISC_test.hdf5")
    settings = changed(config, data_dir=str(tmp_path / "data"))
    run_pipeline(settings)
    said = capsys.readouterr().out
    assert re.search(
        r"test: (\d+) of \1 functions have a near-duplicate in train .*; the report", said
    )
    folder = Path(settings.run_dir)
    found = json.loads((folder / "report" / "report.json").read_text())["apart"]
    assert (found["n"], found["threshold"]) == (0, 0.7)
    keys = {row["key"] for row in found["rows"]}
    assert keys == KINDS | declared(folder)
    assert all(row["accuracy"] is None for row in found["rows"])


def test_a_model_that_learned_nothing_and_stopped_early_is_told_so_everywhere_once(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the console, at each start, by inspect, and in the report.

    The console says it before stacking, when test is not looked at yet; the report of test too.
    """
    idle = changed(config, learning_rate=1e-12, epochs=9, early_stopping_patience=2)
    said, how = [], "stopped early after epoch 3: no better for 2 epochs"
    for start in ("first", "later"):
        run_pipeline(idle)
        lines = capsys.readouterr().out.splitlines()
        # Of the base model; what is combined of it alone may be told beside the verdict.
        (told,) = [line for line in lines if "of every function" in line and "(MCC 0.00)" in line]
        said.append(told.removeprefix("⚠️  "))
        assert (f"✓ micro: finished before ({how}), skipped" in lines) == (start == "later")
    assert " of every function on validation (MCC 0.00)" in said[0]
    assert said[0] == said[1]
    report = json.loads(RunFolder(Path(idle.run_dir)).report_data.read_text())
    (told,) = [one["text"] for one in report["alerts"] if one["kind"] == "collapsed"]
    assert " on test (MCC 0.00)" in told or "validation and test (MCC 0.00)" in told
    assert report["training"][0]["stopped_early"] == how
    assert how in RunFolder(Path(idle.run_dir)).report_page.read_text()
    assert f"Training is finished: {how}" in enstack_here("inspect", idle.run_dir).stdout
    # Another setting, and it goes on where it stopped.
    run_pipeline(changed(idle, early_stopping_patience=0, epochs=4))
    assert "Epoch 4: train loss" in capsys.readouterr().out
