"""A flaw and its fix: the two functions of one name in one commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enstack.data.functions import Functions, labelled, read_tables
from enstack.data.pairs import pairs_of
from enstack.data.split_files import WHOLE
from enstack.metrics.pairs import pairwise
from enstack.stacking.kept_pairs import write_pairs
from enstack.stacking_folder import StackingFolder
from tests.support.layout_samples import Sample, prime_vul, write_lines


def functions(*rows: tuple[str, str | None, int]) -> Functions:
    """Functions of these texts, commits and labels."""
    texts, commits, labels = zip(*rows, strict=True)
    return Functions(
        np.array([f"test/{row}" for row in range(len(rows))]),
        pa.array(texts, type=pa.large_string()),
        np.array(labels, dtype=np.int64),
        groups=pa.table({"commit": pa.array(commits, type=pa.large_string())}),
    )


def pairs(*rows: tuple[str, str | None, int]) -> list[Any]:
    given = functions(*rows)
    listed: list[Any] = pairs_of(given, given.labels == 1).tolist()
    return listed


def test_two_functions_of_one_name_and_commit_are_a_pair_the_vulnerable_one_first() -> None:
    found = pairs(
        ("int g(void) { }", "a", 0),
        ("int f(void) { fixed(); }", "a", 0),
        ("static int f (int n) { }", "a", 1),
        ("int f(void) { }", "b", 1),
    )
    assert found == [[2, 1]]


@pytest.mark.parametrize(
    "rows",
    [
        [("f() {}", "a", 1), ("f() { }", "a", 1)],
        [("f() {}", "a", 1), ("f() { }", "a", 0), ("f() { ; }", "a", 0)],
        [("f() {}", None, 1), ("f() { }", None, 0)],
        [("{}", "a", 1), ("{ }", "a", 0)],
    ],
)
def test_where_nobody_knows_which_belong_together_there_is_no_pair(rows: Any) -> None:
    assert pairs(*rows) == []


def test_without_commits_there_is_no_pair() -> None:
    given = functions(("f() {}", "a", 1), ("f() { }", "a", 0))
    bare = Functions(given.ids, given.sources, given.labels)
    assert pairs_of(bare, bare.labels == 1).shape == (0, 2)


def test_each_pair_counts_once_by_what_is_said_of_both() -> None:
    said = np.array([True, True, False, False, True, False, True, False])
    of_pairs = np.array([[0, 2], [1, 3], [0, 1], [2, 3], [2, 4]])
    assert pairwise(said, of_pairs) == {
        "n": 5,
        "correct": 2,
        "both_vulnerable": 1,
        "both_benign": 1,
        "reversed": 1,
    }


def test_a_run_keeps_the_pairs_of_its_test_functions(tmp_path: Path) -> None:
    samples = [
        Sample(f"int f{n // 2}(void)\n{{ g({n}); }}\n", n % 2 == 0, commit=f"c{n // 4}")
        for n in range(8)
    ]
    write_lines(tmp_path / "a.jsonl", [prime_vul(one) for one in samples])
    data = labelled(read_tables(tmp_path), label_mode="binary")
    data.splits["test"] = data.splits[WHOLE]
    folder = StackingFolder(tmp_path)
    write_pairs(data, folder)
    with np.load(folder.pairs) as stored:
        assert stored["pairs"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
