"""What is known from an earlier scan, or as git has it, is marked and does not count."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import enstack
from enstack.bundle.opening import OpenedModel
from enstack.errors import ConfigError
from enstack.scanning import sarif
from enstack.scanning.baseline import read_baseline
from enstack.scanning.known import Known, _matched
from enstack.scanning.outputs import scan_as, write_output
from enstack.scanning.revision import read_revision
from enstack.scanning.scan import Scan, scan_paths
from tests.support.command_line import enstack_here, refused
from tests.support.github_sarif import as_github_takes_it
from tests.support.scans import Ensemble

Again = Callable[..., Scan]
places = st.tuples(st.sampled_from([Path("a"), Path("b"), Path("c")]), st.sampled_from("xyz"))


@pytest.fixture
def again(tree: Path, opened: OpenedModel, cache: Path) -> Again:
    """Scans the tree once more, beside a baseline or a revision."""

    def scan(*paths: Path, baseline: Path | None = None, diff: str | None = None) -> Scan:
        asked = list(paths) or [tree]
        known = Known(
            None if baseline is None else read_baseline(baseline, asked),
            None if diff is None else read_revision(diff, asked),
        )
        return scan_paths(asked, opened, cache_dir=cache, known=known)

    return scan


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit_all(folder: Path) -> None:
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")


@pytest.fixture
def committed(tree: Path) -> Path:
    commit_all(tree)
    return tree


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_of_a_tree_that_has_not_changed_every_finding_is_known_and_marked(
    scanned: Scan, again: Again, tmp_path: Path, form: str
) -> None:
    file = write_output(scanned, form, tmp_path / f"known.{form}")
    scan = again(baseline=file)
    assert not scan.counting
    assert not scan.gone
    assert [one.function for one in scan.findings] == [one.function for one in scanned.findings]
    told = json.loads(scan_as(scan, "json"))
    assert {one["state"] for one in told["findings"]} == {"unchanged"}
    results = as_github_takes_it(scan_as(scan, "sarif"))["results"]
    assert len(results) == len(scanned.findings)
    assert {one["baselineState"] for one in results} == {"unchanged"}
    expected = [{"kind": "external", "justification": f"it is in {file}"}]
    assert all(one["suppressions"] == expected for one in results)
    assert f"{len(results)} findings already known" in scan_as(scan, "table")
    assert "baselineState" not in scan_as(scanned, "sarif")


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_a_copy_of_a_known_function_is_new_and_what_is_no_more_is_gone(
    scanned: Scan, again: Again, tree: Path, tmp_path: Path, form: str
) -> None:
    file = write_output(scanned, form, tmp_path / f"known.{form}")
    copied, removed = scanned.findings[0], scanned.findings[-1].function.path
    # It comes first in the walk, so that the file alone tells which of the two is the copy.
    (tree / "0.c").write_text(f"int\n{copied.code}\n")
    removed.unlink()
    scan = again(baseline=file)
    assert [(one.function.path, one.class_name) for one in scan.counting] == [
        (tree / "0.c", copied.class_name)
    ]
    gone = [one for one in scanned.findings if one.function.path == removed]
    assert [(one.path, one.line, one.class_name) for one in scan.gone] == sorted(
        (removed, one.function.start_line, one.class_name) for one in gone
    )
    assert len(json.loads(scan_as(scan, "json"))["gone"]) == len(gone)
    assert "of the baseline no more there" in scan_as(scan, "table").replace("\n", " ")
    # Where its file was not asked for, nothing is known of it.
    assert not again(copied.function.path, baseline=file).gone


def test_a_function_that_moves_and_is_laid_out_anew_stays_known(
    scanned: Scan, again: Again, tree: Path, tmp_path: Path
) -> None:
    file = write_output(scanned, "json", tmp_path / "known.json")
    moved = scanned.findings[0].function.path
    text = moved.read_text().replace("(", " ( ")
    moved.unlink()
    (tree / "moved.c").write_text(f"\n\n{text}")
    assert not {one.function.name for one in again(baseline=file).counting} - {
        # What a model reads has changed with the blanks: it may find what it has not found before.
        one.name
        for one in scanned.functions
        if one not in [f.function for f in scanned.findings]
    }


def test_a_baseline_that_leaves_findings_out_says_so(
    scanned: Scan,
    again: Again,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 2)
    file = write_output(scanned, "sarif", tmp_path / "known.sarif")
    left_out = len(scanned.findings) - 2
    assert len(again(baseline=file).counting) == left_out
    assert f"leaves out {left_out} findings" in capsys.readouterr().out


def other_tool(told: Any) -> None:
    told["runs"][0]["tool"]["driver"]["name"] = "another"


def two_runs(told: Any) -> None:
    told["runs"] *= 2


def no_fingerprint(told: Any) -> None:
    told["runs"][0]["results"][0]["partialFingerprints"] = {}


def no_place(told: Any) -> None:
    told["runs"][0]["results"][0]["locations"] = []


@pytest.mark.parametrize("spoil", [other_tool, two_runs, no_fingerprint, no_place])
def test_what_no_scan_has_written_is_no_baseline(
    scanned: Scan, tmp_path: Path, spoil: Callable[[Any], None]
) -> None:
    told = json.loads(scan_as(scanned, "sarif"))
    spoil(told)
    (tmp_path / "a.sarif").write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="--baseline must be a JSON or SARIF file that enstack"):
        read_baseline(tmp_path / "a.sarif", [])


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", "[" * 100_000, '{"tool": 1}', "\0"])
def test_a_baseline_without_any_findings_form_is_refused_in_words(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"--baseline must be a JSON.*Make one") as told:
        read_baseline(tmp_path / "a.json", [])
    assert "indices" not in str(told.value)
    with pytest.raises(ConfigError, match=r"none\.json can't be read"):
        read_baseline(tmp_path / "none.json", [])


def test_as_git_has_them_functions_are_known_in_other_files_and_layouts_and_others_are_new(
    scanned: Scan, again: Again, committed: Path
) -> None:
    assert not again(diff="HEAD").counting
    found = scanned.findings[0]
    path = found.function.path
    path.write_text(f"/* a line more */\n{path.read_text()}")
    path.rename(committed / "renamed.c")
    (committed / "z.c").write_text(f"int\n{found.code}\n")
    scan = again(diff="HEAD")
    assert {one.function.path for one in scan.counting} == {committed / "z.c"}
    results = as_github_takes_it(scan_as(scan, "sarif"))["results"]
    assert Counter(one["baselineState"] for one in results) == {
        "unchanged": len(scanned.findings),
        "new": len(scan.counting),
    }
    commit_all(committed)
    assert not again(diff="HEAD").counting
    assert again(diff="HEAD~1").counting
    assert not again(path.parent.parent / "renamed.c", diff="HEAD").counting


def test_what_git_cannot_tell_is_refused_before_anything_is_scanned(
    ensemble: Ensemble, committed: Path, cache: Path, tmp_path: Path
) -> None:
    def scan(*more: object) -> Any:
        return enstack_here("scan", *more, "--model", ensemble[0].path, "--local-dir", cache)

    refused(scan(committed, "--diff", "none"), 2, "--diff must name a revision", "'none'")
    refused(scan(committed, "--diff", "--help"), 2, "--diff must name a revision", "'--help'")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(committed / "part0", elsewhere)
    refused(scan(elsewhere, "--diff", "HEAD"), 2, "--diff needs git in", "not a git repository")
    refused(scan(committed, elsewhere, "--diff", "HEAD"), 2, "in one repository")


def test_in_a_hook_that_git_runs_the_repository_is_that_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text("int f(void) { return 1; }\n")
    commit_all(tmp_path)
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert read_revision("HEAD", [tmp_path / "src"]).same == {tmp_path / "src/a.c"}


def test_no_command_of_a_repository_runs_where_git_would_fetch_what_is_missing(
    tmp_path: Path,
) -> None:
    ran, folder = tmp_path / "ran", tmp_path / "repository"
    folder.mkdir()
    (folder / "a.c").write_text("int f(void) { return 1; }\n")
    commit_all(folder)
    for key, value in {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://nowhere/a",
        "core.sshCommand": f"touch {ran} #",
    }.items():
        git(folder, "config", key, value)
    (folder / "a.c").write_text("int f(void) { return 2; }\n")
    name = git(folder, "rev-parse", "HEAD:a.c").strip()
    (folder / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(ConfigError, match="fetch it first"):
        read_revision("HEAD", [folder])
    assert not ran.exists()


def test_the_budget_shows_the_worst_and_says_what_lies_below_and_hides_nothing_from_fail_on(
    scanned: Scan, tree: Path, ensemble: Ensemble, cache: Path
) -> None:
    scan = enstack.scan(tree, ensemble[0].path, local_dir=cache, budget=2)
    assert scan.alerts == scanned.findings[:2]
    # What nobody is shown is not looked at for its lines, which costs more than judging it.
    assert [one.lines is None for one in scan.counting[:3]] == [False, False, True]
    assert len(scan.counting) == len(scanned.findings)
    below = len(scanned.findings) - 2
    table = " ".join(scan_as(scan, "table").split())
    assert f"The budget of 2 is spent: {below} more findings lie below, the worst a" in table
    told = json.loads(scan_as(scan, "json"))
    assert [one["below_budget"] for one in told["findings"]] == [False] * 2 + [True] * below
    run = as_github_takes_it(scan_as(scan, "sarif"))
    assert len(run["results"]) == 2
    notes = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("The budget of 2 is spent" in note for note in notes)
    common = ("scan", tree, "--model", ensemble[0].path, "--local-dir", cache, "--budget", "1")
    lowest = min(one.probability for one in scanned.findings)
    assert enstack_here(*common, "--fail-on", f"{lowest:.6f}"[:6]).returncode == 1
    with pytest.raises(ConfigError, match="whole number from 1 on"):
        enstack.scan(tree, ensemble[0].path, local_dir=cache, budget=0)


def test_fail_on_counts_what_is_new_alone(
    scanned: Scan, tree: Path, ensemble: Ensemble, cache: Path, tmp_path: Path
) -> None:
    file = write_output(scanned, "json", tmp_path / "known.json")
    common = ("scan", tree, "--model", ensemble[0].path, "--local-dir", cache, "--fail-on", "note")
    assert enstack_here(*common, "--baseline", file).returncode == 0
    (tree / "new.c").write_text(f"int\n{scanned.findings[0].code}\n")
    assert enstack_here(*common, "--baseline", file).returncode == 1


@given(here=st.lists(places), before=st.lists(places))
def test_each_that_was_there_before_is_taken_once_and_its_own_file_comes_first(
    here: list[tuple[Path, str]], before: list[tuple[Path, str]]
) -> None:
    found, left = _matched(here, before)
    by_key = Counter(key for _, key in here) & Counter(key for _, key in before)
    assert Counter(here[place][1] for place in found) == by_key
    assert Counter(before[place][1] for place in left) == Counter(key for _, key in before) - by_key
    in_place = Counter(here) & Counter(before)
    assert not in_place - Counter(here[place] for place in found)


def test_a_finding_keeps_its_code_though_many_known_ones_are_worse(
    scanned: Scan, again: Again, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_output(scanned, "json", tmp_path / "known.json")
    told = json.loads(file.read_text())
    dropped = told["findings"].pop()
    file.write_text(json.dumps(told))
    monkeypatch.setattr("enstack.scanning.scan.KEPT_CODE", 1)
    (new,) = again(baseline=file).counting
    assert new.function.fingerprint == dropped["fingerprint"]
    assert new.code is not None
    assert dataclasses.replace(new, known="x").counts is False
