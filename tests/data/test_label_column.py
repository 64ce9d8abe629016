"""A label column: what has one meaning is read, what has two is refused with what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.functions import VulnerabilityData, read_data
from enstack.data.labels import CLASS_NAMES, label_functions, label_notes, require_labels
from enstack.data.split_files import SPLITS
from enstack.data.table import Table
from enstack.errors import DataError
from tests.support.command_line import enstack_here
from tests.support.data_files import label_rows, write_rows

CLASSES = CLASS_NAMES["cwe_or_clean"]
MODES = tuple(CLASS_NAMES)
SPELLINGS: list[Callable[[str], Any]] = [
    str,
    str.lower,
    str.upper,
    lambda name: name.replace("-", ""),
    lambda name: name.replace("-", "_"),
    lambda name: f" {name.replace('-', ' ')} ",
    str.encode,
]


def tables_of(labels: Sequence[Sequence[Any]]) -> dict[str, Table]:
    """A table of each split with these labels."""
    tables = {}
    for split, own in zip(SPLITS, labels, strict=True):
        column = np.empty(len(own), dtype=object)
        column[:] = own
        tables[split] = Table(Path(f"{split}.jsonl"), len(own), None, column)
    return tables


def expected(of_class: int, label_mode: str) -> Any:
    """The label of a class (0-5, 5 is clean), in words of this test's own; None: left out."""
    if label_mode == "multilabel":
        return [number == of_class for number in range(5)]
    if label_mode == "binary":
        return int(of_class != 5)
    return None if (label_mode, of_class) == ("cwe", 5) else of_class


def read(tables: dict[str, Table], label_mode: str) -> list[list[Any]]:
    """The label of every row by split, None for one that is left out."""
    require_labels(tables, label_mode)
    labellings = [label_functions(table, label_mode, "priority") for table in tables.values()]
    return [
        [
            label if kept else None
            for label, kept in zip(each.labels.tolist(), each.kept, strict=True)
        ]
        for each in labellings
    ]


some_classes = st.tuples(*[st.lists(st.integers(0, 5), min_size=1, max_size=8)] * 3)


@given(some_classes, st.sampled_from(MODES), st.data())
def test_a_name_is_read_in_every_label_mode_however_it_is_spelled(
    classes: Any, label_mode: str, draw: st.DataObject
) -> None:
    names = [
        [draw.draw(st.sampled_from(SPELLINGS))(CLASSES[of_class]) for of_class in own]
        for own in classes
    ]
    wanted = [[expected(of_class, label_mode) for of_class in own] for own in classes]
    assert read(tables_of(names), label_mode) == wanted


@given(some_classes, st.sampled_from(MODES), st.sampled_from([int, float, str, "{}.0".format]))
def test_numbers_are_read_as_the_classes_they_count_or_refused(
    classes: Any, label_mode: str, written: Any
) -> None:
    present = {of_class for own in classes for of_class in own}
    tables = tables_of([[written(of_class) for of_class in own] for own in classes])
    # Of numbers alone, these say something else, or may say it.
    looks_binary = present <= {0, 1} and 1 in present
    too_high = label_mode == "cwe" and 5 in present
    refused = too_high or looks_binary or 0 not in present
    if label_mode == "binary":
        refused = bool(present - {0, 1})
    if refused:
        with pytest.raises(DataError, match="label must"):
            read(tables, label_mode)
    elif label_mode == "binary":
        assert read(tables, label_mode) == [list(own) for own in classes]
    else:
        wanted = [[expected(of_class, label_mode) for of_class in own] for own in classes]
        assert read(tables, label_mode) == wanted


VULNERABLE_OR_NOT: list[tuple[Any, Any]] = [
    (0, 1), (0.0, 1.0), ("0", "1"), (False, True), ("False", "true"), ("clean", "vulnerable"),
    ("Clean", "VULNERABLE"), (b"0", b"1"), (np.int8(0), np.int8(1)), (np.False_, np.True_),
]  # fmt: skip


@pytest.mark.parametrize("words", VULNERABLE_OR_NOT)
@pytest.mark.parametrize("label_mode", ["cwe", "cwe_or_clean", "multilabel"])
def test_labels_that_only_tell_clean_from_vulnerable_are_refused_and_the_advice_works(
    words: tuple[Any, Any], label_mode: str
) -> None:
    # One split with both: each alone might be anything.
    tables = tables_of([[words[bit] for bit in bits] for bits in ((0, 1, 1), (0,), (0, 0))])
    with pytest.raises(DataError, match="Use label_mode=binary") as caught:
        read(tables, label_mode)
    (advised,) = re.findall(r"label_mode=(\w+) \(", str(caught.value))
    assert read(tables, advised) == [[0, 1, 1], [0], [0, 0]]


