"""The worst findings come with the lines of their functions that told the model most."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.bundle import TrainedModel
from enstack.bundle.opening import OpenedModel, open_model
from enstack.run_folder import RunFolder
from enstack.scanning import finding_lines
from enstack.scanning.outputs import scan_as
from enstack.scanning.scan import scan_paths
from enstack.scanning.shape import as_learned

LONG = "\n".join(f"    total += ctx->width * {number}; /* step */" for number in range(40))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines-cache")


@pytest.fixture(scope="module")
def opened(ensemble: tuple[RunFolder, list[str]], cache: Path) -> OpenedModel:
    return open_model(ensemble[0].path, "vote", cache_dir=cache)


@pytest.fixture(scope="module")
def model(opened: OpenedModel) -> TrainedModel:
    return opened.load()


@pytest.fixture
def tree(ensemble: tuple[RunFolder, list[str]], tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    for number, text in enumerate(ensemble[1][:4]):
        (folder / f"{number}.c").write_text(f"/* head */\n\nstatic int\n{text}\n")
    return folder


def test_lines_of_a_finding_are_those_with_the_highest_scores_where_the_file_has_them(
    tree: Path, opened: OpenedModel, model: TrainedModel, cache: Path
) -> None:
    found = scan_paths([tree], opened, cache_dir=cache).findings
    assert found
    for finding in found:
        text = finding.function.path.read_text()
        assert finding.code is not None
        assert finding.lines
        # Judged in one window, so that the scores are those of the whole function.
        (scores,) = model.line_scores([f"{finding.code}\n"], finding.class_name)
        if finding.function.windows > 1:
            continue
        expected = {finding.function.start_line + i: s for i, s in enumerate(scores) if s > 0}
        for line, score in ((one.line, one.score) for one in finding.lines):
            assert text.split("\n")[line - 1].strip()
            assert score == pytest.approx(expected[line], abs=1e-6)
        assert [one.score for one in finding.lines] == sorted(
            (one.score for one in finding.lines), reverse=True
        )


def test_lines_are_in_the_window_that_the_score_is_from(
    opened: OpenedModel, cache: Path, tmp_path: Path
) -> None:
    for verb in ("copy", "read", "get", "open"):
        code = LONG.replace("step", verb).replace("width", verb)
        (tmp_path / f"{verb}.c").write_text(f"int\n{verb}_it(struct a *ctx)\n{{\n{code}\n}}\n")
    scan = scan_paths([tmp_path], opened, cache_dir=cache)
    # Where nothing told the model anything there are none.
    assert any(finding.lines for finding in scan.findings)
    for finding in scan.findings:
        assert finding.function.window_lines is not None
        first, last = finding.function.window_lines
        assert finding.lines is not None
        assert all(first <= one.line <= last for one in finding.lines)
        assert len(finding.lines) <= finding_lines.MOST_LINES


def test_lines_of_a_model_without_comments_are_those_of_the_file_all_the_same(
    opened: OpenedModel,
) -> None:
    bare = dataclasses.replace(opened.profile, comments=False)
    code = "f(char *s)\n{\n    /* one\n    two */\n\n    gets(s); // three\n}"
    form = as_learned(code, bare)
    record = np.zeros(1, finding_lines.RECORD)[0]
    record["lines"][:2], record["scores"][:2] = (3, 1), (0.5, 0.25)
    told = finding_lines._in_file(record, form, start_line=11)
    assert [(one.line, one.score) for one in told] == [(16, 0.5), (11, 0.25)]


def test_what_was_found_once_is_kept_and_only_the_worst_findings_are_looked_at(
    tree: Path, opened: OpenedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan_paths([tree], opened, cache_dir=cache)
    asked = list[int]()
    as_read = TrainedModel.line_scores_as_read

    def counted(self: TrainedModel, texts: Any, classes: Any, **more: Any) -> Any:
        asked.append(len(texts))
        return as_read(self, texts, classes, **more)

    monkeypatch.setattr(TrainedModel, "line_scores_as_read", counted)
    assert scan_paths([tree], opened, cache_dir=cache).findings == first.findings
    assert not asked
    monkeypatch.setattr(finding_lines, "EXPLAINED", 2)
    few = scan_paths([tree], opened, cache_dir=None)
    assert asked == [2]
    assert [one.lines is not None for one in few.findings] == [
        place < 2 for place in range(len(few.findings))
    ]


def test_ignored_findings_are_not_looked_at(tree: Path, opened: OpenedModel, cache: Path) -> None:
    for file in tree.iterdir():
        file.write_text(file.read_text().replace("/* head */", "// enstack: ignore"))
    found = scan_paths([tree], opened, cache_dir=cache).findings
    assert {one.lines for one in found if one.ignored is not None} == {None}


def test_json_and_table_show_the_lines(tree: Path, opened: OpenedModel, cache: Path) -> None:
    scan = scan_paths([tree], opened, cache_dir=cache)
    told = json.loads(scan_as(scan, "json"))["findings"]
    for one, finding in zip(told, scan.findings, strict=True):
        assert finding.lines is not None
        assert one["lines"] == [{"line": o.line, "score": o.score} for o in finding.lines]
    table = scan_as(scan, "table").splitlines()
    marked = [line for line in table if line.startswith("> ") and " | " in line]
    n_shown = sum(min(3, len(one.lines or ())) for one in scan.findings[:10])
    assert len(marked) == n_shown
    assert any("marks the lines that told the model most" in line for line in table)
