"""Flawfinder's row: what it finds, what becomes of it, and what happens where it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.config import RunConfig
from enstack.data.functions import Functions, read_data
from enstack.data.holdout import plan_splits
from enstack.data.labels import CLASS_NAMES, task_of
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.stacking import flawfinder, stage
from enstack.stacking.flawfinder import class_probabilities, flawfinder_version, risk_levels
from tests.support.flawfinders import FLAWFINDER_ROWS, write_flawfinder
from tests.support.pipeline_runs import changed

NEEDS_FLAWFINDER = pytest.mark.skipif(
    not FLAWFINDER_ROWS, reason="pip install -r requirements.txt brings Flawfinder"
)


def functions_of(texts: list[str]) -> Functions:
    ids = np.array([f"test/{row}" for row in range(len(texts))])
    sources = pa.array(texts, type=pa.large_string())
    return Functions(ids, sources, np.zeros(len(texts), dtype=np.int64))


# What becomes of risk levels

LEVELS = st.lists(st.tuples(*[st.integers(0, 5)] * 5), min_size=1, max_size=8).map(np.array)


@given(LEVELS)
def test_a_function_is_called_vulnerable_from_level_3_on(levels: np.ndarray) -> None:
    for mode in ("binary", "cwe_or_clean"):
        task = task_of(mode, CLASS_NAMES[mode])
        found = class_probabilities(levels, task, task.plainest_probabilities(np.array([0]), 1))
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        clean = task.decide(found, None) == task.class_names.index("clean")
        np.testing.assert_array_equal(~clean, levels.max(axis=1) >= 3)


@given(LEVELS)
def test_a_flag_has_a_fifth_of_its_level(levels: np.ndarray) -> None:
    task = task_of("multilabel", CLASS_NAMES["multilabel"])
    found = class_probabilities(levels, task, np.zeros((len(levels), 5)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (levels / 5).astype(np.float32))


@given(LEVELS)
def test_without_a_clean_class_the_highest_level_wins_and_nothing_found_is_the_plainest(
    levels: np.ndarray,
) -> None:
    task = task_of("cwe", CLASS_NAMES["cwe"])
    plainest = task.plainest_probabilities(np.array([3]), len(levels))
    found = class_probabilities(levels, task, plainest)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    nothing = levels.max(axis=1) == 0
    np.testing.assert_array_equal(found[nothing], plainest[nothing])
    chosen = task.decide(found, None)[~nothing]
    np.testing.assert_array_equal(levels[~nothing, chosen], levels[~nothing].max(axis=1))


def test_a_weakness_beyond_the_five_has_the_findings_of_the_class_that_it_is_a_kind_of() -> None:
    task = task_of("cwe_all", ("CWE-476", "CWE-787", "CWE-other"))
    levels = np.array([[4, 5, 0, 1, 0], [0, 0, 0, 0, 3]])  # of CWE-119, 120, 469, 476, other
    found = class_probabilities(levels, task, np.zeros((2, 3)))
    np.testing.assert_allclose(found, [[0.2, 0.8, 0], [0, 0, 1]], rtol=1e-6)


def test_a_class_counts_each_weakness_that_a_rule_names_and_other_counts_the_rest() -> None:
    answer = (
        "./0.c:1:  [2] (buffer) char:Static arrays (CWE-119!/CWE-120).  Use more.\n"
        "./0.c:9:  [4] (buffer) strcpy:Does not check (CWE-120).  Use another.\n"
        "./2.c:1:  [4] (format) printf:Controlled (CWE-134).  Use a constant.\n"
        "./2.c:2:  [1] (misc) mine:No number.\n"
        "a line of another kind\n"
    )
    found = flawfinder._levels_told(answer, 3)
    np.testing.assert_array_equal(found, [[2, 4, 0, 0, 0], [0] * 5, [0, 0, 0, 0, 4]])


# The program


@NEEDS_FLAWFINDER
def test_flawfinder_reads_functions_and_no_comment_stops_it(tmp_path: Path) -> None:
    assert flawfinder_version(tmp_path)
    texts = [
        "void f(char *a) { strcpy(b, a); /* Flawfinder: ignore */ }",
        "int f(int a) { return a; }",
        "void f(char *a) { printf(a); }  // é \u2028 \x00 /*",
        "void f() { char name[10]; }",
        '"',
    ]
    found = risk_levels([functions_of(texts), functions_of(texts[:1])], tmp_path)
    np.testing.assert_array_equal(found > 0, np.array([
        [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0] * 5, [0, 1, 0, 0, 0]
    ]).astype(bool))  # fmt: skip
    assert found[0].max() >= 3
    assert not list(tmp_path.iterdir())


def test_what_stops_it_counts_as_nothing_found_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = write_flawfinder(tmp_path)
    monkeypatch.setattr(flawfinder, "_program", lambda: program)
    monkeypatch.setattr(flawfinder, "FUNCTIONS_AT_ONCE", 4)
    texts = ["strcpy", "x", "CRASH strcpy", "strcpy", "GREEDY strcpy", "strcpy"]
    found = risk_levels([functions_of(texts)], tmp_path / "scratch")
    np.testing.assert_array_equal(found[:, 1], [4, 0, 0, 4, 0, 4])
    assert not found[:, [0, 2, 3, 4]].any()
    assert "could not read 2 functions" in capsys.readouterr().out
    assert not list((tmp_path / "scratch").iterdir())


def test_what_it_never_comes_through_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write_flawfinder(tmp_path)
    monkeypatch.setattr(flawfinder, "_program", lambda: program)
    monkeypatch.setattr(flawfinder, "SECONDS", 1.0)
    monkeypatch.setattr(flawfinder, "SECONDS_EACH", 0.0)
    found = risk_levels([functions_of(["HANG", "strcpy"])], tmp_path / "scratch")
    np.testing.assert_array_equal(found[:, 1], [0, 4])


def test_it_is_given_its_time_on_a_machine_that_computes_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock, no interpreter starts within a thousandth of a second."""
    program = write_flawfinder(tmp_path)
    monkeypatch.setattr(flawfinder, "_program", lambda: program)
    monkeypatch.setattr(flawfinder, "SECONDS", 0.0)
    monkeypatch.setattr(flawfinder, "SECONDS_EACH", 0.001)
    assert flawfinder_version(tmp_path / "scratch") == "9.8.7"


