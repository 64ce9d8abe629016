"""csv: one dialect comes back as it was written, others are named; none is altered in silence."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enstack.data.csv_tables import backslash_notes, csv_header, csv_rows
from enstack.data.formats import TABLE_COLUMNS
from enstack.data.functions import read_data
from enstack.errors import DataError
from tests.support.data_files import SOURCES, label_rows, write_rows

PIECES = [
    "f(a, b)", "{", "}", ";", " ", "  ", "\n", "\r\n", "\r", "\t", '"', '""', "'", "''", "\\",
    "\\\\", "\\n", '\\"', ",", "|", "x", "1", "é", "\0", "'a'", '"%s\\n"', "// it's", "CWE-119",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)
TABLES = st.lists(st.tuples(TEXTS, st.sampled_from(["0", "1", "clean"])), min_size=1, max_size=12)
Rows = list[tuple[str, str]]


def written(path: Path, rows: Rows, label_first: bool, encoding: str, **dialect: Any) -> Path:
    order = slice(None, None, -1 if label_first else 1)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, **dialect)
        writer.writerow(("func", "label")[order])
        writer.writerows(row[order] for row in rows)
    return path


def read(path: Path) -> tuple[Rows, list[str]]:
    """The rows, and what was noted of their backslashes."""
    header = csv_header(path, TABLE_COLUMNS)
    if not {"func", "label"} <= set(header):
        raise DataError("missing columns")  # as columns.py says it
    rows = [(func, label) for func, label in csv_rows(path, ("func", "label"))]
    texts = pa.array([func for func, _ in rows], type=pa.large_string())
    return rows, backslash_notes(path, [texts])


def comes_back(rows: Rows, line_end: str, quoting: int) -> bool:
    """Whether Python's writer leaves no line end outside of quotes that its line end has not."""
    text = "".join(func for func, _ in rows)
    return quoting == csv.QUOTE_ALL or not set("\r\n") & set(text) - set(line_end)


