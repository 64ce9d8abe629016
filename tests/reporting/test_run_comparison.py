"""Runs are compared on the same functions alone, and each shows what it has shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from rich.cells import cell_len

import enstack
from enstack.errors import CheckpointError, ConfigError
from enstack.reporting.leaderboard import read_leaderboard
from enstack.reporting.stored_run import read_run
from enstack.reporting.verdict import read_verdict
from enstack.run_folder import RunFolder
from enstack.stacking.baselines import WORDS
from enstack.statistics.bootstrap import difference
from enstack.statistics.cells import paired
from enstack.statistics.paired_tests import holm
from enstack.storage.files import read_json_object, write_json
from enstack.storage.manifest import read_manifest, write_manifest
from tests.support.command_line import enstack_here, refused

Ensemble = tuple[RunFolder, list[str]]


def sealed_copy(run: RunFolder, place: Path, change: Callable[[RunFolder], None]) -> Path:
    """A copy of a finished run that was changed, and whose records say that it ended so."""
    copy = RunFolder(Path(shutil.copytree(run.path, place)))
    change(copy)
    _seal(copy.stacking.path)
    _seal(copy.report, made_from={**copy.report_inputs()})
    return copy.path


def _seal(folder: Path, **more: Any) -> None:
    kept = {key: value for key, value in (read_manifest(folder) or {}).items() if key != "files"}
    write_manifest(folder, **{**kept, **more})


def choosing(key: str) -> Callable[[RunFolder], None]:
    """The run would have chosen this model on validation."""

    def change(run: RunFolder) -> None:
        write_json(run.stacking.selection, read_json_object(run.stacking.selection) | {"best": key})

    return change


def with_arrays(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Any:
    """The test functions, their labels and what every model says of them, otherwise."""

    def changed(run: RunFolder) -> None:
        for path in (run.stacking.test_probabilities, run.stacking.contamination):
            with np.load(path) as stored:
                arrays = change(dict(stored))
            np.savez(path, **arrays)

    return changed


def turned(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same functions in another order."""
    order = np.random.RandomState(1).permutation(len(arrays["ids"]))
    return {key: one[order] if one.ndim else one for key, one in arrays.items()}


