"""Groups in an audit: shared by splits, what they alone tell of test, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.auditing.content import Audit
from enstack.auditing.groups import group_baselines, projects_of, shared_groups, telling_groups
from enstack.auditing.measures import audit
from enstack.auditing.page import write_audit
from enstack.auditing.table import audit_text
from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.inputs import read_run_data
from tests.support.pages import Page
from tests.support.tables import Row, own_function, write_table

HOSTILE = "<b>p</b>\x1b[31m"


def function(number: int, project: str | None, commit: str | None, label: int) -> Row:
    row: Row = {"func": own_function(number), "label": label}
    return row | {"project": project, "commit_id": commit, "dataset": f"set {number % 2}"}


def rows(split: int, n: int) -> list[Row]:
    """Every third function is of a project whose functions are all vulnerable, and no other is."""
    return [
        function(
            split * 10_000 + number,
            HOSTILE if number % 3 == 0 else f"q{number % 7}",
            f"c{split * 1000 + number // 2}",
            int(number % 3 == 0),
        )
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    for split, (name, n) in enumerate({"train": 240, "validation": 30, "test": 90}.items()):
        of_split = rows(split, n)
        if name == "test":
            # One commit of train, one of validation, and a project that nobody has seen.
            of_split[0]["commit_id"], of_split[1]["commit_id"] = "c0", "c1000"
            of_split[2]["project"], of_split[3]["project"] = "new", None
        write_table(folder / f"{name}.jsonl", of_split)
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> VulnerabilityData:
    return read_data(folder, label_mode="binary")


@pytest.fixture(scope="module")
def audited(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audit(RunConfig(data_dir=str(folder), local_dir=str(tmp_path_factory.mktemp("local"))))


def test_functions_whose_group_stands_in_another_split_are_counted(
    data: VulnerabilityData,
) -> None:
    found = shared_groups(data)
    assert list(found) == ["project", "commit", "source"]
    assert found["commit"].n_groups == 120 + 15 + 44
    assert found["commit"].shared["test"] == {"train": 1, "validation": 1}
    assert found["commit"].shared["train"] == {"validation": 0, "test": 2}
    assert found["project"].named == {"train": 240, "validation": 30, "test": 89}
    assert found["project"].shared["test"] == {"train": 88, "validation": 88}


def test_a_group_alone_says_what_train_says_of_it(data: VulnerabilityData) -> None:
    said = group_baselines(data, ["test"])["project"]
    prior = [2 / 3, 1 / 3]
    # The project of vulnerable functions alone, one that train lacks, and none.
    assert said[6] == pytest.approx([prior[0] / 81, (80 + prior[1]) / 81])
    assert said[2] == pytest.approx(prior)
    assert said[3] == pytest.approx(prior)
    assert said.shape == (90, 2)


def test_the_project_that_tells_is_named_with_its_numbers(data: VulnerabilityData) -> None:
    first = telling_groups(data)["project"][0]
    assert (first.name, first.class_name, first.functions, first.of) == (
        HOSTILE, "vulnerable", 80, 80,
    )  # fmt: skip
    # Sources are of both labels alike, or nearly.
    assert all(one.functions < one.of for one in telling_groups(data)["source"])


def test_the_largest_projects_have_their_figures(data: VulnerabilityData) -> None:
    right = np.arange(90) % 3 == 0
    first, second, *_ = projects_of(data, right)
    assert (first.name, first.frequent, first.share) == (HOSTILE, "vulnerable", 1.0)
    assert first.functions == {"train": 80, "validation": 10, "test": 29}
    # 29 functions of test are too few for a figure.
    assert first.words is None
    assert second.frequent == "clean"


def test_few_projects_have_no_table(folder: Path, tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        found = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        kept = [{**row, "project": f"p{number % 4}"} for number, row in enumerate(found)]
        write_table(tmp_path / f"{split}.jsonl", kept)
    assert projects_of(read_data(tmp_path, label_mode="binary"), np.ones(90, dtype=bool)) == []


def test_an_audit_names_the_leak_and_what_to_do(audited: Audit) -> None:
    alerts = {alert.headline: alert.action for alert in audited.alerts}
    (told,) = [action for headline, action in alerts.items() if headline.startswith("The project")]
    assert "80 of 80 are vulnerable" in told
    assert "Write all functions into one file, and divide it: use split_by=project." in told
    (shared,) = [headline for headline in alerts if "shares a commit with train" in headline]
    assert shared.startswith("1.1 % of test")
    assert not [headline for headline in alerts if headline.startswith("The source")]
    scores = audited.word_counts["all"].baselines["project"]
    assert scores is not None
    assert scores.auc is not None
    assert scores.auc > 0.95


def test_page_and_table_show_groups_and_nothing_of_a_name_is_code(
    audited: Audit, tmp_path: Path
) -> None:
    page = Page(write_audit(tmp_path, audited)).text
    text = audit_text(audited)
    for shown in (page, text):
        assert "project alone" in shown
        assert "largest projects" in shown
        assert "\x1b" not in text
    assert "<b>p</b>" not in (tmp_path / "audit.html").read_text()
    stored = json.loads((tmp_path / "audit.json").read_text())
    assert stored["groups"]["commit"]["shared"]["test"] == {"train": 1, "validation": 1}
    assert stored["telling"]["project"][0]["functions"] == 80


def test_a_split_by_project_removes_the_leak(tmp_path: Path) -> None:
    of_all = [row for split in range(3) for row in rows(split, 200)]
    # Most of the vulnerable functions are of one project, the others of all.
    for number, row in enumerate(of_all):
        row["project"] = "leak" if row["label"] and number % 4 else f"q{number % 7}"
    table = write_table(tmp_path / "table.jsonl", of_all)

    def auc(split_by: str) -> float:
        dirs = {"local_dir": str(tmp_path / "local"), "run_dir": str(tmp_path / "run")}
        data = read_run_data(RunConfig(data_dir=str(table), split_by=split_by, **dirs))
        said = group_baselines(data, ["test"])["project"]
        figures = data.task.evaluate(data.splits["test"].labels, said)
        return float(figures["auc"])

    assert auc("near_duplicates") > 0.6
    assert auc("project") == 0.5


def test_a_run_says_how_many_functions_share_a_commit_with_train(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dirs: dict[str, Any] = {"local_dir": str(tmp_path / "local"), "run_dir": str(tmp_path / "run")}
    data = read_run_data(RunConfig(data_dir=str(folder), **dirs))
    told = "⚠️  test: 1 of 90 functions share a commit with train"
    assert told in capsys.readouterr().out
    assert [note for note in data.notes if note.startswith(told)]


def test_a_column_called_source_that_holds_code_is_no_group(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        found = [{**row, "source": row["func"]} for row in rows(0, 12)]
        for row in found:
            del row["dataset"]
        write_table(tmp_path / f"{split}.jsonl", found)
    assert "source" not in read_data(tmp_path, label_mode="binary").groups