@given(
    TABLES,
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_what_python_writes_unless_told_otherwise_comes_back_identical(
    rows: Rows, label_first: bool, encoding: str, line_end: str, quoting: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(
            Path(folder) / "train.csv",
            rows,
            label_first,
            encoding,
            lineterminator=line_end,
            quoting=quoting,
        )
        try:
            found, _ = read(path)
        except DataError:
            # Where all that ' stands in looks quoted by it, no one can tell.
            single = all(func[0] == func[-1] == "'" for func, _ in rows if "'" in func)
            found = rows if single or not comes_back(rows, line_end, quoting) else []
        assert found == rows


@settings(max_examples=3 * settings().max_examples)
@given(
    TABLES,
    st.booleans(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(['"', "'"]),
    st.sampled_from([None, "\\"]),
    st.booleans(),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@example([('puts("x");', "0")], False, ",", '"', "\\", False, csv.QUOTE_MINIMAL, "\n")
@example([("f(a, b) { g('x'); }", "0")], True, ",", '"', "\\", False, csv.QUOTE_NONE, "\n")
def test_no_dialect_of_csv_is_altered_in_silence(
    rows: Rows,
    label_first: bool,
    delimiter: str,
    quotechar: str,
    escapechar: str | None,
    doublequote: bool,
    quoting: int,
    line_end: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        try:
            written(
                path,
                rows,
                label_first,
                "utf-8",
                delimiter=delimiter,
                quotechar=quotechar,
                escapechar=escapechar,
                doublequote=doublequote,
                quoting=quoting,
                lineterminator=line_end,
            )
        except csv.Error:
            return  # what Python can't write either
        try:
            found, notes = read(path)
        except DataError:
            return
        # What the dialect that is read would have written itself can't be told from it.
        quotings = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        plain = [
            written(
                Path(folder) / "plain.csv",
                found,
                label_first,
                "utf-8",
                quoting=each,
                lineterminator=line_end,
            ).read_bytes()
            for each in quotings
        ]
        assert found == rows or notes or path.read_bytes() in plain


ESCAPED = {"doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_ALL}
CODE = [('int f(void)\n{\n    printf("%d\\n", g(1, 2));\n}\n', "0"), ("g();", "1")]


@pytest.mark.parametrize(
    ("dialect", "named"),
    [
        (ESCAPED, "escapes quotes or commas with a backslash"),
        ({"doublequote": False, "escapechar": "\\"}, "escapes quotes or commas with a backslash"),
        ({"delimiter": ";"}, "separates its columns by semicolons"),
        ({"delimiter": "\t"}, "separates its columns by tabs"),
        ({"delimiter": "|", "quoting": csv.QUOTE_ALL}, "separates its columns by vertical bars"),
        ({"quotechar": "'"}, "line 2: the table has code in single quotes"),
        ({"quotechar": "'", "quoting": csv.QUOTE_ALL}, "has ' around its names"),
    ],
)
def test_another_dialect_is_named_with_what_to_do_and_not_called_damaged(
    tmp_path: Path, dialect: Any, named: str
) -> None:
    path = written(tmp_path / "train.csv", CODE, False, "utf-8", **dialect)
    with pytest.raises(DataError, match=named) as caught:
        read(path)
    assert "as .jsonl or .parquet" in str(caught.value)
    assert "again" not in str(caught.value)


LONG = [('int f(int a, int b)\n{\n    puts("\\n");\n}\n', "0"), ("g(a, b);", "1")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("rows", [CODE, LONG, [('"\nputs("', "0"), ("g();", "1")]])
@pytest.mark.parametrize(
    ("dialect", "named"),
    [
        ({"quotechar": "'"}, "single quotes|' around"),
        ({"quotechar": "'", "quoting": csv.QUOTE_ALL}, "single quotes|' around"),
        (ESCAPED, "with a backslash"),
        ({"doublequote": False, "escapechar": "\\"}, "with a backslash"),
        ({"delimiter": ";"}, "semicolons"),
        ({"delimiter": "\t"}, "tabs"),
    ],
)
def test_the_cause_is_named_whatever_ends_the_lines(
    tmp_path: Path,
    dialect: Any,
    named: str,
    rows: Rows,
    label_first: bool,
    line_end: str,
) -> None:
    path = written(
        tmp_path / "train.csv", rows, label_first, "utf-8-sig", lineterminator=line_end, **dialect
    )
    with pytest.raises(DataError, match=named):
        read(path)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (
            "func,label\nint f(void)\n{\n  g();\n}\n,0\n",
            "line 2: the table has code without quotes",
        ),
        ("func,label\nf(a, b);,0\n", "line 2: the table has code without quotes"),
        ('func,label\nputs("x");,0\n', "line 2: the table has code that is not quoted"),
        ('label,func\n0, "f();"\n', "line 2: the table has spaces between a comma and a quote"),
        ('func,label\n"f();",0\n"g();\n', "line 3: the table ends inside quotes"),
        ("label,func\n0,f(\r1, 2)\n", "line 2: the table has a bare CR among its line ends"),
        (
            "func,label\r\nf();,0\r\ng();,1\n",
            "line 3: the table has CRLF and LF among its line ends",
        ),
        ("func,label\r\nf();,0\r\ng(\r);,1\r\n", "without quotes"),
        ("'func','label'\n'f();','0'\n", "has ' around its names"),
        ("label,func\n0,'c = ''x'';'\n1,f();\n", "has its functions in single quotes"),
        ("label,func\n" + r"0,c = '\\0'; '\\n'" + "\n", "⚠️"),
    ],
)
def test_what_is_at_fault_with_a_table_is_named_with_its_line(
    tmp_path: Path, content: str, named: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content.encode())
    if named == "⚠️":
        assert named in read(path)[1][0]
        return
    with pytest.raises(DataError, match=named):
        read(path)


def test_backslashes_that_are_all_doubled_are_escapes_once_there_are_many(tmp_path: Path) -> None:
    rows = [(f"c = '\\n' + '\\0' + {n};", "01"[n % 2]) for n in range(6)]
    plain = written(tmp_path / "plain.csv", rows, False, "utf-8")
    assert read(plain) == (rows, [])
    escaped = written(tmp_path / "train.csv", rows, False, "utf-8", **ESCAPED)
    with pytest.raises(DataError, match="each of its 12 backslashes doubled, as escapes have"):
        read(escaped)


def test_a_whole_folder_of_escapes_is_refused_and_pandas_defaults_are_read(tmp_path: Path) -> None:
    rows = [{**row, "func": f'{row["func"]} puts("{n}\\n");'} for n, row in enumerate(
        label_rows(["CWE-119", "CWE-120"] * 3)
    )]  # fmt: skip
    folder = write_rows(tmp_path / "data", "csv", rows)
    pd.DataFrame(rows).to_csv(folder / "train.csv", index=True)
    assert read_data(folder).splits["train"].sources.to_pylist() == [row["func"] for row in rows]
    pd.DataFrame(rows).to_csv(folder / "test.csv", index=False, doublequote=False, escapechar="\\")
    with pytest.raises(DataError, match=r"test.csv, line 2: .*backslash"):
        read_data(folder)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("twice", ["label", "func"])
def test_a_column_that_stands_there_twice_is_refused(
    tmp_path: Path, suffix: str, twice: str
) -> None:
    frame = pd.DataFrame({"func": SOURCES, "label": ["CWE-119", "CWE-120"] * 3})
    doubled = pa.table(
        [*(pa.array(frame[name]) for name in frame), pa.array(frame[twice])],
        names=[*frame.columns, twice],
    )
    write_rows(tmp_path, suffix, frame.to_dict("records"))
    if suffix == "csv":
        pd.concat([frame, frame[[twice]]], axis=1).to_csv(tmp_path / "train.csv", index=False)
    else:
        pa.parquet.write_table(doubled, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=f"each column once, {twice} stands there 2 times"):
        read_data(tmp_path)
