"""The report: what it says, what it escapes, what it refuses."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from enstack.data.made_up import MADE_UP_NOTE
from enstack.data.weaknesses import FLAG, MEANINGS
from enstack.errors import CheckpointError
from enstack.metrics.chance import WHAT_HELPS, WHAT_HELPS_ADDED, chance_text
from enstack.metrics.one_class import OneClass
from enstack.plots import STYLE
from enstack.reporting.alerts import alerts_of
from enstack.reporting.content import TrainingCurve
from enstack.reporting.figures import plot_class_f1, plot_training_curves
from enstack.reporting.findings import load_results
from enstack.reporting.leaderboard import (
    leaderboard_text,
    read_leaderboard_frame,
)
from enstack.reporting.page import write_report
from enstack.reporting.schema import report_schema
from enstack.reporting.seeds import summarize_seeds
from enstack.run_folder import RunFolder
from enstack.stacking.titles import TITLES
from tests.support.equality import tree_digest
from tests.support.pages import Page, english
from tests.support.report_runs import (
    BINARY,
    COLUMNS,
    CWE,
    FULL,
    HOSTILE,
    MEASURES,
    SUPPORT,
    history_lines,
    write_binary_run,
    write_full_run,
    write_minimal_run,
    write_near_train,
    write_run,
)
from tests.support.verdicts import difference, verdict_of, write_verdict
from tests.support.vietnamese import english_left


def page_html(run_dir: Path) -> str:
    return english((run_dir / "report" / "report.html").read_text(encoding="utf-8"))


def refuse_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def edit_leaderboard(run_dir: Path, change: Callable[[dict[str, str]], None]) -> None:
    path = run_dir / "stacking" / "leaderboard.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = write_full_run(tmp_path_factory.mktemp("report") / "vdisc-42")
    write_report(run_dir)
    return run_dir


@pytest.fixture
def minimal_run(tmp_path: Path) -> Path:
    return write_minimal_run(tmp_path / "minimal")


def test_page_is_one_file_without_scripts_or_outside_links(full_run: Path) -> None:
    page = Page(full_run / "report" / "report.html")
    assert all(target.startswith("#") for target in page.targets)
    assert not page.tags & {"script", "link", "iframe", "object", "img"}


def test_names_that_users_gave_are_escaped(full_run: Path) -> None:
    page = Page(full_run / "report" / "report.html")
    assert page.text.count(HOSTILE) >= 3
    assert "<i>test</i>: 3 were cut." in page.text
    assert "vdisc & <more>" in page.text
    assert "<script" not in page_html(full_run)


def test_each_figure_is_a_file_and_but_for_the_confusions_a_picture_of_the_page(
    full_run: Path,
) -> None:
    figures = {path.stem for path in (full_run / "report" / "figures").glob("*.png")}
    on_page = {
        "class_f1",
        "precision_recall",
        "reliability",
        "risk_coverage",
        "training_loss",
        "validation_macro_f1",
    }
    assert figures == on_page | {"confusion_matrix"}
    page = page_html(full_run)
    named = re.findall(r'<svg [^>]*role="img" aria-labelledby="([a-z_0-9]+)-title"', page)
    assert set(named) == on_page
    assert all(page.count(f'<text id="{name}-title"') == 1 for name in named)


def test_writing_again_changes_no_byte(full_run: Path) -> None:
    before = tree_digest(full_run)
    assert write_report(full_run) == full_run / "report" / "report.html"
    assert tree_digest(full_run) == before


def test_report_json_is_strict_json_and_holds_the_results(full_run: Path) -> None:
    text = (full_run / "report" / "report.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse_constant) == load_results(full_run).to_json()


def test_headline_names_the_best_row_with_its_interval(full_run: Path) -> None:
    best = load_results(full_run).leaderboard[0]
    text = Page(full_run / "report" / "report.html").text
    low, high = best.macro_f1_low, best.macro_f1_high
    assert best.key == "stack:lr"
    assert "Best on test: stack with logistic regression" in text
    assert f"{best.macro_f1:.3f} macro-F1, 95 % interval {low:.3f}–{high:.3f}" in text


def test_that_functions_are_made_up_is_said_once(tmp_path: Path) -> None:
    run_dir = write_minimal_run(tmp_path / "run")
    assert Page(write_report(run_dir)).text.count("say nothing of real code") == 1
    settings = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps({**settings, "data_dir": "/data/vdisc"}))
    assert "made up" not in Page(write_report(run_dir)).text
    data = json.loads((run_dir / "data.json").read_text())
    (run_dir / "data.json").write_text(json.dumps({**data, "notes": [MADE_UP_NOTE, "another"]}))
    text = Page(write_report(run_dir)).text
    assert text.count(MADE_UP_NOTE) == 1, "as of a folder that `enstack toy` wrote"
    assert "Notes another" in text


def test_what_the_table_of_flags_says_is_no_note_beside_it(minimal_run: Path) -> None:
    path = minimal_run / "data.json"
    data = json.loads(path.read_text())
    note = "train: 58 functions with several flags, the first of them won"
    flags = {"flag_counts": {"several flags": {"train": 58}}}
    flags["flags_become"] = {"several flags": "the first by priority"}
    for more, told in (({}, True), (flags, False)):
        path.write_text(json.dumps({**data, **more, "notes": [note]}))
        assert (note in Page(write_report(minimal_run)).text) is told


def with_settings(folder: Path, /, **changed: Any) -> str:
    """The page of a run with some settings changed, as text."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    return Page(write_report(folder)).text