@pytest.mark.parametrize("of", ["ensemble", "flags_ensemble"])
def test_a_difference_of_two_runs_is_what_a_run_of_both_models_finds(
    of: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The verdict compares the same two models by another road."""
    run: RunFolder = request.getfixturevalue(of)[0]
    verdict = read_verdict(run.stacking.verdict)
    assert verdict is not None
    pair = verdict.declared.candidate, verdict.declared.against
    runs = [sealed_copy(run, tmp_path / key, choosing(key)) for key in pair]
    runs.append(sealed_copy(RunFolder(runs[1]), tmp_path / "turned", with_arrays(turned)))
    compared = enstack.compare(runs)
    assert [one.chosen.key for one in compared.runs] == [*pair, pair[1]]
    assert [(one.first, one.second) for one in compared.pairs[:2]] == [
        (pair[0], pair[1]),
        (pair[0], "turned"),
    ]
    for one in compared.pairs[:2]:
        assert one.difference == verdict.difference
        assert (one.classes, one.n) == (verdict.declared.counted_classes, verdict.n)
    alike = compared.pairs[2].difference
    assert alike is not None
    assert (alike.value, alike.p) == (0, 1)
    ps = [one.difference.p for one in compared.pairs if one.difference]
    assert [one.p_holm for one in compared.pairs] == holm(ps)
    assert compared.exploratory


def test_near_duplicates_are_drawn_together_where_either_run_knows_them(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    run, verdict = ensemble[0], read_verdict(ensemble[0].stacking.verdict)
    assert verdict is not None

    def clustered(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return arrays | {"clusters": np.arange(len(arrays["ids"])) // 5}

    def unknown(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {key: one for key, one in arrays.items() if key != "clusters"}

    def copy(name: str, *changes: Any) -> Path:
        key = verdict.declared.candidate if name == "ours" else verdict.declared.against
        return sealed_copy(
            run, tmp_path / name, lambda run: [do(run) for do in (*changes, choosing(key))]
        )

    ours = copy("ours", with_arrays(clustered))
    theirs = copy("theirs", with_arrays(clustered), with_arrays(turned))
    older = copy("older", with_arrays(unknown))
    pairs = {(one.first, one.second): one for one in enstack.compare([ours, theirs, older]).pairs}
    both, either = pairs["ours", "theirs"].difference, pairs["ours", "older"].difference
    assert both == either
    assert both is not None
    assert both.value == verdict.difference.value
    assert both.standard_error != verdict.difference.standard_error
    task = read_run(run).task
    stored = [read_run(RunFolder(path)) for path in (ours, older)]
    rows = [
        next(row for row in one.rows if row.key == key)
        for one, key in zip(
            stored, (verdict.declared.candidate, verdict.declared.against), strict=True
        )
    ]
    decisions = [one.decisions(row) for one, row in zip(stored, rows, strict=True)]
    cells = paired(task, stored[0].labels, *decisions, np.arange(verdict.n) // 5)
    counted = np.isin(task.class_names, verdict.declared.counted_classes)
    assert both == difference(cells, "macro_f1", classes=counted, seed=verdict.declared.seed)
    assert enstack.compare([older, ours]).pairs[0].difference == difference(
        paired(task, stored[0].labels, *decisions[::-1], np.arange(verdict.n) // 5),
        "macro_f1",
        classes=counted,
        seed=verdict.declared.seed,
    )


def test_each_run_shows_its_own_figures_and_the_settings_that_differ_alone(
    ensemble: Ensemble, kept_run: Any, finished_run: Any
) -> None:
    runs = [ensemble[0], RunFolder(Path(finished_run.run_dir))]
    compared = enstack.compare([run.path for run in runs])
    for run, one in zip(runs, compared.runs, strict=True):
        rows = {row.key: row for row in read_leaderboard(run.stacking.leaderboard)}
        verdict = read_verdict(run.stacking.verdict)
        assert (one.outcome, one.sentence) == (
            (verdict.outcome, verdict.sentence) if verdict else (None, None)
        )
        chosen = rows[one.chosen.key]
        assert chosen.key == read_json_object(run.stacking.selection)["best"]
        assert (one.macro_f1, one.accuracy, one.mcc) == (
            chosen.macro_f1,
            chosen.accuracy,
            chosen.mcc,
        )
        assert one.word_counts is not None
        assert one.best_base is not None
        assert one.fingerprint == run.data_record()["fingerprint"]
        for shown in (one.chosen, one.word_counts, one.best_base):
            if len(one.classes) == len(run.data_record()["class_names"]):
                row = rows[shown.key]
                figures = row.macro_f1, row.macro_f1_low, row.macro_f1_high
                assert (shown.value, shown.low, shown.high) == figures
        assert one.word_counts.key == WORDS
    assert [one.setting for one in compared.settings] == ["base_models"]
    of_first = read_json_object(runs[0].config_file)["base_models"]
    assert compared.settings[0].values[0] == of_first


@pytest.mark.parametrize(("measure", "field"), [("accuracy", "accuracy"), ("mcc", "mcc")])
def test_another_primary_measure_is_shown_with_its_interval(
    ensemble: Ensemble, tmp_path: Path, measure: str, field: str
) -> None:
    def change(run: RunFolder) -> None:
        write_json(
            run.config_file, read_json_object(run.config_file) | {"primary_measure": measure}
        )

    runs = [sealed_copy(ensemble[0], tmp_path / name, change) for name in ("one", "other")]
    compared = enstack.compare([*runs, ensemble[0].path])
    one = compared.runs[0].chosen
    assert one.value == pytest.approx(getattr(compared.runs[0], field))
    assert one.low is not None
    assert one.high is not None
    assert -1 <= one.low < one.value < one.high <= 1
    # Where two runs have not the same one, it is the default.
    assert [pair.measure for pair in compared.pairs] == [measure, "macro_f1", "macro_f1"]


def fewer(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: one[:-3] if one.ndim else one for key, one in arrays.items()}


def others(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ids = arrays["ids"].copy()
    ids[:2] = ["one", "two"]
    return arrays | {"ids": ids}


def relabelled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One function's label is another."""
    if "labels" not in arrays:
        return arrays
    labels = arrays["labels"].copy()
    labels[0] = (labels[0] + 1) % 6
    return arrays | {"labels": labels}


ROWS = "ids in common, and an id is but a row of a file"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (fewer, f"they have other test functions: 10 and 7, with 7 {ROWS}"),
        (others, f"they have other test functions: 10 and 10, with 8 {ROWS}"),
        (relabelled, "the labels of 1 of 10 test functions are not the same"),
    ],
)
def test_runs_with_other_test_functions_or_labels_are_not_compared(
    ensemble: Ensemble,
    tmp_path: Path,
    change: Any,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The leaderboard of so few functions would tell of one that is labelled otherwise.
    monkeypatch.setattr("enstack.reporting.stored_run.SAME_ACCURACY", 1)
    run = ensemble[0]
    other = sealed_copy(run, tmp_path / "other", with_arrays(change))
    third = sealed_copy(run, tmp_path / "third", lambda run: None)
    compared = enstack.compare([run.path, other, third])
    by_pair = [(one.why_not, one.difference is None, one.p_holm) for one in compared.pairs]
    assert by_pair[0] == (words, True, None)
    assert by_pair[1] == (None, False, 1)  # of one pair, not of three
    assert by_pair[2][1:] == (True, None)
    done = enstack_here("compare", run.path, other)
    assert done.returncode == 0
    assert words in done.stdout
    assert "Exploratory" not in done.stdout


def test_runs_that_are_asked_other_things_are_not_compared(
    ensemble: Ensemble, flags_ensemble: Ensemble
) -> None:
    compared = enstack.compare([ensemble[0].path, flags_ensemble[0].path])
    (pair,) = compared.pairs
    assert pair.difference is None
    assert "they are asked other things: cwe_or_clean (" in str(pair.why_not)
    assert "label_mode" in [one.setting for one in compared.settings]


def test_what_is_no_pair_of_finished_runs_is_refused_by_name(
    ensemble: Ensemble, ensemble_copy: RunFolder, tmp_path: Path
) -> None:
    run, copy = str(ensemble[0].path), ensemble_copy
    link = tmp_path / "link"
    link.symlink_to(run)
    for two in ([run, run], [run, f"{run}/../{Path(run).name}"], [run, str(link)]):
        refused(enstack_here("compare", *two), 2, "once", "twice")
    refused(enstack_here("compare", run), 2, "Two or more runs", run)
    refused(enstack_here("compare", run, tmp_path / "none"), 4, "none")
    refused(enstack_here("compare", run, copy.stacking.path), 4, str(copy.stacking.path))
    with pytest.raises(ConfigError, match="a list of two run folders or more"):
        enstack.compare(run)
    with pytest.raises(ConfigError, match="must be named to be compared, found none"):
        enstack.compare([])
    shutil.rmtree(copy.report)
    refused(enstack_here("compare", run, copy.path), 4, "no report")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.stacking.test_probabilities.write_bytes(b"no"),
        lambda run: run.stacking.verdict.unlink(),
        lambda run: run.config_file.write_text("{}"),
        lambda run: run.data_file.unlink(),
    ],
)
def test_a_damaged_run_is_refused(
    ensemble: Ensemble, ensemble_copy: RunFolder, spoil: Callable[[RunFolder], None]
) -> None:
    spoil(ensemble_copy)
    with pytest.raises(CheckpointError, match=str(ensemble_copy.path)):
        enstack.compare([ensemble[0].path, ensemble_copy.path])