@pytest.mark.parametrize(("highest", "advised"), [(4, "cwe"), (5, "cwe_or_clean")])
def test_numbered_classes_are_no_answer_to_yes_or_no_and_the_advice_works(
    highest: int, advised: str
) -> None:
    # Train alone would pass for 0 and 1.
    tables = tables_of([[0, 1, 1, 0], [0, 2], [1, highest]])
    asked = "binary" if highest == 4 else "cwe"
    with pytest.raises(DataError, match=f"go with label_mode={advised}") as caught:
        read(tables, asked)
    assert "rows count from 0; 1 such rows" in str(caught.value)
    assert read(tables, advised)[2] == [1, highest]


@pytest.mark.parametrize("label_mode", ["cwe", "cwe_or_clean", "multilabel"])
@pytest.mark.parametrize("labels", [[1, 2, 3], [1, 2, 3, 4, 5], ["1.0", "3.0"], [2, 4]])
def test_numbers_that_begin_at_1_are_refused(label_mode: str, labels: list[Any]) -> None:
    with pytest.raises(DataError, match=r"must count classes from 0 \(CWE-119\).*Write names"):
        read(tables_of([labels, labels[:1], labels[-1:]]), label_mode)


@pytest.mark.parametrize(
    "labels", [[-1, 1], ["yes", "no"], ["safe", "vulnerable"], [1, 2], [True, "secure"]]
)
def test_two_labels_that_may_be_clean_and_vulnerable_are_to_be_written_so(
    labels: list[Any],
) -> None:
    with pytest.raises(DataError, match="tell clean from vulnerable functions, write 0 and 1"):
        read(tables_of([labels, labels, labels]), "cwe")
    zero_and_one = [labels.index(label) for label in labels]
    assert read(tables_of([zero_and_one] * 3), "binary") == [[0, 1]] * 3


def test_a_split_that_lacks_0_is_none_that_begins_at_1() -> None:
    tables = tables_of([[0, 1, 2], [1, 2], [2]])
    assert read(tables, "cwe") == [[0, 1, 2], [1, 2], [2]]


@pytest.mark.parametrize("odd", [[0, 1], [3, 4], ["0"]])
@pytest.mark.parametrize("place", range(3))
def test_names_and_numbers_together_are_refused_with_both_files(odd: Any, place: int) -> None:
    labels: list[list[Any]] = [["CWE-119", "clean"], ["CWE-120"], ["CWE-469"]]
    labels[place] = odd
    with pytest.raises(DataError, match=rf"found .* in .*\.jsonl and {odd[0]} in {SPLITS[place]}"):
        read(tables_of(labels), "cwe_or_clean")


@pytest.mark.parametrize("label_mode", MODES)
@pytest.mark.parametrize("beside", [[], ["clean"], [True], ["vulnerable", False]])
def test_names_of_cwes_beside_numbers_are_refused_under_every_mode(
    label_mode: str, beside: list[Any]
) -> None:
    labels: list[list[Any]] = [["CWE-119", *beside], ["CWE-120"], [0, 1]]
    expected = r"found CWE-119 in train\.jsonl and 0 in test\.jsonl"
    with pytest.raises(DataError, match=expected):
        read(tables_of(labels), label_mode)


def test_under_binary_clean_false_and_0_agree_and_the_note_has_them_all() -> None:
    tables = tables_of([[0, "vulnerable", True], ["clean", 1.0], ["Vulnerable", False]])
    assert read(tables, "binary") == [[0, 1, 1], [0, 1], [1, 0]]
    assert label_notes(tables, "binary", "priority") == [
        "labels are written in several ways, read as 0 clean, 1 vulnerable, clean clean, "
        "false clean, true vulnerable, vulnerable vulnerable"
    ]


