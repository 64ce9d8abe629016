"""Labels that are lists of weaknesses: VDISC's five classes by MITRE's parents, or every CWE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.cwes import OTHER, ancestry, class_of_vdisc, cwes_of, rolled_up
from enstack.data.functions import VulnerabilityData, read_data
from enstack.errors import ConfigError, DataError
from tests.support.data_files import flag_rows, label_rows, write_all_hdf5, write_rows
from tests.support.layout_samples import Sample, prime_vul, write_lines


@pytest.mark.parametrize(
    ("cwe", "line"),
    [
        ("CWE-122", ["CWE-122", "CWE-788", "CWE-119", "CWE-118", "CWE-664"]),
        ("CWE-416", ["CWE-416", "CWE-825", "CWE-119", "CWE-118", "CWE-664"]),
        ("CWE-190", ["CWE-190", "CWE-682"]),
        ("CWE-401", ["CWE-401", "CWE-772", "CWE-404", "CWE-664"]),
        ("CWE-399", ["CWE-399"]),  # a category: in no view of weaknesses
        (OTHER, [OTHER]),
    ],
)
def test_parents_are_those_of_view_1000(cwe: str, line: list[str]) -> None:
    assert ancestry(cwe) == line


@pytest.mark.parametrize(
    ("cwe", "name"),
    [
        ("CWE-787", "CWE-119"),
        ("CWE-125", "CWE-119"),
        ("CWE-120", "CWE-120"),
        ("CWE-121", "CWE-119"),
        ("CWE-476", "CWE-476"),
        ("CWE-469", "CWE-469"),
        ("CWE-190", OTHER),
        ("CWE-99999", OTHER),
    ],
)
def test_a_weakness_is_the_nearest_of_the_five_classes(cwe: str, name: str) -> None:
    assert class_of_vdisc(cwe) == name


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["CWE-787", "cwe_20", "CWE-787"], ["CWE-787", "CWE-20"]),
        ("CWE-787", ["CWE-787"]),
        ("['CWE-119', 'CWE-20']", ["CWE-119", "CWE-20"]),
        ("cwe-022", ["CWE-22"]),
        (b"CWE-125|CWE-190", ["CWE-125", "CWE-190"]),
        (119, ["CWE-119"]),
        ("119.0", ["CWE-119"]),
        ("NVD-CWE-noinfo", []),
        ("NVD-CWE-Other", [OTHER]),
        ([], []),
        (None, []),
        (float("nan"), []),
        ("", []),
    ],
)
def test_weaknesses_are_read_from_any_spelling(value: Any, names: list[str]) -> None:
    assert cwes_of(value) == names


@given(
    st.dictionaries(
        st.integers(1, 1400).map(lambda number: f"CWE-{number}"), st.integers(0, 200), min_size=1
    ),
    st.integers(1, 150),
)
def test_rolled_up_each_class_is_above_its_weaknesses_and_frequent(
    counts: dict[str, int], at_least: int
) -> None:
    becomes = rolled_up(counts, at_least)
    assert becomes.keys() == counts.keys()
    total: dict[str, int] = {}
    for name, end in becomes.items():
        assert end in (*ancestry(name), OTHER)
        total[end] = total.get(end, 0) + counts[name]
        # A weakness that is frequent by itself stays itself.
        assert counts[name] < at_least or end == name
    assert all(count >= at_least for end, count in total.items() if end != OTHER)


def table(folder: Path, rows: list[tuple[int, list[str]]], **others: Any) -> Path:
    """PrimeVul's shape: a label of 0 or 1, and the list of weaknesses beside it."""
    for split in ("train", "valid", "test"):
        samples = [
            Sample(f"f{number}() {{ {split} }}", bool(label), cwes=cwes)
            for number, (label, cwes) in enumerate(rows)
        ]
        write_lines(folder / f"primevul_{split}.jsonl", [prime_vul(one) for one in samples])
    return folder


ROWS = [
    (1, ["CWE-787"]),
    (1, ["CWE-190", "CWE-122"]),
    (1, ["CWE-476"]),
    (1, []),
    (0, ["CWE-787"]),  # of the same commit, and clean
    (1, ["CWE-416"]),
]


def names(data: VulnerabilityData, split: str = "train") -> list[str]:
    return [data.class_names[label] for label in data.splits[split].labels]


def test_lists_become_the_five_classes_and_what_has_no_name_is_left_out(tmp_path: Path) -> None:
    data = read_data(table(tmp_path, ROWS), label_mode="cwe")
    assert names(data) == ["CWE-119", "CWE-119", "CWE-476", "CWE-119"]
    assert data.dropped["train"]["vulnerable, without a CWE"] == 1
    assert data.dropped["train"]["no flag"] == 1
    assert "MITRE's CWE 4.14, view 1000" in data.label_rule
    assert data.flag_counts["no flag"]["train"] == 1


