from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks import (
    first_batch,
    overhead,
    prepare,
    resume,
    save,
    scan,
    sizes,
    stacking,
    targets,
    train,
)
from enstack import bench
from enstack.models.int8 import has_int8
from enstack.reporting.measuring import evaluate_row
from enstack.storage.manifest import HashedFile
from enstack.toy.tiny_models import TinyModel
from enstack.training.saver import Saver
from tests.support.command_line import enstack_here, refused

pytestmark = pytest.mark.long

SAMPLES, BATCH_SIZE, SKIP = 203, 4, 40
TINY_CLASSIFIER = {
    "vocab_size": 1000,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 514,
}


@pytest.fixture(autouse=True)
def the_small_scale(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture
def results() -> dict[str, Any]:
    done = enstack_here("bench", "resume", "--json")
    assert done.returncode == 0, done.stderr
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
    done = enstack_here("bench", "resume")
    assert done.returncode == 0
    for words in ("naive loop", "accelerate.skip_first_batches", "160", "99 %", "torch"):
        assert words in done.stdout
    assert sum(line.startswith(("met", "MISSED")) for line in done.stdout.splitlines()) == 3


def test_a_missed_target_is_said_plainly() -> None:
    assert targets.line(targets.at_most("x", 1.51, 1.5)).startswith("MISSED  x: 1.51 (at most 1.5)")
    assert targets.line(targets.at_least("x", 1.5, 1.5)).startswith("met ")


def test_training_is_compared_with_trainer_in_all_its_modes_beside_the_padding_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = {"enstack": (3.0, 1.0, 2.0), "Trainer, grouped": (1.0, 2.0, 1.0)}

    def turned(setting: object, examples: object, case: Any) -> dict[str, float]:
        speed = next(made[case.mode])
        return {
            "functions_per_second": speed,
            "tokens_per_second": speed,
            "useful_flops_per_second": speed,
            "bound": 0.98 if case.mode == "enstack" else 0.5,
            "mean_tokens": 1.0,
            "peak_gib": 0.0,
        }

    modes = ("enstack", "Trainer, default", "Trainer, grouped", "Trainer, fixed")
    made = {mode: iter(speeds.get(mode, (4.0,) * 3)) for mode in modes}
    monkeypatch.setattr(train, "turn", turned)
    found = json.loads(enstack_here("bench", "train", "--json").stdout)
    assert {row["mode"]: row["ratio"] for row in found["cases"]} == {
        "enstack": 1.0, "Trainer, default": 0.5, "Trainer, grouped": 2.0, "Trainer, fixed": 0.5,
    }  # fmt: skip
    assert {row["ratio_of_bounds"] for row in found["cases"][1:]} == {1.96}
    assert [target["met"] for target in found["targets"]] == [True, True, False]


@pytest.mark.slow
def test_every_mode_trains_the_same_functions_once_each_round() -> None:
    found = train.measure(hidden=64, layers=1, batches=3, rounds=1)
    bounds = {row["mode"]: row["bound"] for row in found["cases"]}
    assert all(row["functions_per_second"] > 0 for row in found["cases"])
    assert bounds["enstack"] > bounds["Trainer, default"] >= bounds["Trainer, fixed"]
    assert "Trainer, grouped" in train.table(found)


def test_a_save_is_compared_by_the_medians_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [{"blocked": seconds, **BACKGROUND} for seconds in (9.0, 1.0, 8.0, 2.0)]
    theirs = [{"blocked": seconds, "bytes": 1} for seconds in (1.0, 5.0, 90.0, 10.0)]
    turns = {"enstack": ours, "Hugging Face Trainer": theirs}
    monkeypatch.setattr(save, "all_turns", lambda *_: {save.LOCAL: turns, save.SLOW: turns})
    found = json.loads(enstack_here("bench", "save", "--json").stdout)
    for disk in found["disks"].values():
        assert {name: (way["first_blocked"], way["blocked"]) for name, way in disk.items()} == {
            "enstack": (9.0, 2.0),
            "Hugging Face Trainer": (1.0, 10.0),
        }
    assert [(t["ratio"], t["limit"], t["met"]) for t in found["targets"]] == [
        (20.0, 20.0, True),
        (20.0, 2.0, False),
    ]


def test_the_made_up_run_of_the_stacking_benchmark_is_one_that_a_report_can_measure() -> None:
    labels, models = stacking.draw(60, 1)
    stored = stacking.made_up_run(labels, {"stack:m": models[0].probabilities}, {})
    assert evaluate_row(stored, stored.rows[0]).key == "stack:m"


@pytest.mark.slow
def test_all_that_follows_the_base_models_is_timed_and_its_memory_held_against_the_limit() -> None:
    found = stacking.measure(n_test=600, n_meta=300, n_texts=60, peer_resamples=1)
    assert len(found["seconds"]) == 6
    assert found["total"] == pytest.approx(sum(found["seconds"].values()))
    assert [target["limit"] for target in found["targets"]] == [600, 3.0, 1]
    assert "in all" in stacking.table(found)


def test_preparation_is_compared_by_median_time_and_largest_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = (
        [{"seconds": s, "peak_bytes": p, "tokens": 9} for s, p in zip(times, peaks, strict=True)]
        for times, peaks in (((1.0, 9.0, 2.0), (50, 60, 40)), ((1.0, 1.0, 9.0), (100, 90, 80)))
    )
    imports = [{"seconds": 0.0, "peak_bytes": 20, "tokens": 0}]
    turns = {"enstack": ours, "datasets.map": theirs, "imports alone": imports}
    monkeypatch.setattr(prepare, "all_turns", lambda *_: turns)
    found = json.loads(enstack_here("bench", "prepare", "--json").stdout)
    assert found["same_tokens"]
    assert [(t["ratio"], t["limit"], t["met"]) for t in found["targets"]] == [
        (0.5, 1.0, False),
        (0.6, 0.5, False),
        ((60 - 20) / (100 - 20), 0.5, True),
    ]


@pytest.mark.slow
def test_a_scan_and_pipelines_say_the_same_in_any_order_and_batches() -> None:
    shape = TinyModel(vocabulary=300, hidden=16, layers=1, heads=2)
    results = scan.measure(functions=40, rounds=1, shape=shape)
    assert results["largest_difference"] < 1e-5
    assert results["functions"] == 40
    of_int8 = {scan.INT8} if has_int8() else set()
    assert set(results["per_second"]) == {scan.ENSTACK, scan.SORTED, scan.DEFAULT} | of_int8
    assert results["ratios"][scan.SORTED] == pytest.approx(
        results["per_second"][scan.ENSTACK] / results["per_second"][scan.SORTED]
    )
    shown = scan.table(results)
    for words in ("functions/s", "times as fast", "at least 1.2", "40 functions"):
        assert words in shown


@pytest.mark.slow
def test_both_ways_of_preparing_make_the_same_tokens_and_their_memory_is_seen() -> None:
    results = prepare.measure(functions=200, rounds=1)
    assert results["same_tokens"]
    for way in results["ways"].values():
        assert way["tokens"] > 200 * 20
        assert way["peak_bytes"] > 50 * prepare.MIB
    shown = prepare.table(results)
    for words in ("datasets.map", "200 functions", "the same tokens: yes", "peak memory"):
        assert words in shown


def test_memory_is_that_of_a_process_and_all_below_it() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        while len(list(prepare.family(parent.pid))) < 2:
            assert parent.poll() is None
        pids = list(prepare.family(parent.pid))
        assert pids[0] == parent.pid
        own = sum(prepare.memory(pid)[0] for pid in pids)
        assert prepare.held(parent.pid) > own > 2 * 2**20
    finally:
        parent.communicate(b"\n")
    assert prepare.memory(parent.pid) == (0, 0)


@pytest.mark.slow
def test_a_prepared_run_tokenizes_nothing_and_a_damaged_one_what_was_damaged() -> None:
    results = first_batch.measure(functions=400, shape=TINY_CLASSIFIER)
    starts = results["starts"]
    assert list(starts) == list(first_batch.STARTS)
    tokenized = [starts[way]["tokenized"] for way in first_batch.STARTS]
    nothing_made, prepared, one_damaged, all_damaged = tokenized
    assert prepared == 0 < one_damaged < all_damaged == nothing_made
    assert "first batch" in first_batch.table(results)


def test_a_tiny_overhead_yields_every_figure_and_its_save_lies_in_run_dir(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved = list[int]()
    save_as_ever = Saver.save
    monkeypatch.setattr(Saver, "save", lambda *a, **k: saved.append(1) or save_as_ever(*a, **k))
    results = overhead.measure(hidden=64, layers=1, steps=4, rounds=1)
    assert saved == [1]
    for clock in ("wall_seconds", "cpu_seconds"):
        assert list(results[clock]) == [overhead.BARE, overhead.LOOP, overhead.SAVING]
        assert min(results[clock].values()) > 0
    assert "overhead around the steps, CPU time" in overhead.table(results)


def test_overhead_is_what_the_loop_adds_and_a_save_in_five_minutes() -> None:
    seconds = {overhead.BARE: 100.0, overhead.LOOP: 101.0, overhead.SAVING: 104.0}
    assert overhead.share(seconds) == pytest.approx(0.01 + 3 / 300)


BACKGROUND = {"on_scratch": 3.0, "in_run_dir": 4.0, "speed_meanwhile": 0.5, "lost": 3.0}


def test_a_tiny_save_yields_every_figure_and_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save.os, "sync", lambda: None)
    results = save.measure(shape=TINY_CLASSIFIER, slow_speed=1e8, rounds=1, idle_batches=1)
    assert list(results["disks"]) == [save.LOCAL, save.SLOW]
    for found in results["disks"].values():
        assert set(found["enstack"]) == {"first_blocked", "blocked", *BACKGROUND}
        assert set(found["Hugging Face Trainer"]) == {"first_blocked", "blocked", "bytes"}
        assert found["enstack"]["in_run_dir"] > found["enstack"]["on_scratch"]
    shown = save.table(results)
    for words in (save.LOCAL, save.SLOW, "100 MB/s", "neither", "run_dir after"):
        assert words in shown


def test_a_loop_loses_the_blocked_time_and_what_the_background_work_slows_it_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saver = mock.Mock()
    paces = iter([100.0, 75.0])
    monkeypatch.setattr(save.os, "sync", lambda: None)
    monkeypatch.setattr(save, "pace", lambda *_: next(paces))
    monkeypatch.setattr(save, "until_safe", lambda *_: {"on_scratch": 2.0, "in_run_dir": 9.0})
    clock = iter([20.0, 21.0])
    monkeypatch.setattr(save.time, "perf_counter", lambda: next(clock))
    turn = save.enstack_turn(saver, lambda: None, 1)
    assert (turn["blocked"], turn["speed_meanwhile"]) == (1.0, 0.75)
    assert turn["lost"] == 1.0 + 0.25 * 8.0


def test_both_save_the_moments_of_every_parameter(parts: save.Parts, tmp_path: Path) -> None:
    training = save.filled_training(parts, tmp_path / "run", tmp_path / "scratch")
    trainer = save.filled_trainer(parts, tmp_path / "trainer")
    assert trainer.optimizer is not None
    weights = sum(parameter.nbytes for parameter in training.model.parameters())
    for optimizer in (training.optimizer.adamw, trainer.optimizer):
        slots = optimizer.state_dict()["state"].values()
        moments = sum(slot["exp_avg"].nbytes + slot["exp_avg_sq"].nbytes for slot in slots)
        assert moments == 2 * weights
    assert save.trainer_turn(trainer, math.inf)["bytes"] > 3 * weights


def test_the_slow_disk_takes_every_byte_of_both_and_the_scratch_disk_none(
    parts: save.Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save.os, "sync", lambda: None)
    passed: list[int] = []
    monkeypatch.setattr(save, "throttle", lambda size, *_: passed.append(size))
    turns = save.both_on(parts, tmp_path, 1e6, rounds=0, idle_batches=1)
    run_dir = [
        path for path in (tmp_path / "run").rglob("*") if path.parent.name == "last_checkpoint"
    ]
    assert len(run_dir) > 3
    theirs = turns["Hugging Face Trainer"][0]["bytes"]
    assert sum(passed) == theirs + sum(path.stat().st_size for path in run_dir)
    assert theirs in passed


def test_the_slow_disk_sleeps_for_what_its_bytes_take_beyond_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(save.time, "sleep", slept.append)
    monkeypatch.setattr(save.time, "perf_counter", lambda: 10.0)
    save.throttle(300, 100.0, started=9.0)
    save.throttle(300, 100.0, started=5.0)
    assert slept == [2.0, 0.0]
    (tmp_path / "slow").mkdir()
    with save.slow_below(tmp_path / "slow", 100.0):
        for name in ("slow/a", "beside"):
            with HashedFile(tmp_path / name) as file:
                file.write(b"x" * 500)
    assert slept == [2.0, 0.0, 5.0]


def test_what_libraries_print_stays_out_of_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy() -> dict[str, int]:
        sys.stdout.write("a library talks\n")
        return {"figure": 1}

    monkeypatch.setattr(resume, "measure", noisy)
    done = enstack_here("bench", "resume", "--json")
    assert json.loads(done.stdout) == {"figure": 1}
    assert "a library talks" in done.stderr


def test_every_benchmark_on_offer_can_be_loaded() -> None:
    for name in bench.BENCHMARKS:
        loaded = bench.load_benchmark(name)
        assert callable(loaded.measure)
        assert callable(loaded.table)


def test_an_unknown_benchmark_is_one_line_with_status_2() -> None:
    refused(enstack_here("bench", "fly"), 2, "must be one of resume, save, train", "found 'fly'")


def test_an_installed_copy_without_the_benchmarks_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    refused(enstack_here("bench", "resume"), 2, "folder benchmarks", str(tmp_path), "clone")


@pytest.mark.parametrize("peer", ["accelerate", "torchdata"])
def test_a_missing_peer_is_named_with_what_to_install(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == peer]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "benchmarks.resume")
    monkeypatch.setattr(sys, "meta_path", [Absent(peer), *sys.meta_path])
    refused(enstack_here("bench", "resume"), 2, f"found no {peer}", f"pip install {peer}")


class Absent:
    """Makes a package look as if it were not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_cost_in_proportion_has_the_exponent_1_and_one_of_pairs_2() -> None:
    assert sizes.exponent([10, 100, 1000], [0.3, 3.0, 30.0]) == pytest.approx(1)
    assert sizes.exponent([10, 100, 1000], [1e-4, 1e-2, 1.0]) == pytest.approx(2)


@pytest.mark.slow
def test_every_stage_has_a_cost_at_every_size_and_a_target() -> None:
    found = sizes.measure(sizes=(400, 800))
    assert {len(seconds) for seconds in found["seconds"].values()} == {2}
    assert len(found["targets"]) == len(found["exponents"]) == 7
    assert sizes.PREDICTION in sizes.table(found)
