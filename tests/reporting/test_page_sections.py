"""What the page shows of the chosen model and the other rows, section by section."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from enstack.errors import CheckpointError
from enstack.plots import STYLE
from enstack.reporting.curve_figures import (
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
)
from enstack.reporting.findings import load_results
from enstack.reporting.page import write_report
from enstack.reporting.stored_run import read_run
from enstack.run_folder import RunFolder
from enstack.stacking.stage import STACKING_EDITION
from enstack.storage.manifest import write_manifest
from tests.support.pages import Page, english
from tests.support.report_runs import (
    CWE,
    write_binary_run,
    write_full_run,
    write_minimal_run,
    write_projects,
    write_run,
)
from tests.support.vietnamese import english_left


def section(page: Path, title: str) -> str:
    """The text from a heading to the next."""
    text = english(page.read_text(encoding="utf-8"))
    (found,) = re.findall(rf"<h2>{title}</h2>(.*?)</section>", text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_whether_functions_are_vulnerable_is_shown_with_alert_budgets(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    found = load_results(run_dir).chosen.detection
    assert found is not None
    text = section(write_report(run_dir), "Vulnerable or not")
    assert "90 of the 240 test functions are vulnerable." in text
    for budget in found.budgets:
        assert (
            f"{budget.per_1000} of 1,000 {budget.alerts:.1f} {budget.precision:.3f} "
            f"{budget.recall:.3f}" in text
        )
    assert f"all its alerts {found.alerts} {found.precision:.3f} {found.recall:.3f}" in text
    assert "drawn by lot 0.375" in text
    assert f"VD-S {found.vd_s:.3f}" in text


def test_pairs_of_a_flaw_and_its_fix_are_shown_where_they_are_known(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    assert "its fix" not in section(write_report(run_dir), "Vulnerable or not")
    content = load_results(run_dir)
    assert content.chosen.detection is not None
    assert content.chosen.detection.pairs is None
    stored = read_run(RunFolder(run_dir))
    flaws, fixes = (np.flatnonzero(stored.labels == label)[:40] for label in (1, 0))
    np.savez(run_dir / "stacking" / "pairs.npz", pairs=np.stack([flaws, fixes], axis=1))
    text = section(write_report(run_dir), "Vulnerable or not")
    content = load_results(run_dir)
    said = stored.decisions(content.leaderboard[0]) == 1
    right = int((said[flaws] & ~said[fixes]).sum())
    found = content.evaluations[0].detection
    assert found is not None
    assert found.pairs is not None
    assert (found.pairs.n, found.pairs.correct) == (40, right)
    chosen = content.chosen.detection
    assert chosen is not None
    assert chosen.pairs is not None
    assert (
        f"pairs of a flaw and its fix 40 told apart {chosen.pairs.correct} both called vulnerable "
        f"{chosen.pairs.both_vulnerable} both called clean {chosen.pairs.both_benign} reversed "
        f"{chosen.pairs.reversed}" in text
    )
    assert "by one commit and one name" in text


def test_pairs_that_a_file_lists_are_told_with_how_many_of_them_test_has(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    listed = {"listed_in": np.array("a_test_paired.jsonl"), "listed": np.array(4)}
    np.savez(run_dir / "stacking" / "pairs.npz", pairs=np.array([[0, 1], [2, 3]]), **listed)
    page = write_report(run_dir)
    told = "as a_test_paired.jsonl lists them (of 4 there, test has both functions of 2)."
    assert told in section(page, "Vulnerable or not")
    assert "như a_test_paired.jsonl liệt kê (trong 4 cặp" in page.read_text()
    of_chosen = json.loads((run_dir / "report/report.json").read_text())["chosen"]["detection"]
    assert (of_chosen["pairs"]["n"], of_chosen["pairs"]["listed"]) == (2, 4)


def test_the_chosen_model_is_shown_project_by_project_the_largest_first(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    assert load_results(run_dir).projects is None
    # 150 clean functions come first, then 90 vulnerable ones.
    write_projects(run_dir, [40, 100, 29, 60, 11])
    stored, content = read_run(RunFolder(run_dir)), load_results(run_dir)
    found = content.projects
    assert found is not None
    assert found.others is not None
    assert [one.name for one in found.figures] == ["p1", "p3", "p0"]
    first, rows = found.figures[0], slice(40, 140)
    said = stored.decisions(content.leaderboard[content.choice.rank_on_test - 1])
    assert first.accuracy == (said[rows] == stored.labels[rows]).mean()
    assert (first.n, first.vulnerable, first.frequent) == (100, 0, 1.0)
    assert first.in_train
    assert first.alerts == said[rows].sum()
    p3 = found.figures[1]
    assert (p3.vulnerable, p3.found) == (60, int(said[169:229].sum()))
    assert found.others.n == 29 + 11
    assert found.mean == pytest.approx(np.mean([one.accuracy for one in found.figures]))
    text = section(page := write_report(run_dir), "Project by project")
    assert f"p1 in train too 100 {first.accuracy:.3f}" in text
    assert f"all smaller ones 40 {found.others.accuracy:.3f}" in text
    assert "Theo từng dự án" in page.read_text()


@pytest.mark.parametrize("sizes", [[40, 100], [60, 60, 60, 61]])
def test_projects_that_are_not_those_of_test_are_refused(tmp_path: Path, sizes: list[int]) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    write_projects(run_dir, sizes)
    with pytest.raises(CheckpointError, match=r"projects\.npz.*numbers must be 240"):
        write_report(run_dir)


@pytest.mark.parametrize("pairs", [[[0, 240]], [[-1, 3]], [[1, 2, 3]], [], [[0.5, 1.0]]])
def test_pairs_that_are_no_rows_of_test_are_refused(tmp_path: Path, pairs: Any) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    np.savez(run_dir / "stacking" / "pairs.npz", pairs=np.array(pairs))
    with pytest.raises(CheckpointError, match=r"pairs\.npz"):
        write_report(run_dir)


def test_alert_budgets_are_also_shown_as_often_as_classes_come(tmp_path: Path) -> None:
    run_dir = write_binary_run(tmp_path / "run")
    data = json.loads((run_dir / "data.json").read_text())
    data["available"]["test"] = {"clean": 15_000, "vulnerable": 90}
    (run_dir / "data.json").write_text(json.dumps(data))
    content = load_results(run_dir)
    assert content.natural is not None
    there = content.natural.rows[0].detection
    assert there is not None
    text = section(write_report(run_dir), "Vulnerable or not")
    assert f"{there.budgets[1].precision:.3f} {there.budgets[1].recall:.3f}" in text
    assert "drawn by lot 0.375 0.006" in text


def test_where_all_classes_are_weaknesses_nobody_asks_whether(tmp_path: Path) -> None:
    page = write_report(write_minimal_run(tmp_path / "run"))
    assert "Vulnerable or not" not in Page(page).text


def test_every_other_row_is_folded_up_with_its_classes_and_confusion(tmp_path: Path) -> None:
    run_dir = write_full_run(tmp_path / "run")
    content = load_results(run_dir)
    html = english(write_report(run_dir).read_text(encoding="utf-8"))
    folded = re.findall(r'<details name="row">(.*?)</details>', html, re.DOTALL)
    others = [of for of in content.evaluations if of is not content.chosen]
    assert len(folded) == len(others) == len(content.leaderboard) - 1
    for part, of in zip(folded, others, strict=True):
        assert [int(n) for n in re.findall(r"<td(?: style[^>]*)?>(\d+)(?: <small>|</td>)", part)][
            -25:
        ] == [n for counts in of.confusion for n in counts]
        assert f"macro-F1 {of.macro_f1:.3f}" in part
    assert "<svg" not in "".join(folded)
    assert re.search(r"@media print \{.*\.others \{ display: none; \}", html, re.DOTALL)


def test_a_single_row_has_no_others(tmp_path: Path) -> None:
    page = write_report(write_minimal_run(tmp_path / "run"))
    assert "of the other rows" not in Page(page).text


def test_a_class_without_test_functions_has_an_empty_row(tmp_path: Path) -> None:
    leans = {"base:tiny-a": 1.6, "base:tiny-b": 1.0}
    run_dir = write_run(tmp_path / "run", leans, (40, 30, 0, 20, 20), CWE, 1)
    html = english(write_report(run_dir).read_text(encoding="utf-8"))
    empty = '<tr><th scope="row">CWE-469</th>' + 5 * "<td>0</td>" + "</tr>"
    assert html.count(empty) == 2, "of the chosen row, and of the other one"
    (alert,) = (
        one for one in load_results(run_dir).alerts if "No test function has CWE-469" in one.text
    )
    assert alert.text.startswith("No test function has CWE-469: nothing here tells")
    figures = re.findall(r'<th scope="row">CWE-469[^/]*</span></th>(.*?)</tr>', html)
    assert {*re.findall(r"<td>([^<]*)", figures[0])[3:6]} == {"–"}, "recall, F1, MCC"


def test_curves_are_drawn_of_every_class_that_test_has_two_sides_of(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", {"base:tiny-a": 1.6}, (40, 30, 0, 20, 20), CWE, 1)
    chosen = load_results(run_dir).chosen
    with matplotlib.rc_context(STYLE):
        (axes,) = plot_precision_recall(chosen).axes
    drawn = {str(line.get_label()).partition(":")[0]: line for line in axes.lines}
    assert list(drawn) == ["CWE-119", "CWE-120", "CWE-476", "CWE-other"]
    assert [*np.asarray(drawn["CWE-120"].get_ydata())] == chosen.curves["CWE-120"].precision
    styles = {(line.get_color(), line.get_marker()) for line in axes.lines}
    assert len({marker for _, marker in styles}) == len(axes.lines), "told apart in grey"


def test_risk_over_coverage_is_drawn_beside_the_best_base_model(tmp_path: Path) -> None:
    content = load_results(write_full_run(tmp_path / "run"))
    with matplotlib.rc_context(STYLE):
        (axes,) = plot_risk_coverage(content.chosen, content.best_base).axes
    base, chosen = axes.lines
    assert [*np.asarray(chosen.get_ydata())] == content.chosen.risk_coverage.risk
    assert f"area {content.chosen.risk_coverage.aurc:.3f}" in str(chosen.get_label())
    assert base.get_linestyle() != chosen.get_linestyle()
    assert axes.get_ylim()[1] >= max(np.max(chosen.get_ydata()), np.max(base.get_ydata()))


def test_the_question_whether_functions_are_vulnerable_has_its_own_curve(tmp_path: Path) -> None:
    content = load_results(write_binary_run(tmp_path / "run"))
    with matplotlib.rc_context(STYLE):
        (axes,) = plot_precision_recall(content.chosen).axes
    assert "vulnerable or not:" in str(axes.lines[-1].get_label())


def test_reliability_is_drawn_bin_by_bin_beside_the_best_base_model(tmp_path: Path) -> None:
    content = load_results(write_full_run(tmp_path / "run"))
    with matplotlib.rc_context(STYLE):
        (axes,) = plot_reliability(content.chosen, content.best_base).axes
    _, base, chosen = axes.lines
    for line, of in ((base, content.best_base), (chosen, content.chosen)):
        assert of is not None
        bins = of.reliability.bins
        assert [*np.asarray(line.get_xdata())] == [part.confidence for part in bins]
        assert [*np.asarray(line.get_ydata())] == [part.accuracy for part in bins]


HOSTILE_CODE = (
    "</code></pre><script>x()</script>\n\x1b[2J\x00\u202egnp.exe\u2066\u200f\r\n\tif (a < b && c) "
    + "y" * 3000
)


def write_mistakes(run_dir: Path, code: str, characters: int) -> None:
    one = {"id": "test/<b>7", "label": "clean", "said": "vulnerable", "confidence": 0.98765}
    found = {"key": "base:tiny-a", "n": 240, "n_wrong": 31}
    stored = {**found, "functions": [{**one, "code": code, "characters": characters}]}
    (run_dir / "stacking" / "wrong_functions.json").write_text(json.dumps(stored))


def test_the_code_of_a_mistake_stays_in_its_frame_whatever_it_holds(tmp_path: Path) -> None:
    run_dir = write_minimal_run(tmp_path / "run")
    write_mistakes(run_dir, HOSTILE_CODE, len(HOSTILE_CODE))
    page = write_report(run_dir)
    html, text = english(page.read_text(encoding="utf-8")), section(page, "Where it is wrong")
    assert "31 of 240 test functions are judged wrongly by tiny-a" in text
    assert "clean , said to be vulnerable with 98.8 %; test/&lt;b&gt;7" in text
    assert "script" not in Page(page).tags
    assert "</code></pre><script>x()</script>\n?[2J??gnp.exe??\n\tif (a < b && c) y" in "".join(
        Page(page).words
    )
    assert not {"\x00", "\x1b", "\u202e", "\u2066", "\u200f", "\r"} & {*html}
    assert "left out" not in text


def test_code_that_was_cut_says_how_much_is_left_out(tmp_path: Path) -> None:
    run_dir = write_minimal_run(tmp_path / "run")
    write_mistakes(run_dir, "y" * 4000, 5234)
    assert "1,234 of its 5,234 characters are left out" in Page(write_report(run_dir)).text


def test_an_older_run_says_that_it_has_no_list_of_mistakes(tmp_path: Path) -> None:
    text = section(write_report(write_minimal_run(tmp_path / "run")), "Where it is wrong")
    assert text.startswith("This run is older than the list of the surest mistakes")


def test_a_damaged_list_of_mistakes_is_refused_in_one_line(tmp_path: Path) -> None:
    run_dir = write_minimal_run(tmp_path / "run")
    (run_dir / "stacking" / "wrong_functions.json").write_text('{"key": 3}')
    with pytest.raises(CheckpointError, match=r"wrong_functions.json: key: Input should be a v"):
        load_results(run_dir)


def test_tables_that_may_scroll_on_a_phone_can_be_reached_by_keyboard(tmp_path: Path) -> None:
    html = english(write_report(write_full_run(tmp_path / "run")).read_text(encoding="utf-8"))
    assert html.count('<div class="scroll"') == html.count('<div class="scroll" tabindex="0">') > 5


def test_stacks_of_an_older_program_are_told_with_what_makes_them_anew(tmp_path: Path) -> None:
    run_dir = write_minimal_run(tmp_path / "run")
    for edition, told in ((STACKING_EDITION, False), (STACKING_EDITION - 1, True)):
        write_manifest(run_dir / "stacking", made_from={"edition": edition})
        page = write_report(run_dir).read_text(encoding="utf-8")
        assert ("An older enstack made these stacks" in page) is told
        assert english_left(page) == []
