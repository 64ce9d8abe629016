"""A flaw and its fix: the two functions of one name in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enstack.config import RunConfig
from enstack.data.functions import Functions, VulnerabilityData, labelled, read_tables
from enstack.data.pairs import pairs_of
from enstack.data.split_files import WHOLE
from enstack.inputs import read_run_data
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


# What a run keeps


def one_of_a_pair(number: int) -> Sample:
    """Every two numbers are a flaw and its fix; the names tell of no pair."""
    text = f"int f{number}(void)\n{{ g({number}); }}\n"
    return Sample(text, number % 2 == 0, commit=f"c{number // 2}")


def run_data(folder: Path, listed: Sequence[Sample] = ()) -> VulnerabilityData:
    """Twelve functions a split, as PrimeVul has them; listed: in the file of test's pairs."""
    for place, split in enumerate(("train", "valid", "test")):
        numbers = range(place * 100, place * 100 + 12)
        write_lines(
            folder / f"primevul_{split}.jsonl", [prime_vul(one_of_a_pair(n)) for n in numbers]
        )
    if listed:
        write_lines(folder / "primevul_test_paired.jsonl", [prime_vul(one) for one in listed])
    config = RunConfig(data_dir=str(folder), local_dir=str(folder / "scratch"), label_mode="binary")
    return read_run_data(config)


def kept(data: VulnerabilityData, folder: Path) -> dict[str, Any] | None:
    """What is stored of the pairs of test."""
    stacking = StackingFolder(folder)
    write_pairs(data, stacking)
    if not stacking.pairs.exists():
        return None
    with np.load(stacking.pairs) as stored:
        return {name: stored[name].tolist() for name in stored.files if name != "ids"}


def test_a_run_keeps_the_pairs_of_its_test_functions(tmp_path: Path) -> None:
    samples = [
        Sample(f"int f{n // 2}(void)\n{{ g({n}); }}\n", n % 2 == 0, commit=f"c{n // 4}")
        for n in range(8)
    ]
    write_lines(tmp_path / "a.jsonl", [prime_vul(one) for one in samples])
    data = labelled(read_tables(tmp_path), label_mode="binary")
    data.splits["test"] = data.splits[WHOLE]
    assert kept(data, tmp_path) == {"pairs": [[0, 1], [2, 3], [4, 5], [6, 7]]}


def test_pairs_of_a_paired_file_are_found_in_test_and_change_nothing_else(tmp_path: Path) -> None:
    alone = run_data(tmp_path / "alone")
    assert kept(alone, tmp_path) is None
    # The fix may come first; of the last two pairs test lacks one function, or both.
    order = [203, 202, 206, 207, 210, 300, 302, 303]
    listed = [replace(one_of_a_pair(n), commit=f"c{row // 2}") for row, n in enumerate(order)]
    listed[5] = replace(listed[5], vulnerable=False)
    data = run_data(tmp_path / "listed", listed)
    assert kept(data, tmp_path) == {
        "pairs": [[2, 3], [6, 7]],
        "listed": 4,
        "listed_in": "primevul_test_paired.jsonl",
    }
    assert data.fingerprint == alone.fingerprint
    assert any("2 of its 4 pairs of a flaw and its fix have both" in note for note in data.notes)


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        # The next row is of another commit: read from the wrong row on, or in another order.
        ([one_of_a_pair(n) for n in (203, 204, 205, 206)], "it has none"),
        ([one_of_a_pair(n) for n in (202, 204, 206, 208)], "No pairs are read from"),
    ],
)
def test_a_paired_file_without_pairs_is_told_and_left_alone(
    listed: list[Sample], told: str, tmp_path: Path
) -> None:
    data = run_data(tmp_path, listed)
    assert data.listed_pairs is None
    assert any(told in note and "primevul_test_paired.jsonl" in note for note in data.notes)
