"""Files that can't be read: one short message each, with the file, the place and the rule."""

from __future__ import annotations

import gzip
import json
import tarfile
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from enstack.data import json_stream, opened
from enstack.data.functions import labelled, read_tables
from enstack.data.split_files import split_files
from enstack.errors import DataError
from tests.support.layout_samples import packed, write_lines, write_parquet

ROWS: list[dict[str, Any]] = [
    {"func": f"int f{number}(void)\n{{\n    g();\n}}\n", "target": number % 2}
    for number in range(8)
]
ARRAY = json.dumps(ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
# What pandas writes where functions are bytes.
BYTES = "func,target\n" + "".join(f'"{row["func"].encode()!s}",{row["target"]}\n' for row in ROWS)


def read(place: Path) -> None:
    labelled(read_tables(place), label_mode="auto")


def with_rows(**changed: Any) -> str:
    """Lines of which the third has other values."""
    rows = [*ROWS[:2], {**ROWS[2], **changed}, *ROWS[3:]]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        # Texts and labels that are none
        ("a.jsonl", with_rows(func=["int", "f"] * 70_000), "func .* row 2 has a list of 140,000"),
        ("a.jsonl", with_rows(func=7), "func must hold functions, row 2 has no text, found 7"),
        ("a.jsonl", with_rows(func={"code": "f()"}), "row 2 has an object of code"),
        ("a.jsonl", with_rows(func="--- a/x.c\n+++ b/x.c\n"), "row 2 has a patch"),
        ("a.jsonl", with_rows(target={"vul": 1}), "target must hold labels, row 2 has an object"),
        ("a.jsonl", with_rows(target=[1] * 5000), "target .* row 2 has a list of 5,000 items"),
        ("a.jsonl", with_rows(target="z" * 140_000), "row 2 has a text of 140,000 characters"),
        ("a.jsonl", LINES.replace('"target": 1', '"target": [1]'), "label must be .*row 1 has"),
        ("a.csv", BYTES, r"row 0 has bytes as Python shows them \(b'...'\): decode them first"),
        # JSON that holds no rows
        ("a.json", json.dumps([ROWS, ROWS]), r"after 0 rows, an item .* one object, found \[\{"),
        ("a.json", json.dumps([list(ROWS[0])]), "after 0 rows, an item of its array must be one"),
        ("a.json", json.dumps({"train": ROWS, "test": ROWS}, indent=1), "rows under 'train'"),
        ("a.json", json.dumps(ROWS[0], indent=2), "line 1 .*its object goes on in the next line"),
        ("a.json", json.dumps([["func", "target"], ["f()", 1]]), "Write each row with its names"),
        (
            "a.jsonl",
            ",\n".join(map(json.dumps, ROWS)),
            "line 1 .* and nothing else.*commas between",
        ),
        ("a.json", "".join(map(json.dumps, ROWS)), "line 1 .*each object on a line of its own"),
        ("a.jsonl", "func,target\nf(),1\n", "like a table of csv: give it the ending .csv"),
        (
            "a.csv",
            "".join(f'"{row["func"]}",{row["target"]}\n' for row in ROWS),
            r"Found int f0\(void\) \{ g\(\); \}, 0\. The first line holds a function",
        ),
        ("a.csv", LINES, "it holds JSON. Give it the ending .jsonl"),
        ("a.csv", ARRAY, "it holds JSON. Give it the ending .jsonl"),
        ("a.csv", "Snippet;Outcome\nf();1\n", "separates its columns by semicolons"),
        ("a.csv", "Snippet\tOutcome\nf()\t1\n", "separates its columns by tabs"),
        ("a.json", str(ROWS), "single quotes, as Python shows a value"),
        ("a.json", "[" * 100_000, "after 0 rows, it is nested too deeply"),
        ("a.jsonl", '{"func": ' + "[" * 100_000, "line 1 .* it is nested too deeply"),
        ("a.jsonl", '{"target": ' + "9" * 5000 + "}", "line 1 .* a number of too many digits"),
        ("a.json", "Entry not found", "line 1 .*found 'Entry not found'. See whether it is the"),
        ("a.json", "[]", "must hold at least one function, it has no rows"),
        ("a.json", ARRAY + "\0" * 5000, "after 8 rows, NUL bytes follow"),
        ("a.csv", 'func,target\n"f() { g(); }",1\n' + "\0" * 5000, "line 3: .* holds NUL bytes"),
        ("a.jsonl", "\0" * 5000, "begins with 4,096 NUL bytes"),
        ("a.jsonl.gz", LINES, "must be packed as .gz says, it is not"),
        ("a.csv", "func,target,Target\n" + '"f() { g(); }",1,0\n' * 4, "target and Target"),
    ],
)
def test_what_holds_no_functions_is_told_in_short(
    name: str, content: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 400


def write_nested(path: Path) -> None:
    write_parquet(path, [{"row": row} for row in ROWS])


def write_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("a.jsonl")
        member.size = len(LINES)
        archive.addfile(member, BytesIO(LINES.encode()))


def write_rotten(path: Path) -> None:
    content = bytearray(gzip.compress(LINES.encode() * 50, mtime=0))
    content[-6] ^= 255  # of the check sum: what is unpacked may look well
    path.write_bytes(content)


def write_cut(path: Path) -> None:
    path.with_suffix("").write_text(LINES * 50)
    packed(path.with_suffix(""), path.suffix)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("a.parquet", write_nested, "func, target lie inside of row"),
        ("a.jsonl.gz", write_tar, "must be jsonl, it is a tar archive"),
        ("a.jsonl.gz", write_rotten, "can't be read, it may be truncated or damaged"),
        ("a.jsonl.gz", write_cut, "can't be read, it may be truncated or damaged: Truncated"),
        ("a.jsonl.zst", write_cut, "can't be read, it may be truncated or damaged: Truncated"),
    ],
)
def test_files_of_other_kinds_and_damaged_ones_are_told(
    name: str, write: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}.*{told}"):
        read(tmp_path)


