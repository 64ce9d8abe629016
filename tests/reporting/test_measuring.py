"""What a report holds of each model of a real run: views, calibration, promises, agreement."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, matthews_corrcoef

from enstack.errors import CheckpointError
from enstack.metrics.temperature import tempered
from enstack.reporting.findings import load_results
from enstack.reporting.html import share
from enstack.reporting.leaderboard import number
from enstack.reporting.page import write_report
from enstack.reporting.stored_run import read_run
from enstack.rounding import percent
from enstack.run_folder import RunFolder
from enstack.storage.arrays import read_arrays
from tests.support.pages import english

Ensemble = tuple[RunFolder, list[str]]


@pytest.fixture(params=["ensemble", "flags_ensemble"])
def run(request: pytest.FixtureRequest) -> RunFolder:
    folder, _ = request.getfixturevalue(request.param)
    return folder


def spoilt(run: RunFolder, tmp_path: Path, **settings: Any) -> RunFolder:
    """A copy of a run whose data.json says something else."""
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    data = json.loads(copy.data_file.read_text())
    copy.data_file.write_text(json.dumps({**data, **settings}))
    return copy


def forget_cuts(run: RunFolder) -> None:
    """As a run left it that is older than the record of cut functions by class."""
    for path in run.base_models.glob("*/probabilities/manifest.json"):
        manifest = json.loads(path.read_text())
        del manifest["truncated_by_class"]
        path.write_text(json.dumps(manifest))


def test_every_row_of_the_leaderboard_is_evaluated(run: RunFolder):
    results = load_results(run.path)
    assert [of.key for of in results.evaluations] == [row.key for row in results.leaderboard]
    assert results.chosen in results.evaluations
    for of, row in zip(results.evaluations, results.leaderboard, strict=True):
        assert (of.accuracy, of.macro_f1, of.mcc) == pytest.approx(
            (row.accuracy, row.macro_f1, row.mcc)
        )
        assert list(of.curves) == [entry["class"] for entry in of.per_class]


def test_vulnerable_or_not_is_asked_of_flags_and_of_classes_with_a_clean_one(run: RunFolder):
    stored = read_run(run)
    flags = stored.task.has_thresholds
    truth = stored.labels.any(axis=1) if flags else stored.labels < 5
    for of in load_results(run.path).evaluations:
        probabilities = stored.probabilities[of.key].astype(np.float64)
        if flags:
            said = (probabilities >= stored.thresholds[of.key]).any(axis=1)
            scores = 1 - np.prod(1 - probabilities, axis=1)
        else:
            said, scores = probabilities.argmax(axis=1) < 5, probabilities[:, :5].sum(axis=1)
        found = of.detection
        assert found is not None
        assert (found.n, found.vulnerable, found.alerts) == (len(truth), truth.sum(), said.sum())
        # Flags of 0 and 1 differ by rounding here: their order is what counts.
        assert found.average_precision == pytest.approx(
            average_precision_score(truth, np.round(scores, 12)), abs=1e-6
        )
        if len(set(said)) == 2:
            assert found.mcc == pytest.approx(matthews_corrcoef(truth, said))


def test_every_row_but_word_counts_has_its_auc_less_that_of_word_counts(run: RunFolder):
    results = load_results(run.path)
    found = {of.key: of.detection for of in results.evaluations}
    words = found.pop("baseline:tfidf_lr")
    assert words is not None
    assert words.auc_less_word_counts is None
    for of in found.values():
        assert of is not None
        less = of.auc_less_word_counts
        assert less is not None
        assert less.value == pytest.approx(of.auc - words.auc)
        assert less.low <= less.value <= less.high


def test_classes_without_a_clean_one_are_asked_nothing_of_it(ensemble: Ensemble, tmp_path: Path):
    run, _ = ensemble
    names = json.loads(run.data_file.read_text())["class_names"]
    renamed = [name if name != "clean" else "CWE-1" for name in names]
    counts = json.loads(run.data_file.read_text())["counts"]
    counts = {
        split: {("CWE-1" if name == "clean" else name): n for name, n in of.items()}
        for split, of in counts.items()
    }
    copy = spoilt(run, tmp_path, class_names=renamed, counts=counts, available=counts)
    forget_cuts(copy)
    results = load_results(copy.path)
    assert {of.detection for of in results.evaluations} == {None}
    assert {promise.answers for of in results.evaluations for promise in of.promises} <= {"classes"}


def test_temperatures_are_chosen_on_validation_and_measured_on_test(run: RunFolder):
    stored = read_run(run)
    n_selection = stored.data["holdout"]["selection"]["functions"]
    for of in load_results(run.path).evaluations:
        found, probabilities = of.calibration, stored.probabilities[of.key]
        assert found.log_loss == pytest.approx(stored.task.log_loss(stored.labels, probabilities))
        assert found.refinement + found.calibration == pytest.approx(found.log_loss)
        if of.kind == "baseline":
            assert found.temperature is found.tempered is None
            continue
        assert found.n_validation == n_selection
        assert found.temperature is not None
        at = tempered(probabilities, found.temperature, stored.task)
        assert found.tempered_log_loss == pytest.approx(stored.task.log_loss(stored.labels, at))
        # No temperature is better on test than the one of test itself.
        assert found.refinement <= found.tempered_log_loss + 1e-6
        assert found.tempered is not None
        assert sum(part.n for part in found.tempered.bins) == len(stored.task.taken(stored.labels))


def test_what_is_promised_is_held_against_test(ensemble: Ensemble, tmp_path: Path):
    run, _ = ensemble
    copy = spoilt(run, tmp_path)
    calibration = json.loads(copy.stacking.calibration.read_text())
    key = next(iter(calibration))
    for promises in calibration[key]["promises"].values():
        promises[0]["threshold"] = 0.25
    copy.stacking.calibration.write_text(json.dumps(calibration))
    stored = read_run(copy)
    probabilities = stored.probabilities[key]
    found = {
        (promise.answers, promise.target): promise
        for of in load_results(copy.path).evaluations
        for promise in of.promises
        if of.key == key
    }
    assert {target for _, target in found} == {0.8, 0.9, 0.95}
    answered = probabilities.max(axis=1) >= 0.25
    right = probabilities.argmax(axis=1) == stored.labels
    classes = found["classes", 0.8]
    assert classes.answered_on_test == answered.sum()
    assert classes.right_on_test == (answered & right).sum()
    alerted = probabilities[:, :5].sum(axis=1, dtype=np.float64) >= 0.25
    alerts = found["alerts", 0.8]
    assert alerts.answered_on_test == alerted.sum()
    assert alerts.right_on_test == (alerted & (stored.labels < 5)).sum()


def test_a_run_from_before_temperatures_is_reported_without_them(run: RunFolder, tmp_path: Path):
    copy = spoilt(run, tmp_path)
    copy.stacking.calibration.unlink()
    forget_cuts(copy)
    results = load_results(copy.path)
    assert {of.calibration.temperature for of in results.evaluations} == {None}
    assert [promise for of in results.evaluations for promise in of.promises] == []
    assert results.truncated == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"temperature": 0}, "temperature above 0"),
        ({"temperature": "hot"}, "is damaged"),
        ({"promises": {"classes": [{"threshold": float("inf")}]}}, "finite thresholds"),
        ({"promises": [1]}, "is damaged"),
    ],
)
def test_a_damaged_calibration_is_refused_by_its_name(
    ensemble_copy: RunFolder, damage: dict[str, Any], said: str
):
    path = ensemble_copy.stacking.calibration
    stored = json.loads(path.read_text())
    stored["vote:mean"] |= damage
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match=rf"calibration\.json: vote:mean .*{said}"):
        load_results(ensemble_copy.path)


def test_agreement_names_every_pair_and_what_no_base_model_answers(run: RunFolder):
    stored, found = read_run(run), load_results(run.path).agreement
    keys = [row.key for row in stored.rows]
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        (first, second) for place, first in enumerate(keys) for second in keys[place + 1 :]
    ]
    right = [
        stored.task.right(stored.labels, stored.decisions(row))
        for row in stored.rows
        if row.kind == "base"
    ]
    assert (found.n, found.right_by_none) == (len(stored.labels), (~np.any(right, axis=0)).sum())


def test_cut_functions_are_counted_class_by_class(run: RunFolder):
    results, data = load_results(run.path), json.loads(run.data_file.read_text())
    assert {of.base_model for of in results.truncated} == set(data["truncated"])
    for name, splits in data["truncated"].items():
        for split, n_cut in splits.items():
            of_split = [
                of for of in results.truncated if (of.base_model, of.split) == (name, split)
            ]
            assert {of.class_name: of.functions for of in of_split} == data["counts"][split]
            assert all(0 <= of.truncated <= of.functions for of in of_split)
            total = sum(of.truncated for of in of_split)
            # With flags, a function counts for each of its own, or for none.
            if data["label_mode"] != "multilabel":
                assert total == n_cut
            assert n_cut > 0


def test_a_model_that_always_says_the_same_has_collapsed(ensemble_copy: RunFolder):
    path = ensemble_copy.stacking.test_probabilities
    with np.load(path) as file:
        names = file.files
    stored = read_arrays(path, names)
    key = next(name for name in names if name.startswith("base:"))
    stored[key] = np.tile(np.eye(6, dtype=np.float32)[2], (len(stored["labels"]), 1))
    np.savez(path, **stored)
    board = ensemble_copy.stacking.leaderboard
    lines = board.read_text().splitlines()
    columns, name = lines[0].split(","), key.partition(":")[2]
    accuracy = (stored["labels"] == 2).mean()
    for place, line in enumerate(lines):
        cells = line.split(",")
        if cells[:2] == ["base", name]:
            cells[columns.index("accuracy")], cells[columns.index("mcc")] = str(accuracy), "0.0"
            lines[place] = ",".join(cells)
    board.write_text("\n".join(lines) + "\n")
    found = {of.key: of for of in load_results(ensemble_copy.path).collapsed}
    assert (found[key].only_answer, found[key].mcc) == ("CWE-469", 0)
    assert "baseline:majority" not in found


def test_the_page_shows_what_each_model_is_measured_by(run: RunFolder, tmp_path: Path):
    copy = Path(shutil.copytree(run.path, tmp_path / "run"))
    results, page = load_results(copy), write_report(copy)
    found = re.findall(r"<tr.*?</tr>", english(page.read_text(encoding="utf-8")), re.DOTALL)
    rows = [" ".join(html.unescape(re.sub("<[^>]+>", " ", row)).split()) for row in found]

    def shown(*cells: str) -> bool:
        return any(all(cell in row for cell in cells) for row in rows)

    for of in results.evaluations:
        at = of.calibration
        if at.tempered is not None:
            ece = (number(of.reliability.ece), number(at.tempered.ece))
            assert shown(of.title, number(at.temperature, 2), *ece, number(at.refinement))
    for entry in results.chosen.per_class:
        assert shown(entry["class"], number(entry["mcc"]), number(entry["average_precision"]))
    for promise in results.chosen.promises:
        kept = promise.threshold is not None
        right = share(promise.right_on_test, promise.answered_on_test)
        assert shown(percent(promise.target, 0), right if kept else "could not be promised")
    of_base = [pair for pair in results.agreement.pairs if pair.second.startswith("base:")]
    for pair in of_base:
        if pair.first.startswith("base:"):
            names = [key.removeprefix("base:") for key in (pair.first, pair.second)]
            assert shown(*names, percent(pair.same))
    for cut in results.truncated:
        if cut.split == "test" and cut.truncated:
            assert shown(cut.class_name, share(cut.truncated, cut.functions))