@pytest.mark.parametrize("ids", [np.arange(10), np.array(["a"])])
def test_ids_that_do_not_fit_are_refused(ensemble: Ensemble, tmp_path: Path, ids: Any) -> None:
    other = sealed_copy(
        ensemble[0], tmp_path / "other", with_arrays(lambda one: one | {"ids": ids})
    )
    with pytest.raises(CheckpointError, match="ids must be"):
        enstack.compare([ensemble[0].path, other])


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_five_runs_fit_the_terminal_and_no_setting_is_cut(
    ensemble: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    names = ["a", "数据" * 20, "[b]", "with a long name of many words", "\x1b[2Jx"]

    def change(run: RunFolder) -> None:
        settings = read_json_object(run.config_file)
        place = (
            f"/home/somebody/where everything lies of-{names.index(run.path.name)} with the rest"
        )
        write_json(run.config_file, settings | {"data_dir": place})

    runs = [sealed_copy(ensemble[0], tmp_path / name, change) for name in names]
    done = enstack_here("compare", *runs)
    assert done.returncode == 0
    tables = [line for line in done.stdout.splitlines() if "  " in line or "--" in line]
    assert max(map(cell_len, tables)) <= columns
    assert "\x1b" not in done.stdout
    # The middle of what differs too, and no home folder.
    assert all(f"of-{number}" in done.stdout for number in range(len(names)))
    assert "somebody" not in done.stdout
    assert "Holm's p heeds that there are 10 pairs" in done.stdout


def test_json_holds_all_that_is_compared(ensemble: Ensemble, tmp_path: Path) -> None:
    other = sealed_copy(ensemble[0], tmp_path / "other", choosing(WORDS))
    done = enstack_here("compare", "--json", ensemble[0].path, other)
    told = json.loads(done.stdout)
    compared = enstack.compare([ensemble[0].path, other])
    assert told["runs"][1]["chosen"]["key"] == WORDS
    assert told["pairs"][0]["difference"]["p"] == pytest.approx(
        compared.pairs[0].difference.p  # type: ignore[union-attr]
    )
    jsonschema.validate(told, {"type": "object", "required": ["runs", "settings", "pairs"]})
