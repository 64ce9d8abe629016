"""A table without splits in a run: divided by what belongs together, told, recorded, kept."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.config import RunConfig
from enstack.data.split_files import SPLITS
from enstack.data.stored_division import write_division
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.inputs import data_of, read_run_data
from enstack.pipeline import run_pipeline
from tests.support.pipeline_runs import changed
from tests.support.tables import Row, own_function, rows_of, write_table


def read(place: Path, tmp_path: Path, **settings: Any) -> VulnerabilityData:
    dirs = {"local_dir": str(tmp_path / "local"), "run_dir": str(tmp_path / "run")}
    return data_of(RunConfig(data_dir=str(place), **{**dirs, **settings}))


def divided(rows: list[Row], tmp_path: Path, **settings: Any) -> VulnerabilityData:
    return read(write_table(tmp_path / "table.jsonl", rows), tmp_path, **settings)


def by_of(data: VulnerabilityData) -> str:
    assert data.division is not None
    return data.division.by


def splits_of(data: VulnerabilityData, kind: str) -> list[set[str]]:
    groups = [split.groups for split in data.splits.values()]
    assert all(group is not None for group in groups)
    return [set(group[kind].to_pylist()) - {None} for group in groups if group is not None]


def apart(parts: list[set[str]]) -> bool:
    return sum(map(len, parts)) == len(set().union(*parts))


def test_a_table_without_groups_is_divided_by_near_duplicates(tmp_path: Path) -> None:
    # Each function stands twice, the second time with one name changed.
    rows = rows_of(120)
    copies = [{**row, "func": row["func"].replace("return", "result =")} for row in rows]
    data = divided(rows + copies, tmp_path)
    assert by_of(data) == "near_duplicates"
    assert [len(split) for split in data.splits.values()] == [192, 24, 24]
    numbers = [{int(i.split("/")[1]) % 120 for i in split.ids} for split in data.splits.values()]
    assert sum(map(len, numbers)) == 120
    assert "read as own columns: func, label; binary; one table, split by near-duplicates" in (
        data.notes
    )
    assert "no near-duplicates (Jaccard >= 0.7) in two splits" in data.notes


def test_each_label_has_its_share_in_each_split(tmp_path: Path) -> None:
    data = divided(rows_of(300), tmp_path)
    counts = [split.labels.sum() for split in data.splits.values()]
    assert counts == [80, 10, 10]


def test_an_id_is_the_row_in_the_file_and_each_row_is_in_one_split(tmp_path: Path) -> None:
    rows = rows_of(100)
    data = divided(rows, tmp_path)
    seen = {}
    for split in data.splits.values():
        seen |= dict(zip(split.ids, split.sources.to_pylist(), strict=True))
        assert split.labels.tolist() == [rows[int(i[4:])]["label"] for i in split.ids]
    assert seen == {f"all/{number}": row["func"] for number, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("columns", "by"),
    [
        ({"commit_id": lambda n: f"c{n // 4}"}, "commit"),
        ({"commit_id": lambda n: f"c{n // 4}", "project": lambda n: f"p{n // 8}"}, "project"),
        ({"commit_id": lambda n: f"c{n // 4}", "project": lambda n: f"p{n % 2}"}, "commit"),
        ({"commit_id": lambda n: f"c{n // 4}" if n < 100 else ""}, "near_duplicates"),
        ({"commit_id": lambda n: "c0" if n < 290 else f"c{n}"}, "near_duplicates"),
        ({"commit_date": lambda n: f"20{n % 20:02}"}, "near_duplicates"),
    ],
)
def test_auto_takes_the_strictest_that_leaves_even_splits(
    columns: dict[str, Any], by: str, tmp_path: Path
) -> None:
    data = divided(rows_of(300, **columns), tmp_path)
    assert by_of(data) == by
    if by != "near_duplicates":
        assert apart(splits_of(data, by))
    assert [len(split) for split in data.splits.values()] == pytest.approx([240, 30, 30], abs=6)


def test_what_is_passed_over_is_told_with_its_reason(tmp_path: Path) -> None:
    few = divided(rows_of(60, project=lambda n: f"p{n % 2}"), tmp_path)
    assert "not split by project: only 2 groups" in few.notes
    large = divided(rows_of(100, project=lambda n: f"p{max(0, n - 94)}"), tmp_path)
    assert "not split by project: the splits would be uneven, for 95 % of all belong together" in (
        large.notes
    )


def test_near_duplicates_join_commits(tmp_path: Path) -> None:
    rows = rows_of(100, commit=lambda n: f"c{n // 2}")
    rows[1]["func"] = rows[2]["func"]
    data = divided(rows, tmp_path)
    of = {i: split for split in SPLITS for i in data.splits[split].ids}
    assert len({of[f"all/{number}"] for number in range(4)}) == 1


def test_projects_that_copies_link_are_split_as_strictly_as_can_be(tmp_path: Path) -> None:
    # One function stands in every project: with it, all of them would be one.
    rows = rows_of(200, project=lambda n: f"p{n // 10}")
    for row in rows[::10]:
        row["func"] = own_function(0)
    data = divided(rows, tmp_path, split_by="project")
    assert apart(splits_of(data, "project"))
    assert "no project in two splits; near-duplicates may be" in data.notes


def test_by_date_the_newest_functions_are_test(tmp_path: Path) -> None:
    rows = rows_of(100, date=lambda n: f"20{n % 20:02}-05-01" if n else None)
    data = divided(rows, tmp_path, split_by="date")
    assert splits_of(data, "date")[1:] == [
        {"2016-05-01", "2017-05-01"},
        {"2018-05-01", "2019-05-01"},
    ]
    assert (
        "validation begins 2016-05-01 and test begins 2018-05-01; 1 without a date are in train"
        in data.notes
    )


@pytest.mark.parametrize(
    ("split_by", "columns", "match"),
    [
        ("project", {}, "needs a column that names each function's project; .*: none. Add it"),
        (
            "commit",
            {"project": lambda n: f"p{n}"},
            "has, of project, commit, cve and date: project",
        ),
        ("date", {"date": lambda _: "03/04/2019"}, r"100 % .* have none, such as '03/04/2019'"),
        ("date", {"date": lambda _: "2019"}, "would be 60 train, 0 validation, 0 test"),
        ("project", {"project": lambda n: f"p{n % 2}"}, "must leave functions for train, valid"),
    ],
)
def test_what_can_not_be_divided_so_is_refused(
    split_by: str, columns: dict[str, Any], match: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=match):
        divided(rows_of(60, **columns), tmp_path, split_by=split_by)


def test_a_table_of_a_few_functions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must leave functions for train, validation and test"):
        divided(rows_of(3), tmp_path)


def test_a_folder_with_splits_is_not_divided(tmp_path: Path) -> None:
    for split in SPLITS:
        write_table(tmp_path / f"data/{split}.jsonl", rows_of(9, project=lambda n: f"p{n}"))
    assert read(tmp_path / "data", tmp_path).division is None
    with pytest.raises(ConfigError, match=r"divides a table without splits; .* has its three"):
        read(tmp_path / "data", tmp_path, split_by="project")


def test_the_file_s_order_and_the_label_mode_change_no_split(tmp_path: Path) -> None:
    labels = ["clean", "CWE-119", "CWE-476", "clean"]
    rows = [{**row, "label": labels[n % 4]} for n, row in enumerate(rows_of(200))]

    def by_text(place: str, **settings: Any) -> dict[str, str]:
        data = divided(rows, tmp_path / place, **settings)
        return {text: name for name, one in data.splits.items() for text in one.sources.to_pylist()}

    first = by_text("a", label_mode="binary")
    flawed = by_text("b", label_mode="cwe")
    assert flawed == {text: first[text] for text in flawed}
    random.Random(1).shuffle(rows)
    assert by_text("c", label_mode="binary") == first
    assert by_text("d", label_mode="binary", seed=7) != first


def test_a_bad_label_of_a_divided_table_names_its_row_in_the_file(tmp_path: Path) -> None:
    rows = rows_of(50)
    rows[37]["label"] = "maybe"
    with pytest.raises(DataError, match=r"table.jsonl: label must be .* row 37 has 'maybe'"):
        divided(rows, tmp_path, label_mode="binary")


def test_labels_of_all_parts_are_judged_together(tmp_path: Path) -> None:
    rows = [{**row, "label": "CWE-119"} for row in rows_of(60)]
    rows[5]["label"] = "0"
    with pytest.raises(DataError, match=r"found CWE-119 in table.jsonl and 0 in table.jsonl"):
        divided(rows, tmp_path, label_mode="cwe")


def test_marked_lines_stay_with_their_functions(tmp_path: Path) -> None:
    rows = [
        {**row, "func": row["func"].replace("; ", ";\n"), "flaw_line_index": [n % 5] * row["label"]}
        for n, row in enumerate(rows_of(90))
    ]
    for split in divided(rows, tmp_path).splits.values():
        assert split.flaw_lines is not None
        marked = dict(zip(split.ids, split.flaw_lines.to_pylist(), strict=True))
        assert marked == {i: [int(i[4:]) % 5 + 1] * rows[int(i[4:])]["label"] for i in split.ids}


def test_a_subset_is_drawn_from_each_part(tmp_path: Path) -> None:
    data = divided(rows_of(300), tmp_path, subset=20)
    assert [len(split) for split in data.splits.values()] == [20, 20, 20]
    assert data.n_available("train") == 240


def test_a_division_is_found_once_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = divided(rows_of(60), tmp_path)
    monkeypatch.setattr("enstack.inputs.divide_table", None)
    assert divided(rows_of(60), tmp_path).fingerprint == first.fingerprint


# In a run


def test_a_run_folder_s_division_goes_before_what_would_be_found(tmp_path: Path) -> None:
    found = divided(rows_of(60), tmp_path).division
    assert found is not None
    swapped = replace(found, split_of=(2 - found.split_of).astype(np.int8))
    write_division(tmp_path / "run/division.npz", swapped)
    assert [len(split) for split in divided(rows_of(60), tmp_path).splits.values()] == [6, 6, 48]
    # Of other functions, or another seed or kind, it says nothing.
    for rows, settings in (
        (rows_of(50), {}),
        (rows_of(60), {"seed": 1}),
        (rows_of(60, date=lambda n: str(1900 + n)), {"split_by": "date"}),
    ):
        assert len(divided(rows, tmp_path, **settings).splits["train"]) in (40, 48)


@pytest.fixture
def config(pipeline_settings: dict[str, Any], tmp_path: Path) -> RunConfig:
    rows = rows_of(90, commit_id=lambda n: f"c{n // 3}")
    place = str(write_table(tmp_path / "table.jsonl", rows))
    places = {"data_dir": place, "run_dir": str(tmp_path / "run")}
    return RunConfig(**{**pipeline_settings, **places, "label_mode": "auto", "epochs": 1})


@pytest.mark.slow
def test_a_run_records_its_split_and_goes_on_with_it_whatever_would_be_found(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_pipeline(config)
    run = Path(config.run_dir)
    assert json.loads((run / "config.json").read_text())["split_by"] == "commit"
    recorded = json.loads((run / "data.json").read_text())["division"]
    assert recorded["by"] == "commit"
    assert sum(recorded["rows"].values()) == 90
    ids = json.loads((run / "subset.json").read_text())["ids"]
    assert sorted(int(i[4:]) for split in ids.values() for i in split) == list(range(90))
    # As if a later version divided otherwise, on another machine.
    monkeypatch.setattr("enstack.inputs.divide_table", None)
    for asked in ("auto", "commit"):
        again = changed(config, split_by=asked, local_dir=str(tmp_path / f"other-{asked}"))
        data = data_of(again)
        assert {name: split.ids.tolist() for name, split in data.splits.items()} == ids
    run_pipeline(config)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="split_by=commit, asked for is split_by=near_dup"):
        run_pipeline(changed(config, split_by="near_duplicates"))


def test_what_a_run_was_divided_by_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_table(tmp_path / "table.jsonl", rows_of(90, commit_id=lambda n: f"c{n // 3}"))
    dirs = {"local_dir": str(tmp_path / "local"), "run_dir": str(tmp_path / "run")}
    data = read_run_data(RunConfig(data_dir=str(place), **dirs))
    said = capsys.readouterr().out
    assert "one table, split by commit; with commit" in said
    assert sum(map(len, data.splits.values())) == 90
