"""Models trained elsewhere: stacked under the same leak guard, kept, refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import enstack
from enstack.bundle.choice import best_model
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.data.holdout import plan_splits
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.stacking.added import add_models
from enstack.stacking.probability_files import read_given
from tests.support.command_line import enstack_here, refused
from tests.support.equality import tree_digest


@pytest.fixture(scope="module")
def data(toy_folder: Path) -> VulnerabilityData:
    return read_data(toy_folder, label_mode="cwe_or_clean")


@pytest.fixture
def table(data: VulnerabilityData) -> pd.DataFrame:
    """What an oracle says of validation and test, in an order of its own."""
    parts = []
    for split in ("test", "validation"):
        functions = data.splits[split]
        values = np.full((len(functions), len(data.class_names)), 0.02)
        values[np.arange(len(functions)), functions.labels] += 1 - values.sum(axis=1)
        parts.append(pd.DataFrame(values, columns=list(data.class_names)).assign(id=functions.ids))
    return pd.concat(parts).sample(frac=1, random_state=1)


def stored(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        names = [name for name in table if name not in ("id", "seen")]
        arrays = {"ids": table["id"].to_numpy(str), "probabilities": table[names].to_numpy()}
        marks = {"seen": table["seen"].to_numpy()} if "seen" in table else {}
        np.savez(path, **arrays, class_names=np.array(names), **marks)
    return path


def add(
    given: dict[str, Path],
    data: VulnerabilityData,
    folder: Path,
    meta_features: str = "holdout",
) -> None:
    plan = plan_splits(data, meta_features=meta_features, folds=2, seed=1)
    add_models(given, RunFolder(folder / "run"), data, plan, ["micro"], unseen=True)


def results(config: RunConfig) -> dict[str, str]:
    digests = tree_digest(Path(config.run_dir))
    return {name: one for name, one in digests.items() if name != "events.jsonl"}


def test_every_format_says_the_same(
    table: pd.DataFrame, data: VulnerabilityData, tmp_path: Path
) -> None:
    table = table.assign(seen=table["id"] == "test/3")
    read = [
        read_given([stored(table, tmp_path / f"oracle.{suffix}")], data.class_names)
        for suffix in ("parquet", "csv", "npz")
    ]
    for given in read:
        assert given.ids.tolist() == table["id"].tolist()
        np.testing.assert_array_equal(given.probabilities, table[list(data.class_names)])
        assert given.seen is not None
        assert given.ids[given.seen].tolist() == ["test/3"]


def test_an_added_model_is_stacked_measured_and_told_and_every_later_start_keeps_it(
    finished_run: RunConfig,
    table: pd.DataFrame,
    data: VulnerabilityData,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {k: v for k, v in results(finished_run).items() if k.startswith("base_models/")}
    path = stored(table, tmp_path / "oracle.parquet")
    board = enstack.stack(finished_run.run_dir, {"oracle": path}, unseen=True).leaderboard
    figures = board.set_index(board["kind"] + ":" + board["name"])["accuracy"]
    assert figures["base:oracle"] == 1
    assert {"vote:mean", "stack:lr"} < set(figures.index)
    path.unlink()
    with np.load(Path(finished_run.run_dir) / "stacking" / "test_probabilities.npz") as arrays:
        said = table.set_index("id").loc[arrays["ids"], list(data.class_names)]
        np.testing.assert_allclose(arrays["base:oracle"], said, atol=1e-7)
    once = results(finished_run)
    run_pipeline(finished_run)
    assert results(finished_run) == once
    assert {k: v for k, v in once.items() if k.startswith("base_models/")} == before
    assert "oracle (added)" in capsys.readouterr().out
    report = json.loads((Path(finished_run.run_dir) / "report" / "report.json").read_text())
    (told,) = [one for one in report["warnings"] if one.startswith("oracle was trained elsewhere")]
    assert "is stated by the giver; nothing here can check that" in told
    assert report["data"]["added"]["oracle"]["file"] == path.name


Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def with_value(column: str, value: Any) -> Spoil:
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        spoilt = table.reset_index(drop=True).astype({column: object})
        spoilt.loc[3, column] = value
        return spoilt

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t.iloc[3:],
            r"all \d+ (test|validation) functions; missing: \d, first ",
        ),
        (lambda t: pd.concat([t, t.iloc[:2]]), "more than once: 2 ids, first "),
        (with_value("id", "test/99999"), r"none of them: 1 of 30 ids, first test/99999"),
        (lambda t: t.drop(columns="CWE-476"), r"missing CWE-476 \(nearest: CWE-"),
        (lambda t: t.rename(columns={"id": "ids"}), r"missing id \(nearest: ids\)"),
        (with_value("CWE-119", "high"), r"must be numbers, found 'high' in row 3"),
        (with_value("CWE-119", "nan"), r"from 0 to 1; others in 1 of 30 rows, first .*judge these"),
        (with_value("CWE-119", "7.5"), r"others in 1 of 30 rows.*softmax"),
        (with_value("CWE-119", "0.5"), r"must add up to 1; oracle has other sums in 1 of 30"),
        (lambda t: t.assign(seen="maybe"), r"seen must be true or false .* 'maybe' in row 0"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_counts_and_names_and_nothing_is_kept(
    table: pd.DataFrame, data: VulnerabilityData, tmp_path: Path, spoil: Spoil, message: str
) -> None:
    given = {
        "good": stored(table, tmp_path / "good.csv"),
        "oracle": stored(spoil(table), tmp_path / "oracle.csv"),
    }
    with pytest.raises(DataError, match=message):
        add(given, data, tmp_path)
    assert not (tmp_path / "run").exists()


def test_what_has_seen_the_functions_is_refused_and_silence_about_it_too(
    finished_run: RunConfig, table: pd.DataFrame, tmp_path: Path
) -> None:
    silent = stored(table, tmp_path / "silent.parquet")
    with pytest.raises(ConfigError, match=r"oracle must say which functions it has seen.*--unseen"):
        enstack.stack(finished_run.run_dir, {"oracle": silent})
    seen = stored(table.assign(seen=table["id"] == "test/3"), tmp_path / "seen.parquet")
    with pytest.raises(
        DataError, match=r"measured on functions.* oracle .* on 1 of 10, first test/3"
    ):
        enstack.stack(finished_run.run_dir, {"oracle": seen}, unseen=True)
    honest = stored(table.assign(seen=False), tmp_path / "honest.npz")
    enstack.stack(finished_run.run_dir, {"oracle": honest})
    report = json.loads((Path(finished_run.run_dir) / "report" / "report.json").read_text())
    assert report["data"]["added"]["oracle"]["seen"] == "marked in the file"


def test_another_runs_own_probabilities_are_taken_and_those_of_other_data_refused(
    finished_run: RunConfig, ensemble: tuple[RunFolder, list[str]], tmp_path: Path
) -> None:
    given = tmp_path / "given"
    shutil.copytree(ensemble[0].base_model("with-mode").probabilities, given)
    board = enstack.stack(finished_run.run_dir, {"with-mode": given}).leaderboard
    assert "with-mode" in set(board["name"])
    with np.load(given / "test.npz") as arrays:
        held = dict(arrays)
    origin = {**json.loads(str(held["made_from"])), "data": "0" * 64}
    np.savez(given / "test.npz", **{**held, "made_from": np.array(json.dumps(origin))})
    np.savez(given / "validation.npz", **{**held, "made_from": np.array(json.dumps(origin))})
    with pytest.raises(DataError, match=r"other functions or labels \(data fingerprint 000000"):
        enstack.stack(finished_run.run_dir, {"another": given})


def test_names_and_changed_files_are_refused_by_name(
    finished_run: RunConfig, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = stored(table, tmp_path / "oracle.csv")
    for name, message in (("Micro", "Micro is a base model"), ("a+b", "found 'a\\+b'")):
        with pytest.raises(ConfigError, match=message):
            enstack.stack(finished_run.run_dir, {name: path}, unseen=True)
    enstack.stack(finished_run.run_dir, {"oracle": path}, unseen=True)
    once = results(finished_run)
    enstack.stack(finished_run.run_dir, {"oracle": path}, unseen=True)
    assert results(finished_run) == once
    other = stored(table.iloc[::-1], tmp_path / "other.csv")
    with pytest.raises(ConfigError, match=r"has a model oracle already, of oracle.csv with sha256"):
        enstack.stack(finished_run.run_dir, {"oracle": other}, unseen=True)
    kept = RunFolder(Path(finished_run.run_dir)).added_model("oracle").probabilities
    (kept / "test.npz").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"added model oracle must be as it was given, but "):
        run_pipeline(finished_run)


def test_an_unfinished_run_is_not_stacked(
    config: RunConfig, finished_run: RunConfig, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = stored(table, tmp_path / "oracle.csv")
    with pytest.raises(CheckpointError, match=r"must hold a run, it has no config.json"):
        enstack.stack(config.run_dir, {"oracle": path}, unseen=True)
    shutil.rmtree(Path(finished_run.run_dir) / "base_models" / "micro" / "probabilities")
    with pytest.raises(
        CheckpointError, match=r"micro has not: it has not predicted yet\. .*enstack"
    ):
        enstack.stack(finished_run.run_dir, {"oracle": path}, unseen=True)


@pytest.mark.parametrize("whole", [True, False])
def test_probabilities_that_are_another_models_are_told_as_that_and_not_as_unfinished(
    ensemble_copy: RunFolder, whole: bool
) -> None:
    mine, other = (ensemble_copy.base_model(name).probabilities for name in ("micro", "with-mode"))
    if whole:
        shutil.rmtree(mine)
        shutil.copytree(other, mine)
    else:
        shutil.copy(other / "test.npz", mine)
    told = "made from another base_model" if whole else "test.npz has 3"
    with pytest.raises(CheckpointError, match=rf"micro has not: .*{told}.*Put a good copy back"):
        enstack.stack(ensemble_copy.path)


def test_a_model_of_the_run_is_not_added_to_it_a_second_time(
    ensemble_copy: RunFolder, table: pd.DataFrame, tmp_path: Path
) -> None:
    own = ensemble_copy.base_model("with-mode").probabilities
    with pytest.raises(
        ConfigError, match=r"x must be another .* what with-mode says: the same answer to 100.0 %"
    ):
        enstack.stack(ensemble_copy.path, {"x": own})
    path = stored(table, tmp_path / "oracle.csv")
    again = shutil.copy(path, tmp_path / "again.csv")
    with pytest.raises(
        ConfigError, match=r"b must be another .* says of 10 test functions what a says: "
    ):
        enstack.stack(ensemble_copy.path, {"a": path, "b": again}, unseen=True)
    assert ensemble_copy.added() == []


OUR_NAMES = ["vote", "Mean", "greedy", "lr", "SVM", "random-forest", "xgboost", "majority"]
OUR_NAMES += ["length", "TF-IDF_LR", "flawfinder", "stack", "Logistic.Regression", "LR"]


@pytest.mark.parametrize("name", OUR_NAMES)
def test_what_the_run_calls_a_row_of_its_own_names_no_added_model(
    name: str, table: pd.DataFrame, data: VulnerabilityData, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=rf"{name} is what a vote, a stack or a baseline is calle"
    ):
        add({name: stored(table, tmp_path / "oracle.csv")}, data, tmp_path)


def test_the_command_takes_a_name_and_a_file(
    finished_run: RunConfig, table: pd.DataFrame, tmp_path: Path
) -> None:
    run_dir, path = finished_run.run_dir, stored(table, tmp_path / "oracle.parquet")
    refused(enstack_here("stack", run_dir, "--add", "oracle"), 2, "--add must be NAME=FILE")
    refused(enstack_here("stack", run_dir, "--add", f"a={path}", "--add", f"a={path}"), 2, "twice")
    refused(enstack_here("stack", run_dir, "--add", f"a={path}x"), 3, "is absent")
    done = enstack_here("stack", run_dir, "--add", f"oracle={path}", "--unseen")
    assert done.returncode == 0
    assert "oracle (added)" in done.stdout


def test_out_of_fold_needs_what_is_said_of_train(
    table: pd.DataFrame, data: VulnerabilityData, tmp_path: Path
) -> None:
    given = {"oracle": stored(table, tmp_path / "oracle.csv")}
    with pytest.raises(DataError, match=r"must tell of all 42 train functions; missing: 42"):
        add(given, data, tmp_path, meta_features="out_of_fold")


def test_flags_need_not_add_up_to_one(toy_folder: Path, tmp_path: Path) -> None:
    flags = read_data(toy_folder, label_mode="multilabel")
    parts = [
        pd.DataFrame(flags.splits[split].labels * 0.9, columns=list(flags.class_names)).assign(
            id=flags.splits[split].ids
        )
        for split in ("validation", "test")
    ]
    add({"oracle": stored(pd.concat(parts), tmp_path / "oracle.csv")}, flags, tmp_path)
    assert RunFolder(tmp_path / "run").added() == ["oracle"]


def test_what_rests_on_an_added_model_can_not_judge_new_functions(
    finished_run: RunConfig, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = stored(table, tmp_path / "oracle.csv")
    enstack.stack(finished_run.run_dir, {"oracle": path}, unseen=True)
    for name in ("oracle", "vote", "lr"):
        with pytest.raises(ConfigError, match=r"rests on oracle, .* Load micro"):
            enstack.load(finished_run.run_dir, name)
    assert enstack.load(finished_run.run_dir).name == "base:micro"


def test_what_has_no_score_is_no_better_than_a_score_below_zero(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    (run.added_model("oracle").probabilities).mkdir(parents=True)
    (run.added_model("oracle").probabilities / "manifest.json").write_text("{}")
    run.stacking.path.mkdir()
    scores = {"base:oracle": 0.9, "base:a": -0.2, "base:b": -0.1}
    run.stacking.selection.write_text(json.dumps({"best": "base:oracle", "scores": scores}))
    # MCC goes below zero, and rows that are too few for stacks score none.
    known = ["base:c", "base:a", "base:b"]
    assert best_model(run, known, ["a", "b", "c"]) == "base:b"
