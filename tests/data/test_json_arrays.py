"""One JSON array, or arrays under names, read an object at a time: the same rows, little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enstack.data import json_stream
from enstack.data.json_lines import json_records
from enstack.errors import DataError

ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.one_of(
            st.text(),
            st.integers(),
            st.floats(allow_nan=False),
            st.booleans(),
            st.none(),
            st.lists(st.text(max_size=3), max_size=3),
            st.sampled_from(["]", "}", '"', "\\", "[{", "\\u00e9"]),
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=6,
)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(
    rows=ROWS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 0, 2]), plain=st.booleans()
)
def test_rows_are_the_same_wherever_the_text_is_cut(
    rows: list[dict[str, Any]], chunk: int, indent: int | None, plain: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=plain), "utf-8", "surrogatepass")
    with mock.patch.object(json_stream, "CHUNK", chunk):
        assert list(json_records(path, ())) == rows


@quick
@given(rows=ROWS, chunk=st.integers(1, 40))
def test_arrays_under_weaknesses_give_their_rows_that_name(
    rows: list[dict[str, Any]], chunk: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"CWE-119": rows, "NVD-CWE-noinfo": rows[:1], "CWE-20": []}))
    with mock.patch.object(json_stream, "CHUNK", chunk):
        read = list(json_records(path, ()))
    assert read == [
        *({"cwe": "CWE-119", **row} for row in rows),
        *({"cwe": "NVD-CWE-noinfo", **row} for row in rows[:1]),
    ]


@quick
@given(rows=ROWS.filter(bool), share=st.floats(0, 0.999), chunk=st.sampled_from([5, 1 << 20]))
def test_an_array_that_was_cut_anywhere_is_refused(
    rows: list[dict[str, Any]], share: float, chunk: int, tmp_path: Path
) -> None:
    text = json.dumps(rows)
    path = tmp_path / "a.json"
    path.write_text(text[: max(1, int(len(text) * share))])
    with (
        mock.patch.object(json_stream, "CHUNK", chunk),
        pytest.raises(DataError, match=r"a\.json: after"),
    ):
        list(json_records(path, ()))


def test_bytes_that_are_no_utf_8_and_half_a_pair_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"func": "\\ud800 \\udc80"}, {"func": "gr\xfc\xdfe"}]')
    escapes, latin = (row["func"] for row in json_records(path, ()))
    assert escapes == "\ud800 \ud800"
    assert latin.encode("utf-8", "surrogateescape") == b"gr\xfc\xdfe"


def test_a_fault_in_a_large_file_is_told_without_reading_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"func": 1}, {"func" 2}' + ', {"func": 3}' * 500_000)
    with (
        mock.patch.object(json_stream, "CHUNK", 100),
        mock.patch.object(json_stream, "LONGEST_ROW", 1000),
        pytest.raises(DataError, match=r"after 1 rows, its JSON is broken \(expecting ':'"),
    ):
        list(json_records(path, ()))


@pytest.mark.slow
def test_a_large_array_is_read_in_the_memory_of_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "function.json"
    row = json.dumps({"target": 1, "func": "int f() { return 0; }" * 150})
    with path.open("w") as file:
        file.write("[")
        for _ in range(130_000):
            file.write(row + ",\n")
        file.write(row + "]")
    assert path.stat().st_size > 390 << 20
    code = (
        "import sys; from pathlib import Path\n"
        "from enstack.data.json_lines import json_records\n"
        "print(sum(1 for _ in json_records(Path(sys.argv[1]), ())))\n"
        # Of this program alone: getrusage begins with the memory of whoever started it.
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) >> 10)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    n_rows, peak = map(int, done.stdout.split())
    assert n_rows == 130_001
    assert peak < 300