def trained_in(run_dir: Path, base_model: str, *precisions: str) -> None:
    """Let the epochs of a base model have been trained so, one after another."""
    path = run_dir / "base_models" / base_model / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["event"] == "epoch":
            line["precision"] = precisions[min(line["epoch"], len(precisions)) - 1]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


def test_the_report_names_the_precision_that_auto_was(minimal_run: Path, tmp_path: Path) -> None:
    assert "precision auto" in with_settings(minimal_run, precision="auto"), "nobody recorded it"
    trained_in(minimal_run, "tiny-a", "bf16")
    assert "precision auto, which was bf16" in with_settings(minimal_run)
    assert "precision fp32" in with_settings(minimal_run, precision="fp32")
    run_dir = write_binary_run(tmp_path / "two")
    trained_in(run_dir, "tiny-a", "bf16", "fp32")
    trained_in(run_dir, "tiny-b", "fp16")
    text = with_settings(run_dir, precision="auto")
    assert "precision auto, which was bf16, then fp32 (tiny-a); fp16 (tiny-b)" in text


def test_a_report_says_nothing_of_home_folders_and_of_the_scratch_disk(
    minimal_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/somewhere/anna")
    data = json.loads((minimal_run / "data.json").read_text())
    notes = ["read from /somewhere/anna/data.csv, not /somewhere/annabel/x"]
    (minimal_run / "data.json").write_text(json.dumps({**data, "notes": notes}))
    text = with_settings(
        minimal_run,
        data_dir="/somewhere/anna",
        base_models=["/home/bert/models/mine", "microsoft/codebert-base"],
        run_dir="/Users/carl/runs/first",
        local_dir="/scratch/anna/cache",
        resume_from="",
    )
    stored = (minimal_run / "report" / "report.json").read_text()
    for said in (text, stored):
        assert not re.search(r"/somewhere/anna\b|bert/|carl|scratch", said)
    assert "base_models ~/models/mine, microsoft/codebert-base" in text
    assert "run_dir ~/runs/first" in text
    assert "read from ~/data.csv, not /somewhere/annabel/x" in text
    assert "resume_from none" in text


def test_what_models_are_selected_on_is_said_in_words(minimal_run: Path) -> None:
    text = Page(write_report(minimal_run)).text
    assert "base models selected on 120 functions of validation" in text
    assert "stacks fitted on 120 functions of validation" in text
    data = json.loads((minimal_run / "data.json").read_text())
    data["holdout"] |= {"folds": [60, 59, 1], "selection": {"split": "train", "functions": 1}}
    (minimal_run / "data.json").write_text(json.dumps(data))
    text = Page(write_report(minimal_run)).text
    assert "base models selected on 1 function of train" in text
    assert "folds 60, 59 and 1 functions of train" in text
    assert "split:" not in text


def test_flags_and_weaknesses_are_explained_in_a_line_each(full_run: Path, tmp_path: Path) -> None:
    text = Page(full_run / "report" / "report.html").text
    assert "CWE-469 a size is worked out by subtracting pointers" in text
    assert all(f"{name} {MEANINGS[name]}" in text for name in CWE)
    assert FLAG not in text, "a label column knows no flags"
    run_dir = write_binary_run(tmp_path / "binary")
    data = json.loads((run_dir / "data.json").read_text())
    became = {"no flag": {"test": 3}}
    (run_dir / "data.json").write_text(
        json.dumps({**data, "flag_counts": became, "flags_become": {"no flag": "clean"}})
    )
    text = Page(write_report(run_dir)).text
    assert FLAG in text
    assert "vulnerable any flag" in text
    assert MEANINGS["CWE-469"] not in text


def test_the_best_stack_is_shown_class_by_class_where_another_row_won(
    full_run: Path, tmp_path: Path
) -> None:
    assert load_results(full_run).best_stack is None, "it is the chosen row itself"
    leans = {"base:tiny-a": 1.0, "stack:lr": 1.9, "stack:rf": 0.5, "baseline:tfidf_lr": 3.0}
    run_dir = write_run(tmp_path / "words", leans, SUPPORT, CWE, 1)
    results = load_results(run_dir)
    assert results.best_stack is not None
    assert (results.chosen.key, results.best_stack.key) == ("baseline:tfidf_lr", "stack:lr")
    text = Page(write_report(run_dir)).text
    assert "Numbers per class, stack with logistic regression" in text
    assert "Numbers per class, baseline TF-IDF" in text


def test_leaderboard_is_ranked_whatever_the_order_of_the_file(full_run: Path) -> None:
    values = [row.macro_f1 for row in load_results(full_run).leaderboard]
    assert len(values) == len(FULL)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.1, "better than this"), (-0.1, "worse than this"), (0.01, "no difference is shown")],
)
def test_page_says_on_which_side_of_zero_the_interval_lies(
    minimal_run: Path, value: float, said: str
) -> None:
    write_verdict(minimal_run, verdict_of(difference(value, 0.05)))
    every = ("better than this", "worse than this", "no difference is shown")
    text = Page(write_report(minimal_run)).text
    assert [one for one in every if one in text] == [said]


