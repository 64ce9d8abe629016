from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmarks import resume, targets, train
from enstack import bench
from enstack.cli import app

SAMPLES, BATCH_SIZE, SKIP = 203, 4, 40


@pytest.fixture(autouse=True)
def the_small_scale(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    small = functools.partial(
        resume.measure,
        samples=SAMPLES,
        batch_size=BATCH_SIZE,
        skip=SKIP,
        read_seconds=0.0,
        many_samples=2000,
        rounds=2,
    )
    monkeypatch.setattr(resume, "measure", small)
    # Commands take SIGTERM over, which other tests in this process do not expect.
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def enstack(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def refused(done: Result, *words: str) -> None:
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    for word in ("enstack: ", *words):
        assert word in done.stderr


@pytest.fixture
def results() -> dict[str, Any]:
    done = enstack("bench", "resume", "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_enstack_and_its_peers_read_no_skipped_sample_and_the_naive_loops_read_all(
    results: dict[str, Any],
) -> None:
    reads = {name: way["skipped_reads"] for name, way in results["skip"]["ways"].items()}
    assert reads == {
        "enstack": 0,
        "accelerate.skip_first_batches": 0,
        "torchdata StatefulDataLoader": 0,
        "islice(loader)": SKIP * BATCH_SIZE,
        "naive loop": SKIP * BATCH_SIZE,
    }


def test_every_way_resumes_with_the_same_batch(results: dict[str, Any]) -> None:
    assert all(way["right_batch"] for way in results["skip"]["ways"].values())


def test_each_target_says_whether_it_is_met(results: dict[str, Any]) -> None:
    ours = results["scale"]["ways"]["enstack"]
    theirs = results["scale"]["ways"]["accelerate.skip_first_batches"]
    late = ours["seconds_at_99_percent"]
    assert [(target["ratio"], target["limit"]) for target in results["targets"]] == [
        (0, 0),
        (late / ours["seconds_at_0"], 1.5),
        (late / theirs["seconds_at_99_percent"], 0.5),
    ]
    for target in results["targets"]:
        assert target["met"] == (target["ratio"] <= target["limit"])


def test_figures_come_with_the_machine_they_were_taken_on(results: dict[str, Any]) -> None:
    assert {"cores", "torch_threads", "torch"} <= set(results["machine"])


def test_at_scale_every_way_is_asked_for_the_batch_at_99_percent() -> None:
    samples = resume.Samples(2000, 4)
    late = resume.measure_scale(samples=2000, batch_size=4, rounds=1)["late_batch"]
    assert late == 495
    state = resume.state_after(late, samples, **resume.shuffled(samples))
    ways = (
        resume.enstack_way,
        resume.accelerate_shuffled,
        functools.partial(resume.torchdata_shuffled, state),
    )
    for way in ways:
        assert len(list(way(samples, late))) == 5
        assert resume.first_batch(way, samples, late)["skipped_reads"] == 0


def test_a_round_lets_every_way_take_its_turn() -> None:
    log: list[str] = []
    turns = {name: functools.partial(log.append, name) for name in "ab"}
    resume.take_turns(turns, 3)
    assert "".join(log) == "ababab"


def test_without_json_a_table_shows_every_way_and_every_target() -> None:
    done = enstack("bench", "resume")
    assert done.exit_code == 0
    for words in ("naive loop", "accelerate.skip_first_batches", "160", "99 %", "torch"):
        assert words in done.stdout
    assert sum(line.startswith(("met", "MISSED")) for line in done.stdout.splitlines()) == 3


def test_a_missed_target_is_said_plainly() -> None:
    assert targets.line(targets.at_most("x", 1.51, 1.5)).startswith("MISSED  x: 1.51 (at most 1.5)")
    assert targets.line(targets.at_least("x", 1.5, 1.5)).startswith("met ")


def test_training_is_compared_with_trainer_in_functions_per_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "seconds_of_both", lambda rounds: (60, [2.0, 1.0, 3.0], [6.0] * 3))
    found = json.loads(enstack("bench", "train", "--json").stdout)
    assert found["functions_per_second"] == {"enstack": 30.0, "Hugging Face Trainer": 10.0}
    assert found["ratio"] == 3.0


def test_what_libraries_print_stays_out_of_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy() -> dict[str, int]:
        sys.stdout.write("a library talks\n")
        return {"figure": 1}

    monkeypatch.setattr(resume, "measure", noisy)
    done = enstack("bench", "resume", "--json")
    assert json.loads(done.stdout) == {"figure": 1}
    assert "a library talks" in done.stderr


def test_every_benchmark_on_offer_can_be_loaded() -> None:
    for name in bench.BENCHMARKS:
        loaded = bench.load_benchmark(name)
        assert callable(loaded.measure)
        assert callable(loaded.table)


def test_an_unknown_benchmark_is_one_line_with_status_2() -> None:
    refused(enstack("bench", "fly"), "must be one of resume, train", "found 'fly'")


def test_an_installed_copy_without_the_benchmarks_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    refused(enstack("bench", "resume"), "folder benchmarks", str(tmp_path), "clone")


@pytest.mark.parametrize("peer", ["accelerate", "torchdata"])
def test_a_missing_peer_is_named_with_what_to_install(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == peer]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "benchmarks.resume")
    monkeypatch.setattr(sys, "meta_path", [Absent(peer), *sys.meta_path])
    refused(enstack("bench", "resume"), f"found no {peer}", f"pip install {peer}")


class Absent:
    """Makes a package look as if it were not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
