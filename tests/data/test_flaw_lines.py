"""Lines that a data set marks as the flaw stay with their function, counted from 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.flaw_lines import in_numbers, marks_of
from enstack.data.functions import VulnerabilityData, labelled, read_data, read_tables
from enstack.data.split_files import SPLITS, WHOLE
from enstack.errors import DataError
from tests.support.data_files import write_all_hdf5
from tests.support.layout_samples import (
    WITH_SPLITS,
    WITHOUT_SPLITS,
    Sample,
    line_vul,
    packed,
    write_csv,
    write_lines,
)

SOURCE = "int f(char *p)\n{\n    strcpy(q, p);\n    g();\n}\n"


def functions(n: int = 8) -> list[Sample]:
    return [
        Sample(f"int f{number}(void)\n{{\n    log({number});\n}}\n", number % 2 == 0)
        for number in range(n)
    ]


def read(place: Path, cache_dir: Path | None = None, **wanted: Any) -> VulnerabilityData:
    return labelled(read_tables(place, cache_dir=cache_dir), label_mode="binary", **wanted)


def marked(data: VulnerabilityData, split: str = WHOLE) -> list[list[int]]:
    lines = data.splits[split].flaw_lines
    assert lines is not None
    listed: list[list[int]] = lines.to_pylist()
    return listed


@pytest.mark.parametrize("layout", ["LineVul", "MegaVul", "SVEN", "SecVulEval"])
@pytest.mark.parametrize("cached", [False, True])
def test_marked_lines_stay_with_the_vulnerable_functions(
    layout: str, cached: bool, tmp_path: Path
) -> None:
    write = (WITH_SPLITS | WITHOUT_SPLITS)[layout][0]
    given = dict.fromkeys(SPLITS, functions()) if layout in WITH_SPLITS else functions()
    write(tmp_path / "data", given)
    for _ in range(1 + cached):
        data = read(tmp_path / "data", tmp_path / "cache" if cached else None, subset=6)
    for split, one in data.splits.items():
        assert marked(data, split) == [[3] if vulnerable else [] for vulnerable in one.labels]
        assert f"{split}: 4 functions with lines marked as the flaw" in data.notes


def test_where_nothing_marks_lines_there_are_none(tmp_path: Path) -> None:
    WITHOUT_SPLITS["Devign"][0](tmp_path, functions())
    assert read(tmp_path).splits[WHOLE].flaw_lines is None


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("3", [3]),
        ("3,4", [3, 4]),
        (b"4, 3", [3, 4]),
        (3.0, [3]),
        ([3, 4], [3, 4]),
        ("[3, 4]", [3, 4]),
        ([[3, "    strcpy(q, p);"]], [3]),
        ([{"line_no": 3, "line": "    strcpy(q, p);\n", "char_start": 9}], [3]),
        # Where the lines themselves stand beside their numbers, these tell how it was counted.
        ([[2, "    strcpy(q, p);"]], [3]),
        ([[9, "    strcpy(q, p);"]], [3]),
        ({"deleted": [{"line_no": 4, "line": "    g();"}], "added": [{"line_no": 1}]}, [4]),
        ({"deleted_lines": ["strcpy(q, p);", "}"], "added_lines": ["int f(char *p)"]}, [3]),
        ("{'deleted_lines': ['    strcpy(q, p);'], 'added_lines': []}", [3]),
        ("    strcpy(q, p);/~/    g();", [3, 4]),
        ("@@ -1,4 +1,4 @@\n int f(char *p)\n {\n-    strcpy(q, p);\n+    ok();\n     g();", [3]),
        ("--- a\n+++ b\n@@ -4 +3,0 @@\n-    g();\n\\ No newline", [4]),
        ("", []),
        (None, []),
        (float("nan"), []),
        ([], []),
        (True, []),
        ({"added": [1]}, []),
        ("7", []),
        ("}", []),
        ("[" * 100_000, []),
    ],
)
def test_marks_are_read_in_whatever_way_a_data_set_writes_them(
    value: Any, lines: list[int]
) -> None:
    assert in_numbers(SOURCE, marks_of(value), 1) == lines


def test_an_index_counts_from_0_unless_the_lines_beside_it_say_otherwise(tmp_path: Path) -> None:
    texts = [SOURCE, SOURCE, SOURCE, "int g(void)\n{\n}\n"]
    index = ["2", "3", "2,3", ""]
    lines = ["", "    strcpy(q, p);", "    strcpy(q, p);/~/    g();", ""]
    rows = [
        {**line_vul(Sample(text, text == SOURCE)), "flaw_line_index": one, "flaw_line": line}
        for text, one, line in zip(texts, index, lines, strict=True)
    ]
    write_csv(tmp_path / "a.csv", rows)
    assert marked(read(tmp_path)) == [[3], [3], [3, 4], []]


def test_marks_that_are_none_of_the_texts_lines_are_counted(tmp_path: Path) -> None:
    rows = [
        {"func": SOURCE, "label": 1, "flaw_lines": [77]},
        {"func": SOURCE, "label": 1, "flaw_lines": [3]},
        {"func": "int g(void) { }", "label": 0, "flaw_lines": None},
    ]
    write_lines(tmp_path / "a.jsonl", rows)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        data = read(tmp_path / "a.jsonl", cache)
        assert marked(data) == [[], [3], []]
        assert "all: 1 function whose marked lines are none of the text's, left unmarked" in (
            data.notes
        )


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n")), min_size=1, max_size=6),
    data=st.data(),
)
def test_lines_that_are_named_by_number_are_found_whatever_they_hold(
    lines: list[str], data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1))
    pairs = [[number + 1, lines[number]] for number in chosen]
    as_written = data.draw(st.sampled_from([pairs, json.dumps(pairs)]))
    wanted = sorted(number + 1 for number in chosen)
    assert in_numbers("\n".join(lines), marks_of(as_written), 1) == wanted


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_value_of_a_marking_column_ends_the_reading(value: Any) -> None:
    numbers = in_numbers(SOURCE, marks_of(value), 1)
    assert set(numbers) <= set(range(1, 7))


# flaw_lines.jsonl


def write_marks(folder: Path, *rows: dict[str, Any]) -> Path:
    write_lines(folder / "flaw_lines.jsonl", list(rows))
    return folder


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_file_beside_the_data_marks_lines_by_split_and_row(
    cached: bool, ending: str, tmp_path: Path
) -> None:
    folder = write_all_hdf5(tmp_path)
    write_marks(
        folder,
        {"split": "train", "row": 1, "lines": [3, 2]},
        {"split": "valid", "row": 0, "lines": [1]},
        {"split": "train", "row": 3, "lines": [4]},
    )
    if ending:
        packed(folder / "flaw_lines.jsonl", ending)
    for _ in range(1 + cached):
        data = read_data(
            folder, label_mode="binary", cache_dir=tmp_path / "cache" if cached else None
        )
    assert marked(data, "train") == [[], [2, 3], [], [4], [], []]
    assert marked(data, "validation") == [[1], [], [], [], [], []]
    assert marked(data, "test") == [[]] * 6
    assert data.splits["train"].take(data.splits["train"].labels == 0).flaw_lines is not None


def test_marks_that_are_written_anew_are_read_anew(tmp_path: Path) -> None:
    folder = write_all_hdf5(tmp_path)
    for lines in ([1], [2]):
        write_marks(folder, {"split": "test", "row": 2, "lines": lines})
        data = read_data(folder, label_mode="binary", cache_dir=tmp_path / "cache")
        assert marked(data, "test")[2] == lines


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"split": "train", "row": 6, "lines": [1]}, r"row must be 0 to 5 in train, found 6"),
        ({"split": "train", "row": 5, "lines": [9]}, r"lines must be 1 to 5 in row 5 of train"),
        (
            {"split": "train", "row": 5, "lines": [0]},
            r"lines must be a list of numbers from 1, found \[0\]",
        ),
        (
            {"split": "train", "row": 5, "lines": 4},
            r"lines must be a list of numbers from 1, found 4",
        ),
        ({"split": "train", "row": "5", "lines": [4]}, r"row must be a number from 0, found '5'"),
        ({"split": "other", "row": 5, "lines": [4]}, r"split must be train.*found 'other'"),
    ],
)
def test_marks_of_what_is_not_there_are_refused_with_their_place(
    row: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    folder = write_all_hdf5(tmp_path)
    write_marks(folder, {"split": "train", "row": 0, "lines": [1]}, row)
    with pytest.raises(DataError, match=rf"flaw_lines.jsonl, object 2: {rule}"):
        read_data(folder, label_mode="binary")


def test_marks_of_a_single_file_are_those_of_all(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"func": SOURCE, "label": n % 2} for n in range(4)])
    write_marks(
        tmp_path,
        {"row": 1, "lines": [3]},
        {"split": "train", "row": 9, "lines": [3]},
        {"split": "all", "row": 3, "lines": [4]},
    )
    for place in (tmp_path, tmp_path / "a.jsonl"):
        assert marked(read(place)) == [[], [3], [], [4]]