def test_strict_single_drops_what_is_listed_with_several_classes(tmp_path: Path) -> None:
    data = read_data(table(tmp_path, ROWS), label_mode="cwe", label_rule="strict_single")
    assert names(data) == ["CWE-119", "CWE-476", "CWE-119"]


def test_lists_become_several_flags(tmp_path: Path) -> None:
    data = read_data(table(tmp_path, ROWS), label_mode="multilabel")
    assert data.splits["train"].labels.tolist() == [
        [True, False, False, False, False],
        [True, False, False, False, True],
        [False, False, False, True, False],
        [False] * 5,
        [True, False, False, False, False],
    ]


def test_every_frequent_weakness_is_a_class_and_the_rest_its_parents(tmp_path: Path) -> None:
    rows = [*[(1, ["CWE-125"])] * 4, *[(1, ["CWE-121"])] * 2, *[(1, ["CWE-122"])] * 2]
    folder = table(tmp_path, [*rows, (1, ["CWE-190"]), (1, []), (0, [])])
    data = read_data(folder, label_mode="cwe_all", min_functions_per_cwe=2)
    # 190 alone goes to 682, and that, having no parent, to other.
    assert data.class_names == ("CWE-121", "CWE-122", "CWE-125", OTHER)
    data = read_data(folder, label_mode="cwe_all", min_functions_per_cwe=4)
    # 121 and 122 are kinds of 788.
    assert data.class_names == ("CWE-125", "CWE-788", OTHER)
    assert names(data) == ["CWE-125"] * 4 + ["CWE-788"] * 4 + [OTHER]
    assert data.dropped["train"]["vulnerable, without a CWE"] == 1
    assert "3 CWEs of fewer than 4 train functions" in data.label_rule


@pytest.mark.parametrize("label", [["CWE-787"], "CWE-787", "['CWE-787', 'CWE-20']"])
def test_a_label_column_may_list_weaknesses_itself(tmp_path: Path, label: Any) -> None:
    rows = label_rows([label, "CWE-476" if isinstance(label, str) else ["CWE-476"]] * 2)
    rows += label_rows(["clean" if isinstance(label, str) else []])
    folder = write_rows(tmp_path, "jsonl", rows)
    data = read_data(folder, label_mode="auto")
    assert (data.label_mode, names(data)) == ("cwe", ["CWE-119", "CWE-476"] * 2)
    assert data.dropped["train"]["no flag"] == 1
    assert read_data(folder, label_mode="binary").splits["train"].labels.tolist() == [1, 1, 1, 1, 0]


def test_a_named_mode_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = write_rows(tmp_path, "jsonl", label_rows([0, 1] * 3))
    with pytest.raises(DataError, match=r"must list the weaknesses .* for label_mode=cwe_all"):
        read_data(folder, label_mode="cwe_all")
    with pytest.raises(DataError, match="Use label_mode=binary"):
        read_data(folder, label_mode="cwe")
    with pytest.raises(ConfigError, match=r"By the labels of the data, subset=paper must go with"):
        read_data(folder, label_mode="auto", subset="paper")


@pytest.mark.parametrize(
    ("labels", "mode"),
    [
        ([0, 1, 1, 0], "binary"),
        ([True, False], "binary"),
        (["vulnerable", "clean"], "binary"),
        (["CWE-119", "CWE-120", "clean"], "cwe"),
        ([0, 1, 2, 3, 4], "cwe"),
        ([0, 1, 2, 3, 4, 5], "cwe_or_clean"),
        ([["CWE-119"], ["CWE-120"], []], "cwe"),
    ],
)
def test_auto_is_told_by_what_the_labels_are(tmp_path: Path, labels: list[Any], mode: str) -> None:
    folder = write_rows(tmp_path, "jsonl", label_rows(labels * 2))
    data = read_data(folder, label_mode="auto")
    assert data.label_mode == mode
    # What is guessed beyond the columns that enstack asks for is said.
    said = [note for note in data.notes if note.startswith("read as")]
    assert said == (["read as own columns: func, label; binary; 3 splits"] * (mode == "binary"))
    assert read_data(folder, label_mode=mode).fingerprint == data.fingerprint


def test_vdisc_is_read_as_ever_without_a_word_of_guesses(tmp_path: Path) -> None:
    auto = read_data(write_all_hdf5(tmp_path), label_mode="auto")
    named = read_data(tmp_path, label_mode="cwe")
    assert (auto.label_mode, auto.notes) == ("cwe", named.notes)
    assert auto.fingerprint == named.fingerprint
    rows = read_data(write_rows(tmp_path / "rows", "csv", flag_rows()), label_mode="auto")
    assert rows.notes == [note for note in named.notes if "row" not in note]