@pytest.mark.parametrize(
    "program",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\necho version 1.0,\n",
        "#!/no/such/interpreter\n",
        "\x7fELF",
    ],
)
def test_a_program_that_does_not_work_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    command = write_flawfinder(tmp_path, program)
    monkeypatch.setattr(flawfinder, "_program", lambda: command)
    assert flawfinder_version(tmp_path / "scratch") is None


def test_it_is_looked_for_beside_python_and_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flawfinder.sysconfig, "get_path", lambda name: str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert flawfinder._program() is None
    command = write_flawfinder(tmp_path)
    assert flawfinder._program() == command
    assert flawfinder_version(tmp_path / "scratch") == "9.8.7"


# The row


def rows_of(config: RunConfig) -> set[str]:
    board = pd.read_csv(RunFolder(Path(config.run_dir)).stacking.leaderboard)
    return set(board["name"])


def test_its_row_comes_with_the_program_and_stays_without_it(
    finished_run: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program: list[str | None] = [None]
    monkeypatch.setattr(flawfinder, "_program", lambda: program[0])
    config = changed(finished_run, meta_classifiers=["lr"])
    run_pipeline(config)
    assert "pip install flawfinder" in capsys.readouterr().out
    assert "flawfinder" not in rows_of(config)
    # As the line says: the same again, with the program.
    program[0] = write_flawfinder(tmp_path)
    run_pipeline(config)
    assert "flawfinder" in rows_of(config)
    assert "pip install" not in capsys.readouterr().out
    # Finished elsewhere with the program, looked at here without.
    program[0] = None
    run_pipeline(config)
    assert "stacking: finished before" in capsys.readouterr().out
    # Made again here, it has none.
    run_pipeline(changed(config, meta_classifiers=["rf"]))
    assert "flawfinder" not in rows_of(config)


@pytest.mark.parametrize("mode", ["multilabel", "cwe_or_clean"])
def test_it_is_asked_of_the_functions_that_choose_thresholds_too(
    mode: str, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write_flawfinder(tmp_path)
    monkeypatch.setattr(flawfinder, "_program", lambda: program)
    data = read_data(toy_folder, label_mode=mode)
    plan = plan_splits(data, meta_features="holdout", folds=5, seed=1)
    config = RunConfig(local_dir=str(tmp_path / "local"))
    found = stage._flawfinder(data, plan, config)
    asked = len(data.splits["test"]) + len(plan.selection) * (mode == "multilabel")
    assert found.shape == (asked, len(data.class_names))
