"""A run in processes that this one starts: what it says is shown, what ends it is raised here."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack import api
from enstack import run_in_processes as module
from enstack.config import RunConfig
from enstack.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    EnstackError,
    Interrupted,
    LostProcess,
)
from enstack.run_in_processes import run_in_processes, wants_processes
from enstack.run_place import alone_in
from tests.support.equality import same, training_outcome
from tests.support.launched import launched
from tests.support.trials import Trial

pytestmark = pytest.mark.long

# What stands in for torchrun and its processes; `tell` writes to the feed.
STAND_IN = """
import json, os, signal, sys
def tell(what, **details):
    with open(sys.argv[1] + "/feed.jsonl", "a") as feed:
        feed.write(json.dumps({"what": what, **details}) + "\\n")
"""


def stood_in(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    command = [sys.executable, "-S", "-c", STAND_IN + source]
    monkeypatch.setattr(module, "_command", lambda _, folder: [*command, str(folder)])


@pytest.fixture
def asked(tmp_path: Path) -> RunConfig:
    return RunConfig(processes=2, run_dir=str(tmp_path / "run"))


def test_what_the_run_says_is_said_and_its_fault_is_raised_in_its_own_words(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stood_in(
        monkeypatch,
        'tell("said", text="▶ Data"); print("torchrun\'s own words")\n'
        'tell("failed", kind="DataError", message="No labels. Name them.", trace="")\n'
        "sys.exit(1)",
    )
    with pytest.raises(DataError, match=r"^No labels\. Name them\.$"):
        run_in_processes(asked, announce=False)
    told = capsys.readouterr()
    assert told.out.splitlines()[1:] == ["▶ Data"]
    assert told.err == ""


@pytest.mark.parametrize("name", ["data_dir", "run_dir", "local_dir"])
def test_a_place_that_no_run_could_use_is_refused_before_a_process_is_started(
    name: str, asked: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in(monkeypatch, "sys.exit(9)")
    (tmp_path / "letter.txt").write_text("Dear reader")
    wrong = asked.model_copy(update={name: str(tmp_path / "letter.txt")})
    with pytest.raises((DataError, CheckpointError, ConfigError), match=r"letter\.txt"):
        run_in_processes(wrong, announce=False)
    assert (tmp_path / "letter.txt").read_text() == "Dear reader"
    assert not (tmp_path / "run").exists()


def test_an_error_that_nobody_foresaw_is_a_sentence_and_its_trace_is_not_lost(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = {"kind": "OutOfMemoryError", "message": "CUDA out of memory.", "trace": "Traceback\n"}
    stood_in(monkeypatch, f'tell("failed", **{fault!r}); sys.exit(1)')
    with pytest.raises(
        EnstackError, match=r"OutOfMemoryError: CUDA out of memory\. What was saved"
    ):
        run_in_processes(asked, announce=False)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"were ended by signal 9\. .*Run the same again"),
        (
            'print("no module torch"); sys.exit(1)',
            r"with status 1: no module torch\n.*Run the same",
        ),
        (
            'print("enstack: process 1: process 0 has ended. Go on."); print("table"); sys.exit(1)',
            r"^process 0 has ended\. Go on\.$",
        ),
    ],
)
def test_processes_that_end_without_a_word_are_told_of_with_what_they_printed_last(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    stood_in(monkeypatch, source)
    with pytest.raises(LostProcess, match=f"(?s){words}"):
        run_in_processes(asked, announce=False)


def test_a_stop_is_passed_on_and_waited_for_and_what_the_run_says_of_it_is_raised(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stood_in(
        monkeypatch,
        'tell("said", text="began"); sys.stdin.read(); tell("said", text="saved")\n'
        'tell("failed", kind="Interrupted", message="Stopped at 7.", trace=""); sys.exit(1)',
    )

    def interrupt(text: str) -> None:
        said.append(text)
        if text == "began":
            signal.raise_signal(signal.SIGINT)

    said: list[str] = []
    monkeypatch.setattr("enstack.progress.feed.say", interrupt)
    with pytest.raises(Interrupted, match=r"^Stopped at 7\.$"):
        run_in_processes(asked, announce=False)
    assert said == ["began", "saved"]
    assert "Stopping at the next batch boundary" in capfd.readouterr().err


def test_a_stop_before_the_processes_have_said_anything_is_a_stop(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in(monkeypatch, "sys.stdin.read(); sys.exit(130)")
    monkeypatch.setattr(module, "hear_widgets", lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted, match="Run the same again to go on"):
        run_in_processes(asked, announce=False)


def test_more_processes_than_gpus_are_refused_before_any_is_started(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in(monkeypatch, "")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"at most 1, .* has 1 GPU; found 2\. Use processes=1"):
        run_in_processes(asked, announce=False)


def test_under_torchrun_nothing_is_started_and_its_own_number_is_said(
    asked: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wants_processes(asked)
    assert not wants_processes(RunConfig())
    launched(monkeypatch, WORLD_SIZE="4")
    assert not wants_processes(asked)
    assert "torchrun has started 4 processes" in capsys.readouterr().out


# Real processes, of which each takes seconds to begin.

SCRIPT = "import enstack, json, sys; enstack.run(enstack.configure(**json.loads(sys.argv[1])))"


EPOCHS = 12  # enough to be stopped in


def settings_of(trial: Trial, name: str, **more: Any) -> dict[str, Any]:
    places = {"run_dir": str(trial.folder / name), "local_dir": str(trial.folder / "scratch")}
    asked: dict[str, Any] = json.loads((trial.folder / "run.json").read_text())
    return {**asked, **places, "epochs": EPOCHS, **more}


def outcome(trial: Trial, name: str) -> dict[str, Any]:
    return training_outcome(trial.folder / name / "base_models" / "micro")


def events(trial: Trial, name: str) -> list[dict[str, Any]]:
    path = trial.folder / name / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def wait_for(trial: Trial, name: str, event: str) -> None:
    until = time.monotonic() + 300
    while not any(one["event"] == event for one in events(trial, name)):
        assert time.monotonic() < until, events(trial, name)
        time.sleep(0.02)


def wait_until_nobody_is_at_work(config: RunConfig) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with alone_in(config):
                return
        except CheckpointError:
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """With dropout, which draws as it did in as many processes alone."""
    return Trial(tmp_path_factory.mktemp("trial") / "all", dropout=0.1)


@pytest.fixture(scope="module")
def by_torchrun(trial: Trial) -> str:
    """The name of a run that torchrun has done."""
    path = trial.folder / "by-torchrun.json"
    path.write_text(json.dumps(settings_of(trial, "by-torchrun")))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2", "-m", "enstack", "run", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return "by-torchrun"


@pytest.mark.slow
def test_a_run_that_starts_its_processes_is_the_one_by_torchrun_and_shows_what_it_shows(
    trial: Trial, by_torchrun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = api.run(RunConfig(**settings_of(trial, "here", processes=2)))
    assert same(outcome(trial, "here"), outcome(trial, by_torchrun))
    assert results.run_dir == trial.folder / "here"
    assert results.report.is_file()
    board = (trial.folder / by_torchrun / "stacking" / "leaderboard.csv").read_text()
    assert (trial.folder / "here" / "stacking" / "leaderboard.csv").read_text() == board
    said = capsys.readouterr().out
    for words in ("2 processes train together", "Epoch 12 [Train]: 100% 7/7", "📄 Report:"):
        assert said.count(words) == 1
    # Refused by the processes, for the folder holds another run.
    with pytest.raises(CheckpointError, match=r"holds a run with max_length=64, asked for is"):
        api.run(RunConfig(**settings_of(trial, "here", processes=2, max_length=32)))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_or_the_end_of_the_process_that_asked_stops_the_run_saved_and_it_goes_on(
    trial: Trial, by_torchrun: str, number: signal.Signals, tmp_path: Path
) -> None:
    name = f"stopped-{number.name}"
    asked = settings_of(trial, name, processes=2)
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(asked)], stdout=said, stderr=said
        )
        wait_for(trial, name, "saved")
        parent.send_signal(number)
        status = parent.wait(timeout=300)
    wait_for(trial, name, "run_stopped")
    assert not any(one["event"] == "run_finished" for one in events(trial, name))
    if number == signal.SIGKILL:
        assert status == -number
    else:
        assert status == 130
        assert "Interrupted; progress is saved" in (tmp_path / "said").read_text()
    wait_until_nobody_is_at_work(RunConfig(**asked))
    api.run(RunConfig(**asked))
    assert same(outcome(trial, name), outcome(trial, by_torchrun))