def test_a_column_that_a_parquet_file_has_twice_is_refused(tmp_path: Path) -> None:
    texts, labels = [row["func"] for row in ROWS], [row["target"] for row in ROWS]
    table = pa.Table.from_arrays([texts, labels, labels], names=["func", "target", "target"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="each column once, target stands there 2 times"):
        read(tmp_path)


def test_what_is_missing_is_told_with_the_nearest_layout(tmp_path: Path) -> None:
    rows = [{"target": 1, "flaw_line": "g();", "flaw_line_index": 2, "body": "x"}] * 4
    write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"nearest layout is LineVul, which has processed_func too"):
        read(tmp_path)


# Memory


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json", "a.jsonl.gz"])
def test_a_line_longer_than_any_row_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    begin = {"a.csv": 'func,target\n"f() {', "a.json": '[{"func": "'}.get(name, '{"func": "')
    path = tmp_path / name.removesuffix(".gz")
    path.write_text(begin + "x" * 3_000_000)
    if name.endswith(".gz"):
        packed(path, ".gz")
    tracemalloc.start()
    with (
        mock.patch.object(opened, "LONGEST_ROW", 1000),
        mock.patch.object(json_stream, "LONGEST_ROW", 1000),
        mock.patch.object(json_stream, "CHUNK", 500),
        pytest.raises(
            DataError, match=r"a row must be shorter|more than 1,000 characters.*remove it"
        ),
    ):
        read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_rows_of_long_lists_are_held_a_few_at_a_time(ending: str, tmp_path: Path) -> None:
    rows = [
        {"func": f"f() {{ {number}; }}", "label": number % 2, "tokens": ["int"] * 2_000}
        for number in range(60)
    ]
    if ending == "jsonl":
        write_lines(tmp_path / "a.jsonl", rows)
    else:
        (tmp_path / "a.json").write_text(json.dumps(rows))
    with mock.patch("enstack.data.formats.BATCH_TEXT", 50_000):
        tracemalloc.start()
        read(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # All at once they take 7 MB.
    assert peak < 4_000_000


# Forms that are not read


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("archive.zip", "Unpack the archive"),
        ("data.tar.gz", "Unpack the archive"),
        ("data.xlsx", "Save the sheet as .csv"),
        ("train.pkl", "Pickles and arrays are not opened"),
        ("CVEfixes.db", "Write the one query that is meant as a table"),
        ("train.tsv", "Write it as .csv with commas"),
        ("data.feather", "Give it the ending .arrow"),
        ("vulnerable/a.c", "Files of code have no labels"),
    ],
)
def test_a_form_that_is_not_read_is_told_with_what_makes_a_table_of_it(
    name: str, advice: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"any")
    (tmp_path / "LICENSE.txt").write_text("MIT")
    for place in (tmp_path, path):
        with pytest.raises(DataError, match=rf"functions.*{advice}"):
            split_files(place)