def test_page_holds_the_candidate_against_word_counts_too(minimal_run: Path) -> None:
    write_verdict(minimal_run, verdict_of(difference(0.1, 0.05), difference(-0.123, 0.05)))
    text = Page(write_report(minimal_run)).text
    assert text.index("Against tiny-a +0.100") < text.index("Against TF-IDF + logistic reg")
    assert "−0.123 −0.173 to −0.073" in text
    assert "0.864 as measured, 0.851 corrected for it" in text


def test_results_without_near_duplicates_are_those_of_the_other_rows(tmp_path: Path) -> None:
    run_dir = write_full_run(tmp_path / "run")
    near = np.random.default_rng(3).random(sum(SUPPORT)) < 0.4
    write_near_train(run_dir, near)
    apart = load_results(run_dir).apart
    assert apart.n == (~near).sum()
    with np.load(run_dir / "stacking" / "test_probabilities.npz") as stored:
        for row in apart.rows:
            expected = OneClass(CWE).evaluate(stored["labels"][~near], stored[row.key][~near])
            assert row.accuracy == expected["accuracy"]
            assert row.macro_f1 == expected["macro_f1"]
    page = Page(write_report(run_dir))
    assert f"{apart.n} of {len(near)} test functions have no near-duplicate" in page.text
    assert f"{apart.rows[0].macro_f1:.3f}" in page.text


def test_where_no_test_function_is_near_train_one_sentence_says_so(tmp_path: Path) -> None:
    run_dir = write_full_run(tmp_path / "run")
    text = Page(write_report(run_dir)).text
    assert f"None of the {sum(SUPPORT)} test functions has a near-duplicate in train" in text
    assert "without near-duplicates in train" not in text


@pytest.mark.parametrize(("n_rows", "threshold"), [(3, 0.7), (240, [0.7, 0.9])])
def test_near_duplicates_that_do_not_fit_are_refused(
    minimal_run: Path, n_rows: int, threshold: Any
) -> None:
    write_near_train(minimal_run, np.zeros(n_rows, bool), threshold)
    with pytest.raises(CheckpointError, match=r"near_train.npz: it must say yes or no of 240"):
        load_results(minimal_run)


def test_every_seed_has_its_own_column_and_no_mean_stands_for_them(tmp_path: Path) -> None:
    """Without other seeds the page says nothing of them."""
    run_dir = write_full_run(tmp_path / "run")
    write_report(run_dir)
    assert "Under other seeds" not in page_html(run_dir)
    for seed, shift in ((7, 0.031), (8, -0.052)):
        other = run_dir / "seeds" / str(seed)
        shutil.copytree(run_dir / "stacking", other / "stacking")
        (other / "stacking" / "manifest.json").write_text("{}")
        edit_leaderboard(
            other, lambda row, d=shift: row.update(macro_f1=str(float(row["macro_f1"]) + d))
        )
    found = summarize_seeds(RunFolder(run_dir))
    assert found is not None
    write_report(run_dir)
    section = page_html(run_dir).split("<h2>Under other seeds")[1].split("</section>")[0]
    rows = section.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1]
    assert len(rows) == len(found.rows) > 2
    for text, row in zip(rows, found.rows, strict=True):
        assert row.title in html.unescape(text)
        figures = [*(one.macro_f1 for one in row.figures), row.across_seeds, row.test_set]
        shown = ["–" if one is None else f"{one:.3f}" for one in figures]
        cells = [cell.split("<")[0] for cell in text.split("<td>")[1:]]
        assert [cell.strip() for cell in cells] == shown
    assert all(f">seed {seed}<" in section for seed in found.seeds)
    assert "never averaged" in section


def test_small_class_is_marked_as_proving_little(full_run: Path, tmp_path: Path) -> None:
    assert "CWE-469 proves little 14" in Page(full_run / "report" / "report.html").text
    large = write_run(tmp_path / "run", {"base:tiny-a": 2.0}, (30,) * 5, CWE, 1)
    assert "proves little" not in Page(write_report(large)).text


def test_majority_class_does_not_stretch_the_axis(full_run: Path) -> None:
    assert page_html(full_run).count("off the axis") == 1


def test_one_base_model_one_epoch_and_no_stack_make_a_report(minimal_run: Path) -> None:
    page = Page(write_report(minimal_run))
    results = load_results(minimal_run)
    assert "Best on test: base model tiny-a" in page.text
    assert "No verdict: this run combines nothing." in page.text
    assert (results.verdict, results.best_base) == (None, None)
    assert [len(model.epochs) for model in results.training] == [1]


def test_binary_run_makes_a_report(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "binary")
    assert "vulnerable" in Page(write_report(run_dir)).text
    assert np.shape(load_results(run_dir).chosen.confusion) == (2, 2)


