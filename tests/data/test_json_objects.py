"""One JSON object that is a whole table is read as the rows that it holds, in little memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enstack.data import json_stream
from enstack.data.functions import labelled, read_tables
from enstack.data.json_lines import json_names, json_records
from enstack.errors import DataError
from tests.support.layout_samples import packed

Rows = list[dict[str, Any]]


def columns(rows: Rows) -> Any:
    return {name: [row[name] for row in rows] for name in rows[0]}


def columns_by_index(rows: Rows) -> Any:
    """As pandas.to_json writes a table of its own accord."""
    return {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]}


FORMS: dict[str, Callable[[Rows], Any]] = {
    "columns": columns,
    "columns beside a name": lambda rows: {"name": "mine", **columns(rows)},
    "columns by index": columns_by_index,
    "rows by number": lambda rows: {str(number): row for number, row in enumerate(rows)},
    "rows by name": lambda rows: {f"CVE-{number}": row for number, row in enumerate(rows)},
    "wrapped": lambda rows: {"data": rows},
    "wrapped beside more": lambda rows: {"info": {"code": 1}, "n": [1], "rows": rows, "end": ""},
    "table": lambda rows: {"schema": {"fields": [{"name": "func"}]}, "data": rows},
}
VALUES = st.one_of(
    st.text(),
    st.integers(),
    st.none(),
    st.sampled_from(["]", "}", '"', "\\", "[{", "é", "\ud800"]),
)
ROWS = st.lists(
    st.fixed_dictionaries({"func": st.text(), "label": st.integers(0, 1), "more": VALUES}),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 2]), plain=st.booleans())
def test_a_table_in_one_object_gives_its_rows(
    form: str, rows: Rows, chunk: int, indent: int | None, plain: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"{hash((str(rows), chunk, indent, plain))}.json"
    path.write_text(
        json.dumps(FORMS[form](rows), indent=indent, ensure_ascii=plain), "utf-8", "surrogatepass"
    )
    with mock.patch.object(json_stream, "CHUNK", chunk):
        assert set(json_names(path, ())) == {"func", "label", "more"}
        read = list(json_records(path, ("func", "label", "more")))
    if plain:
        assert read == rows
    else:
        assert [row["label"] for row in read] == [row["label"] for row in rows]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("form", FORMS)
def test_a_table_in_one_object_is_the_same_data(form: str, ending: str, tmp_path: Path) -> None:
    rows = [
        {"func": f"int f{n}() {{ g(); }}", "target": n % 2, "project": f"p{n}"} for n in range(9)
    ]
    plain, other = tmp_path / "plain.jsonl", tmp_path / "other.json"
    plain.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other.write_text(json.dumps(FORMS[form](rows)))
    if ending:
        packed(other, ending)
    one, two = (
        labelled(read_tables(path), label_mode="binary")
        for path in (plain, other.with_name(other.name + ending))
    )
    assert one.fingerprint == two.fingerprint
    assert one.notes == two.notes


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"func": ["f() { }"] * 3, "label": [0, 1]}, "3 values of func and 2 of label"),
        ({"func": {"0": "f() { }", "2": "g() { }"}, "label": {"0": 1}}, "2 values of func and 1"),
        ({"func": {"0": "f() { }"}, "label": {"1": 0}}, "the same rows in one order, row 0 is '0'"),
        ({"train": [{"func": "f()"}], "test": [{"func": "g()"}]}, "rows under 'train', 'test'"),
        (
            {"a": {"func": "f() { }", "label": 1}, "b": 3},
            "lie inside of a|goes on in the next line",
        ),
        (
            {"columns": ["func", "label"], "index": [0], "data": [["f() { }", 0]]},
            r"names of columns beside rows without names.*orient='records'",
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_that_is_no_table_is_told(
    value: Any, told: str, indent: int | None, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value, indent=indent))
    with pytest.raises(DataError, match=told) as caught:
        read_tables(tmp_path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("form", ["columns", "columns by index", "rows by number", "wrapped"])
def test_one_object_that_was_cut_short_is_told_as_such(form: str, tmp_path: Path) -> None:
    rows = [{"func": f"int f{n}() {{ g(); }}", "target": n % 2} for n in range(9)]
    text = json.dumps(FORMS[form](rows))
    (tmp_path / "a.json").write_text(text[: len(text) * 9 // 10])
    with pytest.raises(DataError, match=r"a\.json: (after|line).*cut short"):
        read_tables(tmp_path)


@pytest.mark.parametrize("form", ["columns", "columns by index", "rows by number", "wrapped"])
def test_a_table_in_one_object_needs_the_memory_of_its_chunks(form: str, tmp_path: Path) -> None:
    rows = [{"func": f"f() {{ {n}; }}" + " " * 10_000, "label": n % 2} for n in range(300)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(FORMS[form](rows)))
    del rows
    with mock.patch.object(json_stream, "CHUNK", 10_000):
        tracemalloc.start()
        assert sum(1 for _ in json_records(path, ("func", "label"))) == 300
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_000_000  # of a file of 3 MB
