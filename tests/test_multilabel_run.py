"""A whole run in label mode multilabel: every file it leaves fits the others, and none is lost."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.data.holdout import plan_splits
from enstack.errors import CheckpointError
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.base_models import BaseModel
from enstack.pipeline import run_pipeline
from enstack.reporting.findings import load_results
from enstack.reporting.page import write_report
from enstack.reporting.schema import report_schema
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.stack import load_meta_classifier
from enstack.storage.manifest import read_manifest, write_manifest
from tests.support.equality import tree_digest
from tests.support.flawfinders import FLAWFINDER_ROWS
from tests.support.pipeline_runs import declared

NAMES = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
TASK = SeveralFlags(NAMES)
BASELINES = {"baseline:tfidf_lr", "baseline:length", "baseline:frequency"}
ROWS = {"base:micro", "stack:lr", "stack:svm", *BASELINES} | FLAWFINDER_ROWS


@pytest.fixture(scope="module", params=["holdout", "out_of_fold"])
def config(
    request: Any, toy_folder: Path, micro_model: BaseModel, tmp_path_factory: Any
) -> RunConfig:
    folder = tmp_path_factory.mktemp("multilabel")
    config = RunConfig(
        data_dir=str(toy_folder),
        label_mode="multilabel",
        subset=60,
        base_models=[micro_model.location],
        epochs=1,
        batch_size=8,
        learning_rate=1e-3,
        max_length=64,
        save_steps=0,
        precision="fp32",
        meta_features=request.param,
        folds=2,
        meta_classifiers=["lr", "svm"],
        run_dir=str(folder / "run"),
        local_dir=str(folder / "local"),
    )
    run_pipeline(config)
    return config


@pytest.fixture
def run_dir(config: RunConfig) -> Path:
    return Path(config.run_dir)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def test_every_row_is_measured_at_its_own_thresholds(run_dir: Path) -> None:
    found = arrays(run_dir / "stacking" / "test_probabilities.npz")
    thresholds = json.loads((run_dir / "stacking" / "thresholds.json").read_text())
    board = pd.read_csv(run_dir / "stacking" / "leaderboard.csv")
    assert set(thresholds) == set(board["kind"] + ":" + board["name"]) == ROWS | declared(run_dir)
    assert found["labels"].dtype == bool
    for _, row in board.iterrows():
        key = f"{row['kind']}:{row['name']}"
        expected = TASK.evaluate(found["labels"], found[key], np.array(thresholds[key]))
        for figure in ("accuracy", "macro_f1", "weighted_f1", "mcc"):
            assert row[figure] == pytest.approx(expected[figure])


def test_thresholds_are_chosen_on_the_selection_rows_of_validation_alone(
    config: RunConfig, run_dir: Path
) -> None:
    data = read_data(
        Path(config.data_dir), label_mode="multilabel", subset=config.subset, seed=config.seed
    )
    plan = plan_splits(
        data, meta_features=config.meta_features, folds=config.folds, seed=config.seed
    )
    stored = arrays(run_dir / "base_models" / "micro" / "probabilities" / "validation.npz")
    rows = plan.selection
    expected = TASK.choose_thresholds(
        data.splits["validation"].labels[rows], stored["probabilities"][rows]
    )
    thresholds = json.loads((run_dir / "stacking" / "thresholds.json").read_text())
    assert thresholds["base:micro"] == expected.tolist()
    assert plan.meta_split == "train" or not set(rows) & set(plan.meta_rows)


def test_the_probabilities_of_flags_do_not_add_up_to_one(run_dir: Path) -> None:
    found = arrays(run_dir / "base_models" / "micro" / "probabilities" / "test.npz")
    assert found["probabilities"].shape[1] == 5
    assert (np.abs(found["probabilities"].sum(axis=1) - 1) > 0.01).any()


def test_an_epoch_is_judged_by_the_sigmoids_too(config: RunConfig, run_dir: Path) -> None:
    data = read_data(Path(config.data_dir), label_mode="multilabel", subset=60, seed=42)
    plan = plan_splits(data, meta_features=config.meta_features, folds=2, seed=42)
    stored = arrays(run_dir / "base_models" / "micro" / "probabilities" / "validation.npz")
    labels, found = data.splits["validation"].labels, stored["probabilities"][plan.selection]
    records = (run_dir / "base_models" / "micro" / "history.jsonl").read_text().splitlines()
    epoch = next(r for r in map(json.loads, records) if r["event"] == "epoch")
    assert epoch["val_loss"] == pytest.approx(
        TASK.log_loss(labels[plan.selection], found), rel=1e-4
    )


def test_a_stored_stack_gives_the_probabilities_of_the_leaderboard(run_dir: Path) -> None:
    base = arrays(run_dir / "base_models" / "micro" / "probabilities" / "test.npz")
    model = BaseModelProbabilities("micro", base["ids"], base["probabilities"], base["seen"])
    stored = arrays(run_dir / "stacking" / "test_probabilities.npz")
    for name in ("lr", "svm"):
        stack = load_meta_classifier(run_dir / "stacking" / f"{name}.skops")
        np.testing.assert_allclose(
            stack.predict_proba([model], TASK), stored[f"stack:{name}"], atol=1e-6
        )


def test_the_same_run_again_changes_nothing(config: RunConfig, run_dir: Path) -> None:
    before = tree_digest(run_dir)
    run_pipeline(config)
    after = tree_digest(run_dir)
    assert before.pop("events.jsonl") != after.pop("events.jsonl")
    assert after == before


def test_a_stacking_folder_without_the_chosen_model_is_made_again_with_the_same_results(
    config: RunConfig, run_dir: Path
) -> None:
    folder = run_dir / "stacking"
    before = tree_digest(folder)
    chosen = json.loads((folder / "selection.json").read_text())
    made = {f"stack:{name}{form}" for name in ("lr", "svm") for form in ("", "~log")}
    assert {*chosen["scores"]} == {"base:micro", "baseline:tfidf_lr"} | made
    assert chosen["scores"][chosen["best"]] == max(
        chosen["scores"][key] for key in {"base:micro"} | made
    )
    manifest = read_manifest(folder)
    assert manifest is not None
    (folder / "selection.json").unlink()
    made_from = {key: value for key, value in manifest["made_from"].items() if key != "edition"}
    write_manifest(folder, made_from=made_from)
    run_pipeline(config)
    after = tree_digest(folder)
    assert after.keys() == before.keys()
    # A .skops file and its digest hold the ids of objects, other ones each time, as times are.
    others = (".skops", "manifest.json", "costs.json")
    results = {name for name in before if not name.endswith(others)}
    assert {name for name in results if before[name] != after[name]} == set()


def test_the_report_tells_flags_thresholds_and_what_became_of_the_functions(run_dir: Path) -> None:
    results = load_results(run_dir)
    page = (run_dir / "report" / "report.html").read_text()
    jsonschema.validate(results.to_json(), report_schema())
    chosen = results.chosen
    assert chosen.confusion_classes == [*NAMES, "no flag"]
    assert len(chosen.confusion) == 6
    for entry in chosen.per_class:
        assert 0 <= entry["threshold"] <= 1
    assert "Hamming loss" in page
    assert "kept, without a flag" in page
    for counts in results.data["flag_counts"].values():
        assert f"<td>{counts['train']:,}</td>" in page
    apart = {row.key: row for row in results.apart.rows}
    assert set(apart) == ROWS | declared(run_dir)
    assert "not in the subset" not in page


def test_two_models_are_compared_by_the_functions_with_every_flag_right(run_dir: Path) -> None:
    stored = arrays(run_dir / "stacking" / "test_probabilities.npz")
    thresholds = json.loads((run_dir / "stacking" / "thresholds.json").read_text())
    verdict = load_results(run_dir).verdict
    assert verdict is not None
    ours, theirs = (
        ((stored[key] >= thresholds[key]) == stored["labels"]).all(axis=1)
        for key in (verdict.declared.candidate, verdict.declared.against)
    )
    assert verdict.only_candidate_right == (ours & ~theirs).sum()
    assert verdict.only_other_right == (theirs & ~ours).sum()


def test_flags_that_a_subset_made_rarer_are_weighted_as_often_as_they_were(
    run_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run_dir, tmp_path / "run"))
    data = json.loads((folder / "data.json").read_text())
    data["available"]["test"] = dict.fromkeys(NAMES, 100)
    data["dropped"]["test"]["not in the subset"] = 1000 - data["functions"]["test"]
    (folder / "data.json").write_text(json.dumps(data))
    natural = load_results(folder).natural
    assert natural is not None
    assert natural.of == 1000
    stored = arrays(folder / "stacking" / "test_probabilities.npz")
    words = next(row for row in natural.rows if row.key == "baseline:tfidf_lr")
    thresholds = json.loads((folder / "stacking" / "thresholds.json").read_text())
    given = stored["baseline:tfidf_lr"] >= thresholds["baseline:tfidf_lr"]
    assert given.any()
    for place in np.flatnonzero(given.any(axis=0)):
        has_flag = stored["labels"][:, place]
        # Bayes: of 1,000 functions 100 have the flag.
        right = 0.1 * given[has_flag, place].mean()
        wrong = 0.9 * given[~has_flag, place].mean()
        assert words.precision[place] == pytest.approx(right / (right + wrong))
    write_report(folder)
    page = (folder / "report" / "report.html").read_text()
    assert "of 1,000 functions" in page
    n_left_out = data["dropped"]["test"]["not in the subset"]
    row = rf"not in the subset<[^/]*/span>[^/]*/span></th><td>0</td><td>0</td><td>{n_left_out}</td>"
    assert re.search(row, page)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "thresholds.json: it is missing"),
        ("{}", "it lacks numbers for"),
        ('{"base:micro": [0.5]}', "it lacks numbers for|must have 5 finite numbers"),
        ("[]", "one JSON object"),
    ],
)
def test_damaged_thresholds_are_refused(
    run_dir: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    folder = Path(shutil.copytree(run_dir, tmp_path / "run"))
    path = folder / "stacking" / "thresholds.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        write_report(folder)


def test_thresholds_that_are_not_the_leaderboards_are_refused(
    run_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run_dir, tmp_path / "run"))
    path = folder / "stacking" / "thresholds.json"
    stored = json.loads(path.read_text())
    board = pd.read_csv(folder / "stacking" / "leaderboard.csv")
    wrong = board[board["accuracy"] < 0.9].iloc[0]
    key = f"{wrong['kind']}:{wrong['name']}"
    path.write_text(json.dumps({**stored, key: [2.0] * 5}))  # no flag is ever given
    labels = arrays(folder / "stacking" / "test_probabilities.npz")["labels"]
    assert abs((~labels.any(axis=1)).mean() - wrong["accuracy"]) > 0.01
    with pytest.raises(CheckpointError, match=rf"{key} has accuracy .*leaderboard.csv says"):
        write_report(folder)


def test_the_manifest_of_a_subset_lists_what_two_people_need(
    config: RunConfig, run_dir: Path
) -> None:
    found = json.loads((run_dir / "subset.json").read_text())
    data = read_data(Path(config.data_dir), label_mode="multilabel", subset=60, seed=42)
    assert found["ids"] == {split: rows.ids.tolist() for split, rows in data.splits.items()}
    assert found["fingerprint"] == data.fingerprint
    assert found["wanted"] == {"train": 60, "validation": 60, "test": 60}
    assert {key: found[key] for key in ("subset", "seed", "label_mode", "label_rule")} == {
        "subset": 60,
        "seed": 42,
        "label_mode": "multilabel",
        "label_rule": "priority",
    }
    assert found["shortages"] == [
        f"{split}: has {len(rows)} functions, subset asks for 60"
        for split, rows in data.splits.items()
    ]