def test_undefined_measure_is_null_and_shown_as_a_dash(minimal_run: Path) -> None:
    edit_leaderboard(minimal_run, lambda row: row.update(auc="", mcc="nan", macro_f1_low=""))
    row = load_results(minimal_run).leaderboard[0]
    assert (row.auc, row.mcc) == (None, None)
    assert "AUC –" in Page(write_report(minimal_run)).text
    assert leaderboard_text(minimal_run).splitlines()[2].split()[-2:] == ["–", "–"]


@pytest.mark.parametrize("on_test", [0.0, -0.004, 0.006])
@pytest.mark.parametrize("on_validation", [0.001, 0.4, None])
def test_a_base_model_at_chance_is_told_in_one_sentence_that_names_where(
    minimal_run: Path, on_test: float, on_validation: float | None
) -> None:
    edit_leaderboard(minimal_run, lambda row: row.update(mcc=str(on_test)))
    path = minimal_run / "base_models" / "tiny-a" / "history.jsonl"
    records = history_lines(1, 0.35)
    if on_validation is not None:  # older histories know no MCC
        records[-1] |= {"val_mcc": on_validation, "only_answer": "CWE-119"}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    said = {
        "validation": on_validation == 0.001 and "says CWE-119 of every function on validation",
        "test": abs(on_test) < 0.005 and "is no better than chance on test",
    }
    expected = ", and ".join(text for text in said.values() if text)
    told = [(f"tiny-a {expected} (MCC 0.00).", WHAT_HELPS)] if expected else []
    alerts = [one for one in load_results(minimal_run).alerts if one.kind == "collapsed"]
    assert [(one.text, one.action) for one in alerts] == told
    page = Page(write_report(minimal_run)).text
    assert page.count("class_weights=balanced") == len(told)
    assert expected in page


@pytest.mark.parametrize(
    ("split", "folds", "told"),
    [
        ("train", None, ["No train function has CWE-119: no model here can answer so."]),
        ("validation", None, ["No validation function has CWE-119: no stack can have learned to"]),
        ("validation", [120, 120], []),
    ],
)
def test_a_class_that_nothing_could_learn_is_told(
    minimal_run: Path, split: str, folds: list[int] | None, told: list[str]
) -> None:
    data = json.loads((minimal_run / "data.json").read_text())
    data["counts"][split]["CWE-119"] = 0
    data["holdout"] |= {"folds": folds}
    (minimal_run / "data.json").write_text(json.dumps(data))
    alerts = [one.text for one in load_results(minimal_run).alerts if "answer so" in one.text]
    assert all(one.startswith(text) for one, text in zip(alerts, told, strict=True))
    assert english_left(write_report(minimal_run).read_text(encoding="utf-8")) == []


def test_a_model_from_elsewhere_at_chance_is_not_told_to_be_trained_here(minimal_run: Path) -> None:
    edit_leaderboard(minimal_run, lambda row: row.update(mcc="0.0"))
    kept = minimal_run / "added" / "tiny-a" / "probabilities"
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text("{}")
    (alert,) = [one for one in load_results(minimal_run).alerts if one.kind == "collapsed"]
    assert alert.action == WHAT_HELPS_ADDED
    assert english_left(write_report(minimal_run).read_text(encoding="utf-8")) == []


def test_where_test_functions_have_one_label_no_base_model_is_blamed_for_its_answers(
    tmp_path: Path,
) -> None:
    run_dir = write_run(
        tmp_path / "run", {"base:tiny-a": 9.0, "stack:lr": 9.0}, (40, 0), CWE[:2], 1
    )
    assert "collapsed" not in [one.kind for one in load_results(run_dir).alerts]


def test_alike_on_both_splits_is_said_of_both_at_once() -> None:
    alike = chance_text("a", {"validation": (0.0, "clean"), "test": (-0.001, "clean")})
    assert (
        alike == f"a says clean of every function on validation and test (MCC 0.00). {WHAT_HELPS}"
    )
    assert chance_text("a", {"validation": (0.2, None), "test": (None, None)}) is None


def test_loss_that_is_not_finite_leaves_a_gap(minimal_run: Path) -> None:
    path = minimal_run / "base_models" / "tiny-a" / "history.jsonl"
    records = history_lines(4, 0.4)
    records[3]["train_loss"] = float("nan")
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    epochs = load_results(minimal_run).training[0].epochs
    assert [epoch.train_loss is None for epoch in epochs] == [False, True, False, False]
    write_report(minimal_run)


def test_epoch_trained_twice_counts_as_last_recorded(minimal_run: Path) -> None:
    path = minimal_run / "base_models" / "tiny-a" / "history.jsonl"
    again = history_lines(1, 0.7)[1]
    with path.open("a") as file:
        file.write(json.dumps(again) + "\n")
    (epoch,) = load_results(minimal_run).training[0].epochs
    assert epoch.val_macro_f1 == again["val_macro_f1"]


def test_base_model_without_an_epoch_of_its_own_is_listed(minimal_run: Path) -> None:
    (minimal_run / "base_models" / "tiny-a" / "history.jsonl").write_text("")
    assert "tiny-a – – – – –" in Page(write_report(minimal_run)).text


@pytest.mark.parametrize("name", ["_hidden", "模型", "$\\frac{$", "x" * 200])
def test_any_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    leans = {f"base:{name}": 2.0, "stack:lr": 2.4}
    run_dir = write_run(tmp_path / "run", leans, SUPPORT, CWE, 2)
    assert name in Page(write_report(run_dir)).text