@pytest.mark.parametrize(
    ("bad", "advice"),
    [
        (-1, "Write 0 or clean for clean functions, 1 or vulnerable"),
        ("good", "Write 0 or clean for clean functions, 1 or vulnerable"),
        ([0, 1], "A row has one label"),
        (None, "Write the label of these rows, or remove them"),
    ],
)
def test_what_is_no_label_is_refused_with_what_to_write(bad: Any, advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        read(tables_of([[0, 1], [1, bad], [0]]), "binary")


@pytest.mark.parametrize(
    "bad", [None, float("nan"), "", -1, 1.5, "yes", [0], 10**400, float("inf"), "CWE-78"]
)
@pytest.mark.parametrize("label_mode", MODES)
def test_what_is_no_label_names_its_file_and_row(bad: Any, label_mode: str) -> None:
    names = ["CWE-119", "CWE-120"]
    expected = r"validation.jsonl: label must be 0 to .*row 1 has .*1 such rows"
    with pytest.raises(DataError, match=expected):
        read(tables_of([names, ["CWE-119", bad], names]), label_mode)


@pytest.mark.parametrize("gap", [None, float("nan"), np.float64("nan"), "", " ", b"", pd.NA])
def test_a_gap_is_told_as_one_and_not_as_a_label_that_stands_there(gap: Any) -> None:
    with pytest.raises(DataError, match=r"row 1 has no label \(NaN, null or empty\) .* Write the"):
        read(tables_of([[0, 1], [1, gap], [0]]), "binary")
    with pytest.raises(DataError, match=r"row 1 has 'none' .* Write the label"):
        read(tables_of([[0, 1], [1, "none"], [0]]), "binary")


def test_a_gap_in_one_split_does_not_hide_that_labels_are_0_and_1() -> None:
    with pytest.raises(DataError, match="Use label_mode=binary"):
        read(tables_of([[0.0, 1.0, float("nan")], [0.0], [1.0]]), "cwe")


# Through files


def typed(folder: Path, suffix: str, labels: Any) -> Path:
    frame = pd.DataFrame({"func": [f"f{n}() {{ }}" for n in range(len(labels))], "label": labels})
    for split in SPLITS:
        path = folder / f"{split}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    return folder


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["bool", "boolean", "int8", "Int64", "float32", "Float64", "str"])
@pytest.mark.parametrize("cached", [False, True])
def test_vulnerable_or_not_is_read_from_columns_of_any_type(
    tmp_path: Path, suffix: str, kind: str, cached: bool
) -> None:
    folder = typed(tmp_path, suffix, pd.Series([0, 1, 1, 0]).astype(kind))
    for _ in range(2):  # the second time from the cache
        wanted: dict[str, Any] = {"cache_dir": tmp_path / "cache" if cached else None}
        with pytest.raises(DataError, match="Use label_mode=binary"):
            read_data(folder, **wanted)
        train = read_data(folder, label_mode="binary", **wanted).splits["train"]
        assert train.labels.tolist() == [0, 1, 1, 0]


def named(tmp_path: Path, label_mode: str) -> VulnerabilityData:
    rows = label_rows(["CWE-120", "clean", "cwe_119", "clean"])
    return read_data(write_rows(tmp_path, "csv", rows), label_mode=label_mode)


def test_clean_functions_are_left_out_under_cwe_and_counted(tmp_path: Path) -> None:
    data = named(tmp_path, "cwe")
    assert data.splits["train"].ids.tolist() == ["train/0", "train/2"]
    assert data.splits["train"].labels.tolist() == [1, 0]
    assert data.dropped["train"]["no flag"] == 2
    assert "train: 2 of 4 functions without a flag, dropped" in data.notes
    assert named(tmp_path, "cwe_or_clean").splits["test"].labels.tolist() == [1, 5, 0, 5]


def test_a_note_says_what_numbers_were_taken_for(tmp_path: Path) -> None:
    data = read_data(write_rows(tmp_path, "csv", label_rows([0, 2, 5])), label_mode="cwe_or_clean")
    assert "labels are numbers, read as 0 CWE-119, 2 CWE-469, 5 clean" in data.notes
    assert not [note for note in named(tmp_path, "cwe").notes if "numbers" in note]


def test_the_commands_end_with_the_status_of_wrong_data_and_their_advice_works(
    tmp_path: Path,
) -> None:
    folder = write_rows(tmp_path / "data", "csv", label_rows([0, 1] * 4))
    scratch = ("--local-dir", tmp_path / "scratch")
    done = enstack_here("audit", folder, "--json", *scratch, "--label-mode", "cwe")
    assert done.returncode == 3
    assert "Use label_mode=binary (enstack audit: --label-mode binary)" in done.stderr
    done = enstack_here("audit", folder, "--json", *scratch, "--label-mode", "binary")
    assert done.returncode == 0, done.stderr


def test_a_label_with_a_sign_that_is_not_printed_is_no_name() -> None:
    for label in ("cl\0ean", "cl\u200bean", b"cl\0ean"):
        tables = tables_of([["clean", "vulnerable"], ["clean"], [label]])
        with pytest.raises(DataError, match=r"row 0 has .*cl"):
            require_labels(tables, "binary")