def test_name_that_starts_with_an_underscore_has_its_place_in_the_legend() -> None:
    # matplotlib before 3.10 leaves such a label out, and warns.
    figure = plot_training_curves([TrainingCurve("_hidden", [])], "Loss", "train_loss")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0].strip() == "_hidden"
    assert not labels[0].startswith("_")


@pytest.mark.parametrize("classes", [CWE, BINARY, tuple("abcdefghijklmnop")])
def test_no_diamond_lies_on_the_name_of_its_class(classes: Sequence[str]) -> None:
    """A base model that gives no function a class has its diamond at 0, beside the name."""
    per_class = [{"class": name, "f1": 0.0, "support": 40} for name in classes]
    evaluation = SimpleNamespace(per_class=per_class, title="any")
    with matplotlib.rc_context(STYLE):
        figure = plot_class_f1(evaluation, evaluation)  # type: ignore[arg-type]
        figure.draw_without_rendering()
        (axes,), scale = figure.axes, figure.dpi / 72
        (diamonds,) = axes.lines
        half = diamonds.get_markersize() / 2 + diamonds.get_markeredgewidth()
        left = axes.transData.transform((0, 0))[0] - half * scale
        ends = [label.get_window_extent().x1 for label in axes.get_yticklabels()]
        assert max(ends) < left


def test_plotting_settings_of_the_caller_stay(minimal_run: Path) -> None:
    before = dict(matplotlib.rcParams)
    write_report(minimal_run)
    assert dict(matplotlib.rcParams) == before


INPUTS = (
    "config.json",
    "data.json",
    "stacking/leaderboard.csv",
    "stacking/test_probabilities.npz",
    "base_models/tiny-a/history.jsonl",
)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("content", [None, b"\xff\xfe<html>\n{", b"[1, 2]\n", b"{}\n"])
def test_missing_or_damaged_input_is_named_in_one_line(
    minimal_run: Path, name: str, content: bytes | None
) -> None:
    path = minimal_run / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    if (name, content) == ("config.json", b"{}\n"):
        load_results(minimal_run)  # a configuration without a key is whole
        return
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as raised:
        write_report(minimal_run)
    message = str(raised.value)
    assert "\n" not in message
    assert message.endswith("Run the pipeline again.")
    assert not (minimal_run / "report").exists()


def test_counts_that_name_no_classes_are_refused(minimal_run: Path) -> None:
    data = json.loads((minimal_run / "data.json").read_text())
    (minimal_run / "data.json").write_text(json.dumps(data | {"counts": {"train": 5}}))
    with pytest.raises(CheckpointError, match="counts must hold every class of every split"):
        load_results(minimal_run)


def test_cause_of_several_lines_is_told_in_one(minimal_run: Path) -> None:
    path = minimal_run / "stacking" / "test_probabilities.npz"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (0,)}".ljust(20_000) + b"\n"
    with zipfile.ZipFile(path, "w") as stored:
        # numpy's complaint about a header this long has two lines.
        length = len(header).to_bytes(2, "little")
        stored.writestr("labels.npy", b"\x93NUMPY\x01\x00" + length + header)
    with pytest.raises(CheckpointError, match="Header info length") as raised:
        load_results(minimal_run)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", INPUTS)
def test_input_cut_in_half_is_refused(minimal_run: Path, name: str) -> None:
    path = minimal_run / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        load_results(minimal_run)


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("kind", "model", "kind model"),
        ("accuracy", "", "could not convert"),
        ("macro_f1", "nan", "base:tiny-a has no number"),
        ("name", "tiny-b", "base:tiny-b is not a file"),
        ("accuracy", "0.1", r"base:tiny-a has accuracy 0\.\d+, leaderboard.csv says 0\.100"),
    ],
)
def test_leaderboard_that_does_not_fit_is_refused(
    minimal_run: Path, column: str, value: str, found: str
) -> None:
    edit_leaderboard(minimal_run, lambda row: row.update({column: value}))
    with pytest.raises(CheckpointError, match=found):
        load_results(minimal_run)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda labels, values: (labels[:-1], values), r"must be 239 x 5 finite numbers"),
        (lambda labels, values: (labels, values[:, :4]), r"found shape \(240, 4\)"),
        (lambda labels, values: (labels, values * np.nan), "finite numbers"),
        (lambda labels, values: (labels + 1, values), "labels must be below 5"),
        (lambda labels, values: (labels * 0.5, values), "one row of class numbers"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(
    minimal_run: Path, change: Callable[[Any, Any], tuple[Any, Any]], found: str
) -> None:
    path = minimal_run / "stacking" / "test_probabilities.npz"
    with np.load(path) as stored:
        labels, values = change(stored["labels"], stored["base:tiny-a"])
    np.savez(path, labels=labels, **{"base:tiny-a": values})
    with pytest.raises(CheckpointError, match=found):
        load_results(minimal_run)


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_leaderboard_text_fits_without_a_terminal_and_names_what_has_no_room(
    full_run: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    if columns != 80:  # which is what there is where nobody says
        monkeypatch.setenv("COLUMNS", str(columns))
    *table, _ = leaderboard_text(full_run).splitlines()
    lost = [line for line in table if line.startswith("No room for: ")]
    assert all(cell_len(line) <= columns for line in table if line not in lost)
    assert bool(lost) == (columns < 80)
    assert all("AUC, MCC" in line for line in lost)


def test_leaderboard_text_is_aligned_and_fits_100_columns(
    full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    head, rule, *rows, foot = leaderboard_text(full_run).splitlines()
    assert len(rows) == len(FULL)
    assert {len(line) for line in (head, rule, *rows)} == {len(head)}
    assert len(head) <= 100
    assert rows[0].split()[:3] == ["1", "stack", "LR"]
    assert "240 test functions" in foot


def test_no_name_of_ours_is_cut_in_a_table_of_80_columns(tmp_path: Path) -> None:
    """In any label mode; names of base models are their users'."""
    leans = {"base:graphcodebert": 1.0, **dict.fromkeys(TITLES, 1.0)}
    run_dir = write_run(tmp_path / "run", leans, SUPPORT, CWE, 1)
    text = leaderboard_text(run_dir)
    assert "…" not in text
    assert "No room" not in text
    short = [" ".join(line.split()[1:-5]) for line in text.splitlines()[2:-1]]
    assert len({*short}) == len(leans), "each is told from the others"
    assert {row.title for row in load_results(run_dir).leaderboard} > {*TITLES.values()}


def test_leaderboard_text_fits_a_terminal_of_80_columns_by_shortening_names(
    full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    *table, _ = re.sub(r"\x1b\[[0-9;]*m", "", leaderboard_text(full_run)).splitlines()
    assert {cell_len(line) for line in table} == {80}
    assert any("graphc" in line and "-corpus" in line and "…" in line for line in table)


def test_a_base_model_may_be_called_na_and_a_row_that_is_too_short_is_refused(
    tmp_path: Path,
) -> None:
    run_dir = write_run(tmp_path / "run", {"base:NA": 1.8}, SUPPORT, CWE, 1)
    path = run_dir / "stacking" / "leaderboard.csv"
    board = read_leaderboard_frame(path)
    assert (board["name"][0], board["n"].dtype, board["auc"].dtype) == ("NA", "int64", "float64")
    path.write_text(path.read_text().rsplit(",", 1)[0])
    with pytest.raises(CheckpointError, match="a row is too short"):
        read_leaderboard_frame(path)


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_leaderboard_text_is_safe_for_a_terminal_whatever_the_name(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    run_dir = tmp_path_factory.mktemp("run")
    (run_dir / "stacking").mkdir()
    row = dict.fromkeys(MEASURES, 0.5) | {"kind": "base", "name": name, "n": 8}
    with (run_dir / "stacking" / "leaderboard.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    lines = leaderboard_text(run_dir).splitlines()
    assert len(lines) == 4
    assert all(cell_len(line) <= 100 and line.isprintable() for line in lines)


def test_costs_are_shown_where_a_run_recorded_them(full_run: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(full_run, tmp_path / "run")
    # As runs of older code are.
    assert "Cost" not in leaderboard_text(run_dir)
    assert "of training" not in english(write_report(run_dir).read_text(encoding="utf-8"))
    long = "graphcodebert-base-fine-tuned-on-my-own-corpus"
    costs: dict[str, Any] = {
        "stack:lr": {"training_minutes": 94.06, "seconds_per_1000": 1234.56},
        f"base:{long}": {"training_minutes": None, "seconds_per_1000": 0.01},
        "baseline:majority": {"training_minutes": 0.0, "seconds_per_1000": 0.0},
    }
    path = run_dir / "stacking" / "costs.json"
    path.write_text(json.dumps(costs))
    assert leaderboard_text(run_dir).splitlines()[-3:-1] == [
        "Cost of LR: 94.1 min of training, 1,234.6 s for 1,000 functions.",
        f"Cost of {long}: – min of training, <0.1 s for 1,000 functions.",
    ]
    write_verdict(run_dir, verdict_of(difference(0.1, 0.05), candidate="stack:svm"))
    path.write_text(json.dumps({**costs, "stack:svm": costs["stack:lr"]}))
    assert leaderboard_text(run_dir).splitlines()[-3].startswith("Cost of SVM: 94.1 min")
    (run_dir / "stacking" / "verdict.json").unlink()
    path.write_text(json.dumps(costs))
    page = english(write_report(run_dir).read_text(encoding="utf-8"))
    shown = Counter(re.findall(r'<td data-label="(min|s) [^"]*">([^<]*)</td>', page))
    assert shown == {
        ("min", "94.1"): 1, ("s", "1,234.6"): 1, ("s", "&lt;0.1"): 1, ("min", "0.0"): 1,
        ("s", "0.0"): 1, ("min", "–"): len(FULL) - 2, ("s", "–"): len(FULL) - 3,
    }  # fmt: skip
    assert json.loads((run_dir / "report" / "report.json").read_text())["costs"] == costs
    path.write_text(json.dumps({"stack:lr": {"training_minutes": "long"}}))
    with pytest.raises(CheckpointError, match=r"The report can't use .*costs.json"):
        write_report(run_dir)


def test_a_rare_class_that_a_subset_made_a_fifth_more_frequent_counts_as_drawn_otherwise(
    full_run: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(full_run, run_dir)
    path = run_dir / "data.json"
    data = json.loads(path.read_text())
    rare, *others = counts = data["counts"]["test"]
    for times, is_shown in ((105, False), (83, True)):
        before = {name: 100 * counts[name] for name in others}
        data["available"] = {"test": {rare: times * counts[rare], **before}}
        path.write_text(json.dumps(data))
        assert (load_results(run_dir).natural is not None) == is_shown


def test_a_down_sampled_test_split_is_also_weighted_as_the_whole_data(
    full_run: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(full_run, run_dir)
    assert load_results(run_dir).natural is None
    path = run_dir / "data.json"
    data = json.loads(path.read_text())
    counts = data["counts"]["test"]
    rare, *others = counts
    # One class came a hundred times as often as the subset has it.
    data["available"] = {"test": {rare: 100 * counts[rare], **{n: counts[n] for n in others}}}
    path.write_text(json.dumps(data))
    results = load_results(run_dir)
    natural, best = results.natural, results.leaderboard[0]
    assert natural is not None
    assert natural.frequencies == data["available"]["test"]
    assert [row.key for row in natural.rows] == [row.key for row in results.leaderboard]
    confusion = np.array(results.chosen.confusion, dtype=float)
    confusion[0] *= 100
    assert natural.rows[0].accuracy == pytest.approx(np.trace(confusion) / confusion.sum())
    assert natural.rows[0].accuracy != pytest.approx(best.accuracy)
    write_report(run_dir)
    text = Page(run_dir / "report" / "report.html").text
    assert "At the frequencies of the whole data" in text
    assert f"{natural.rows[0].macro_precision:.3f}" in text


def choose_on_validation(run_dir: Path, best: str) -> None:
    chosen = {"measure": "macro_f1", "functions": 120, "parts": 5, "scores": {best: 0.5}}
    (run_dir / "stacking" / "selection.json").write_text(json.dumps({**chosen, "best": best}))


@pytest.mark.parametrize("best", ["base:tiny-a", "vote:mean", "stack:xgboost"])
def test_the_report_is_about_the_model_that_validation_chose(tmp_path: Path, best: str) -> None:
    run_dir = write_full_run(tmp_path / "run")
    choose_on_validation(run_dir, best)
    content = load_results(run_dir)
    ranks = {row.key: rank for rank, row in enumerate(content.leaderboard, start=1)}
    assert content.chosen.key == content.choice.key == best
    assert content.choice.chosen_on == "validation"
    assert content.choice.rank_on_test == ranks[best] > 1
    text = Page(write_report(run_dir)).text
    assert "Chosen on validation:" in text
    assert "Best on test" not in text
    assert f"On test it is row {ranks[best]} of {len(FULL)}" in text


def test_a_run_that_does_not_say_what_it_chose_says_so(full_run: Path) -> None:
    content = load_results(full_run)
    assert content.choice.chosen_on == "test"
    assert "does not say what it chose on validation" in Page(write_report(full_run)).text


def test_the_verdict_comes_before_every_figure(minimal_run: Path) -> None:
    verdict = verdict_of(
        difference(0.01, 0.05), candidate="stack:lr", accuracy=difference(-0.02, 0.05)
    )
    write_verdict(minimal_run, verdict)
    text = Page(write_report(minimal_run)).text
    order = [
        verdict.sentence,
        "Accuracy points",
        "How sure?",
        "What next?",
        "One comparison was declared",
        "What this is",
        "Before you trust these figures",
        "Leaderboard",
        "Best on test",
        "Does stacking pay?",
    ]
    places = [text.index(piece) for piece in order]
    assert places == sorted(places)
    stored = load_results(minimal_run).to_json()["verdict"]
    assert stored == json.loads((minimal_run / "stacking" / "verdict.json").read_text())
    assert "without its callers" in text, "what the figures can't tell"


def test_a_damaged_verdict_is_refused_in_one_line(minimal_run: Path) -> None:
    (minimal_run / "stacking" / "verdict.json").write_text('{"outcome": "better"}')
    with pytest.raises(CheckpointError, match=r"verdict.json: declared: Field required, and \d+ m"):
        load_results(minimal_run)


def test_every_alert_says_what_to_do(minimal_run: Path) -> None:
    data = json.loads((minimal_run / "data.json").read_text())
    n, cut = sum(SUPPORT), {"tiny-a": {"train": 0, "validation": 0, "test": 49}}
    (minimal_run / "data.json").write_text(json.dumps({**data, "truncated": cut}))
    write_near_train(minimal_run, np.arange(n) < 7)
    alerts = load_results(minimal_run).alerts
    kinds = [alert.kind for alert in alerts]
    assert kinds == ["made_up", "contamination", "cut", "small_class"]
    text = Page(write_report(minimal_run)).text
    for alert in alerts:
        assert f"{alert.text} {alert.action}" in text


def test_a_fifth_that_is_cut_is_no_alert_and_more_is(minimal_run: Path) -> None:
    data = json.loads((minimal_run / "data.json").read_text())
    for n_cut, expected in ((48, False), (49, True)):  # of 240
        cut = {"tiny-a": {"test": n_cut}}
        (minimal_run / "data.json").write_text(json.dumps({**data, "truncated": cut}))
        kinds = [alert.kind for alert in load_results(minimal_run).alerts]
        assert ("cut" in kinds) is expected


def test_only_the_papers_subset_is_put_beside_its_table(tmp_path: Path) -> None:
    leans = {
        "base:unixcoder-base": 1.6,
        "base:graphcodebert-base": 1.4,
        "base:codebert-base": 1.2,
        "base:graphcodebert-base-fine-tuned": 1.0,
        "stack:svm": 1.9,
    }
    run_dir = write_run(tmp_path / "run", leans, SUPPORT, CWE, 1)
    assert load_results(run_dir).paper is None
    assert "Beside the paper" not in with_settings(run_dir, subset=240)
    page = with_settings(run_dir, subset="paper")
    assert "Beside the paper" in page
    assert "SVM G+U, SVM" in page
    rows = {row.key: row for row in load_results(run_dir).paper or ()}
    assert {key: row.paper_accuracy for key, row in rows.items()} == {
        "stack:svm": 0.8236,
        "base:unixcoder-base": 0.8154,
        "base:graphcodebert-base": 0.8005,
        "base:codebert-base": 0.7851,
    }


def test_sessions_that_did_nothing_are_not_counted(minimal_run: Path) -> None:
    software = {"enstack": "9.9", "commit": "abc", "python": "3.12", "packages": {"torch": "2"}}
    lines = [
        {"time": "1", "event": "run_started"},
        {"time": "2", "event": "saved"},
        {"time": "3", "event": "run_started", "software": software},
        {"time": "4", "event": "training_started", "device": "Tesla T4"},
        {"time": "2026-11-27T12:18:59+00:00", "event": "stacking_finished"},
        {"time": "6", "event": "run_started", "software": software},
        {"time": "7", "event": "run_finished"},
    ]
    text = "\n".join(map(json.dumps, lines))
    (minimal_run / "events.jsonl").write_text(text + '\n{"time": "8", "ev')
    found = load_results(minimal_run).provenance
    assert found.finished == "2026-11-27T12:18:59+00:00"
    assert [(one.started, one.ended, one.devices) for one in found.sessions] == [
        ("1", "2", []),
        ("3", "2026-11-27T12:18:59+00:00", ["Tesla T4"]),
    ]
    page = Page(write_report(minimal_run)).text
    assert "1 to 2; versions were not recorded" in page
    assert "test measured 2026-11-27 12:18 UTC" in page
    assert "trained on Tesla T4; enstack 9.9 (commit abc), Python 3.12, torch 2" in page


@pytest.mark.parametrize("write", [write_full_run, write_minimal_run, write_binary_run])
def test_report_json_keeps_its_schema(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    content = load_results(write(tmp_path / "run")).to_json()
    jsonschema.Draft202012Validator.check_schema(report_schema())
    checked = jsonschema.Draft202012Validator(report_schema())
    checked.validate(content)
    for key in content:
        less = {name: value for name, value in content.items() if name != key}
        assert not checked.is_valid(less), key
    assert not checked.is_valid({**content, "best_on_test": 1})


@pytest.mark.parametrize(
    ("where", "beyond"),
    [
        (("leaderboard", 0, "accuracy"), 1.1),
        (("leaderboard", 0, "macro_f1_low"), -0.1),
        (("leaderboard", 0, "mcc"), -1.1),
        (("leaderboard", 0, "n"), -1),
        (("evaluations", 0, "weighted_f1"), 2),
        (("evaluations", 0, "risk_coverage", "risk", 0), 1.5),
        (("agreement", "pairs", 0, "same"), 1.2),
        (("evaluations", 0, "per_class", 0, "f1"), 1.2),
        (("evaluations", 0, "per_class", 0, "support"), -1),
        (("evaluations", 0, "per_class", 1, "mcc"), -1.1),
        (("chosen", "per_class", 0, "auc"), 1.01),
    ],
)
def test_the_schema_of_report_json_refuses_a_figure_that_can_not_be(
    tmp_path: Path, where: tuple[Any, ...], beyond: float
) -> None:
    content = load_results(write_full_run(tmp_path / "run")).to_json()
    *way, last = where
    part = content
    for step in way:
        part = part[step]
    checked = jsonschema.Draft202012Validator(report_schema())
    part[last] = 1 if last != "mcc" else -1
    checked.validate(content)
    part[last] = beyond
    assert not checked.is_valid(content)


def test_small_classes_are_one_alert(minimal_run: Path) -> None:
    per_class = [
        {"class": name, "support": support}
        for name, support in (("CWE-469", 9), ("CWE-476", 29), ("CWE-119", 30), ("CWE-120", 1))
    ]
    told = alerts_of(
        {"notes": [], "truncated": {}, "counts": {}, "holdout": {}}, {}, per_class, 0, 69
    )
    assert [alert.text for alert in told] == [
        "CWE-469 has 9 test functions, CWE-476 29 and CWE-120 1, under 30: their figures prove "
        "little, yet macro-F1 counts every class alike."
    ]
