from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enstack.data import formats, subsets
from enstack.data.column_search import reading_of
from enstack.data.columns import flag_codes
from enstack.data.functions import Functions, VulnerabilityData, read_data
from enstack.data.labels import CWE_CLASSES
from enstack.data.readings import Source
from enstack.data.split_files import SPLITS
from enstack.data.subsets import stratified_parts
from enstack.data.texts import as_text, read_sources
from enstack.errors import DataError
from tests.support.data_files import (
    FLAGS,
    SOURCES,
    flag_rows,
    label_rows,
    write_all_hdf5,
    write_hdf5,
    write_rows,
)

quick = settings(max_examples=max(30, settings().max_examples // 2))

# Label modes


def test_cwe_mode_keeps_vulnerable_functions_only_and_says_how_many_went(tmp_path: Path) -> None:
    data = read_data(write_all_hdf5(tmp_path))
    assert data.class_names == CWE_CLASSES
    assert data.splits["train"].labels.tolist() == [0, 1, 2, 3, 4]
    assert data.splits["train"].sources.to_pylist() == SOURCES[:5]
    assert "train: 1 of 6 functions without a flag, dropped" in data.notes


def test_clean_is_the_last_of_six_classes(tmp_path: Path) -> None:
    data = read_data(write_all_hdf5(tmp_path), label_mode="cwe_or_clean")
    assert data.class_names[5] == "clean"
    assert data.splits["test"].labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_binary_mode_asks_for_any_flag(tmp_path: Path) -> None:
    data = read_data(write_all_hdf5(tmp_path), label_mode="binary")
    assert data.class_names == ("clean", "vulnerable")
    assert data.splits["validation"].labels.tolist() == [1, 1, 1, 1, 1, 0]


def test_the_first_of_several_flags_wins_and_the_number_is_recorded(tmp_path: Path) -> None:
    flags = FLAGS.copy()
    flags[3, 4] = flags[4, 1] = True
    data = read_data(write_all_hdf5(tmp_path, flags=flags))
    assert data.splits["train"].labels.tolist() == [0, 1, 2, 3, 1]
    assert "train: 2 functions with several flags, the first of them won" in data.notes
    assert "6 of 15 vulnerable functions" in data.label_rule
    assert "CWE-119 > CWE-120 > CWE-469 > CWE-476 > CWE-other" in data.label_rule


def test_data_without_any_flag_has_no_class_in_cwe_mode(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 6 functions has a flag"):
        read_data(write_all_hdf5(tmp_path, flags=np.zeros((6, 5), dtype=bool)))


def test_a_training_split_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two classes, all of its 6 functions are clean"):
        read_data(write_all_hdf5(tmp_path, flags=np.zeros((6, 5), dtype=bool)), label_mode="binary")


def test_a_class_that_is_absent_from_a_split_is_noted(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    write_hdf5(tmp_path, "test", SOURCES[:2], FLAGS[:2])
    assert "test: no function of CWE-469, CWE-476, CWE-other" in read_data(tmp_path).notes


# Ids, selection, fingerprint


def test_an_id_is_the_row_in_the_file_whatever_was_dropped_before_it(tmp_path: Path) -> None:
    flags = np.roll(FLAGS, 1, axis=0)  # row 0 has no flag now
    data = read_data(write_all_hdf5(tmp_path, flags=flags))
    assert data.splits["train"].ids.tolist() == [f"train/{row}" for row in range(1, 6)]
    assert data.splits["train"].sources.to_pylist() == SOURCES[1:]


def test_take_keeps_ids_sources_and_labels_together(tmp_path: Path) -> None:
    functions = read_data(write_all_hdf5(tmp_path)).splits["train"].take(np.array([3, 0]))
    assert len(functions) == 2
    assert functions.ids.tolist() == ["train/3", "train/0"]
    assert functions.sources.to_pylist() == [SOURCES[3], SOURCES[0]]
    assert functions.labels.tolist() == [3, 0]


def test_the_fingerprint_and_digests_are_those_that_users_have_stored(toy_folder: Path) -> None:
    data = read_data(toy_folder, label_mode="cwe_or_clean")
    assert data.fingerprint == "ff4e7ce3613c0208df0a496b31c7cf9f3b555b1ef3dc3275c2e41540b1d28642"
    digest = "7a270b54efa701621d62aa87ab664195a23cf6452c7d80367719327de1cd0468"
    assert data.splits["train"].source_digest == digest


def test_the_fingerprint_is_the_same_for_every_format(tmp_path: Path) -> None:
    folders = [write_all_hdf5(_folder(tmp_path, "hdf5"))]
    folders += [
        write_rows(_folder(tmp_path, s), s, flag_rows()) for s in ("csv", "jsonl", "parquet")
    ]
    assert len({read_data(folder).fingerprint for folder in folders}) == 1


def test_the_fingerprint_does_not_depend_on_how_the_file_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_data(write_all_hdf5(tmp_path)).fingerprint
    monkeypatch.setattr(formats, "BATCH_ROWS", 2)
    assert read_data(tmp_path).fingerprint == whole


@pytest.mark.parametrize("change", ["text", "label", "id", "cut", "split", "class name"])
def test_the_fingerprint_changes_with_every_part_of_the_data(change: str) -> None:
    ids, texts, labels, names, split = ["train/0", "train/1"], ["ab", "cd"], [0, 1], "xy", "train"
    before = _fingerprint(split, ids, texts, labels, names)
    assert before == _fingerprint(split, ids, texts, labels, names)
    changed = {
        "text": (split, ids, ["ab", "cx"], labels, names),
        "label": (split, ids, texts, [1, 1], names),
        "id": (split, ["train/0", "train/2"], texts, labels, names),
        "cut": (split, ids, ["abc", "d"], labels, names),
        "split": ("test", ids, texts, labels, names),
        "class name": (split, ids, texts, labels, "xz"),
    }
    assert _fingerprint(*changed[change]) != before


def _fingerprint(
    split: str, ids: list[str], texts: list[str], labels: list[int], names: str
) -> str:
    functions = Functions(np.array(ids), pa.array(texts, type=pa.large_string()), np.array(labels))
    return VulnerabilityData({split: functions}, tuple(names), "cwe", "").fingerprint


def test_the_fingerprint_of_a_selection_is_that_of_the_same_rows_read_alone(tmp_path: Path) -> None:
    # take() may hand back arrays that start inside a buffer; the digest must not see that.
    data = read_data(write_all_hdf5(tmp_path))
    sliced = {
        name: Functions(f.ids[1:], f.sources.slice(1), f.labels[1:])
        for name, f in data.splits.items()
    }
    taken = {name: f.take(np.arange(1, 5)) for name, f in data.splits.items()}
    prints = [
        VulnerabilityData(s, data.class_names, "cwe", "").fingerprint for s in (sliced, taken)
    ]
    assert prints[0] == prints[1]


def test_the_summary_is_json_with_counts_per_class_and_split(tmp_path: Path) -> None:
    summary = json.loads(json.dumps(read_data(write_all_hdf5(tmp_path)).summary()))
    assert summary["counts"]["validation"] == dict.fromkeys(CWE_CLASSES, 1)
    assert set(summary) == {
        "fingerprint", "label_mode", "label_rule", "class_names", "counts", "functions",
        "available", "dropped", "flag_counts", "flags_become", "notes",
    }  # fmt: skip


# Subsets and parts


def many(tmp_path: Path, n_rows: int = 120) -> Path:
    labels = np.arange(n_rows) % 6
    flags = np.vstack([np.eye(5, dtype=bool), np.zeros((1, 5), dtype=bool)])[labels]
    return write_all_hdf5(tmp_path, sources=[f"f{i}() {{ }}" for i in range(n_rows)], flags=flags)


def test_a_number_of_functions_is_taken_from_each_split_stratified(tmp_path: Path) -> None:
    data = read_data(many(tmp_path), label_mode="cwe_or_clean", subset=30)
    for functions in data.splits.values():
        assert np.bincount(functions.labels).tolist() == [5] * 6
        rows = [int(i.split("/")[1]) for i in functions.ids]
        assert rows == sorted(rows)
        assert functions.sources.to_pylist() == [f"f{row}() {{ }}" for row in rows]


def test_a_subset_repeats_for_its_seed_and_differs_for_another(tmp_path: Path) -> None:
    many(tmp_path)
    ids = [read_data(tmp_path, subset=20, seed=s).splits["train"].ids.tolist() for s in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_the_largest_seed_works(tmp_path: Path) -> None:
    assert len(read_data(many(tmp_path), subset=20, seed=2**32 - 1).splits["test"]) == 20


def test_a_subset_larger_than_the_split_takes_all_and_says_so(tmp_path: Path) -> None:
    data = read_data(write_all_hdf5(tmp_path), subset=50)
    assert len(data.splits["train"]) == 5
    assert "train: has 5 functions, subset asks for 50" in data.notes


def test_the_paper_subset_takes_the_papers_counts_and_names_short_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsets, "PAPER_COUNTS", dict.fromkeys(SPLITS, (3, 4, 2, 25, 1)))
    data = read_data(many(tmp_path), subset="paper")
    assert np.bincount(data.splits["train"].labels).tolist() == [3, 4, 2, 20, 1]
    assert "train: CWE-476 has 20 functions, 5 fewer than the paper's 25" in data.notes


def test_the_papers_counts_add_up_to_its_totals() -> None:
    totals = {split: sum(counts) for split, counts in subsets.PAPER_COUNTS.items()}
    assert totals == {"train": 20305, "validation": 3900, "test": 3900}


@quick
@example([1, 1, 1, 100], 4)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=6).filter(sum), st.integers(1, 150))
def test_shares_make_the_number_asked_for_and_leave_no_class_out(
    available: list[int], asked: int
) -> None:
    shares = subsets._shares(np.array(available), asked)
    present = sum(count > 0 for count in available)
    assert shares.sum() == min(asked, sum(available))
    assert (shares >= 0).all()
    assert (shares <= available).all()
    assert (shares > 0).sum() == min(present, shares.sum())


@quick
@given(st.lists(st.integers(0, 5), min_size=0, max_size=80), st.integers(2, 7), st.integers(0, 99))
def test_parts_spread_every_class_and_the_whole_evenly(
    labels: list[int], n_parts: int, seed: int
) -> None:
    array = np.array(labels, dtype=np.int64)
    parts = stratified_parts(array, n_parts, seed)
    assert parts.shape == array.shape
    for rows in [array >= 0, *(array == label for label in set(labels))]:
        sizes = np.bincount(parts[rows], minlength=n_parts)
        assert len(sizes) == n_parts
        assert sizes.max() - sizes.min() <= 1


def test_parts_are_a_function_of_the_seed_and_leave_the_global_generator_alone() -> None:
    labels = np.arange(50) % 3
    state = np.random.get_state()[1].copy()
    first, again, other = (stratified_parts(labels, 5, seed) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()
    assert (np.random.get_state()[1] == state).all()


# Odd files that can be read


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64, "S1"])
def test_flags_of_any_number_type_are_flags(tmp_path: Path, kind: Any) -> None:
    flags = FLAGS.astype(np.uint8).astype(kind)
    assert read_data(write_all_hdf5(tmp_path, flags=flags)).splits["train"].labels.tolist() == [
        0, 1, 2, 3, 4,
    ]  # fmt: skip


def test_fixed_width_bytes_and_gzip_chunks_read_as_any_other(tmp_path: Path) -> None:
    plain = read_data(write_all_hdf5(_folder(tmp_path, "plain"))).fingerprint
    fixed = np.array([source.encode() for source in SOURCES])
    assert fixed.dtype.kind == "S"
    packed = write_all_hdf5(
        _folder(tmp_path, "packed"), sources=fixed, compression="gzip", chunks=(4,)
    )
    assert read_data(packed).fingerprint == plain


@pytest.mark.parametrize("mixed", [True, False])
def test_latin_1_bytes_are_read_as_latin_1_and_counted(tmp_path: Path, mixed: bool) -> None:
    sources: list[Any] = [source.encode() for source in SOURCES]
    sources[1] = b'f() { puts("caf\xe9"); }'
    sources[2] = 'f() { puts("café"); }'.encode() if mixed else sources[2]
    data = read_data(write_all_hdf5(tmp_path, sources=sources))
    assert data.splits["train"].sources[1].as_py() == 'f() { puts("café"); }'
    if mixed:
        assert data.splits["train"].sources[2].as_py() == 'f() { puts("café"); }'
    assert "train: 1 function not in UTF-8, read as latin-1" in data.notes


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_latin_1_bytes_in_text_files_are_counted_too(tmp_path: Path, suffix: str) -> None:
    rows = flag_rows()
    rows[1]["func"] = "f() { puts('cafXX'); }"
    rows[2]["func"] = "f() { puts('YY'); }"
    write_rows(tmp_path, suffix, rows)
    train = tmp_path / f"train.{suffix}"
    raw = train.read_bytes().replace(b"XX", b"\xe9").replace(b"YY", "é".encode())
    train.write_bytes(raw)
    data = read_data(tmp_path)
    assert data.splits["train"].sources[1].as_py() == "f() { puts('café'); }"
    assert data.splits["train"].sources[2].as_py() == "f() { puts('é'); }"
    assert "train: 1 function not in UTF-8, read as latin-1" in data.notes


@quick
@given(st.lists(st.binary(max_size=20), max_size=10))
def test_any_bytes_become_text_and_utf_8_stays_what_it_was(values: list[bytes]) -> None:
    texts, otherwise = as_text(values)
    assert texts.type == pa.large_string()
    for value, text, latin in zip(values, texts.to_pylist(), otherwise, strict=True):
        assert text == value.decode("latin-1" if latin else "utf-8")


def test_functions_without_text_are_dropped_and_counted(tmp_path: Path) -> None:
    sources = [SOURCES[0], "", " \n\t ", *SOURCES[3:]]
    data = read_data(write_all_hdf5(tmp_path, sources=sources))
    assert data.splits["train"].ids.tolist() == ["train/0", "train/3", "train/4"]
    assert "train: 2 functions without any text, dropped" in data.notes


def test_all_texts_blank_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 5 texts are blank"):
        read_data(write_all_hdf5(tmp_path, sources=[" "] * 6))


@pytest.mark.parametrize(
    "words", [("True", "False"), ("1", "0"), ("1.0", "0.0"), ("TRUE", "false")]
)
def test_csv_flags_may_be_written_in_several_ways(tmp_path: Path, words: tuple[str, str]) -> None:
    rows = flag_rows()
    for row in rows:
        row.update({name: words[0] if row[name] else words[1] for name in CWE_CLASSES})
    assert read_data(write_rows(tmp_path, "csv", rows)).splits["test"].labels.tolist() == [
        0, 1, 2, 3, 4,
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "labels",
    [[0, 1, 2, 3, 4], list(CWE_CLASSES), [0.0, 1.0, 2.0, 3.0, 4.0]],
    ids=["index", "name", "whole float"],
)
def test_a_label_is_an_index_or_a_name(tmp_path: Path, suffix: str, labels: list[Any]) -> None:
    data = read_data(write_rows(tmp_path, suffix, label_rows(labels)))
    assert data.splits["train"].labels.tolist() == [0, 1, 2, 3, 4]
    assert data.label_rule == "The class is what the label column says."


def test_flags_overrule_a_label_column_and_a_note_says_so(tmp_path: Path) -> None:
    rows = [{**row, "label": "?"} for row in flag_rows()]
    data = read_data(write_rows(tmp_path, "jsonl", rows))
    assert data.splits["train"].labels.tolist() == [0, 1, 2, 3, 4]
    assert any("its label column not" in note for note in data.notes)


def test_csv_functions_keep_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    rows = flag_rows()
    rows[0]["func"] = 'f(a, b)\n{\n    puts("a, ""b""");\n}\nNA'
    rows[1]["func"] = "NA"
    data = read_data(write_rows(tmp_path, "csv", rows))
    assert data.splits["train"].sources.to_pylist()[:2] == [rows[0]["func"], "NA"]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    train = tmp_path / "train.jsonl"
    train.write_bytes(b"\xef\xbb\xbf" + train.read_bytes().replace(b"\n", b"\n\n"))
    assert read_data(tmp_path).splits["train"].ids.tolist() == [f"train/{i}" for i in range(5)]


def test_a_parquet_file_may_hold_texts_as_bytes_or_as_a_dictionary(tmp_path: Path) -> None:
    plain = read_data(write_rows(tmp_path, "parquet", flag_rows())).fingerprint
    table = pq.read_table(tmp_path / "train.parquet")
    for kind in (pa.binary(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        column = table["func"].cast(kind) if kind != pa.large_string() else table["func"]
        pq.write_table(table.set_column(0, "func", column), tmp_path / "train.parquet")
        assert read_data(tmp_path).fingerprint == plain


@pytest.mark.parametrize("dictionary", [True, False])
def test_a_parquet_text_that_is_no_utf_8_is_read_as_latin_1(
    tmp_path: Path, dictionary: bool
) -> None:
    write_rows(tmp_path, "parquet", label_rows([0, 2]))
    texts = pa.array([b"f() { /* caf\xe9 */ }", b"g() { }"]).view(pa.string())
    texts = texts.dictionary_encode() if dictionary else texts
    pq.write_table(pa.table({"func": texts, "label": [0, 2]}), tmp_path / "train.parquet")
    assert read_data(tmp_path).splits["train"].sources[0].as_py() == "f() { /* café */ }"


def test_hdf5_is_read_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "BATCH_ROWS", 1024)
    n_rows = 40_000
    flags = np.eye(5, dtype=bool)[np.arange(n_rows) % 5]
    sources = np.array([b"f() { return 0; }" + b" " * 400] * n_rows, dtype="S417")
    write_all_hdf5(tmp_path, sources=sources, flags=flags)
    source = Source((tmp_path / "VDISC_train.hdf5",))
    reading = reading_of(source)
    tracemalloc.start()
    n_read = sum(len(batch.sources) for batch in read_sources(source, reading))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_read == n_rows
    assert peak < sources.nbytes / 4


# Odd files that can't be read


def test_a_folder_that_is_absent_or_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is absent"):
        read_data(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file is a file of none of these kinds"):
        read_data(tmp_path / "file")


def test_an_empty_folder_says_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"VDISC_train.hdf5.*it is empty"):
        read_data(tmp_path)


def test_a_folder_of_other_files_says_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "vdisc_train.h5").touch()
    with pytest.raises(DataError, match=r"missing validation, test \(found vdisc_train.h5\)"):
        read_data(tmp_path)


def test_a_missing_split_file_is_named(tmp_path: Path) -> None:
    write_hdf5(tmp_path, "train")
    with pytest.raises(DataError, match=r"missing VDISC_validate.hdf5, VDISC_test.hdf5 \(found"):
        read_data(tmp_path)


def test_two_formats_in_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    write_rows(write_all_hdf5(tmp_path), "csv", flag_rows(), ["train"])
    with pytest.raises(DataError, match=r"one format, found VDISC_train.hdf5, .*, train.csv"):
        read_data(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, 2.0, 0.5])
def test_a_float_flag_that_is_no_flag_names_column_row_and_count(tmp_path: Path, bad: Any) -> None:
    flags = FLAGS.astype(np.float64)
    flags[[2, 4], 3] = bad
    found = "NaN or empty" if np.isnan(bad) else "another value"
    expected = rf"CWE-476 must be 0 or 1 .* found {found} in row 2 .*2 such rows"
    with pytest.raises(DataError, match=expected):
        read_data(write_all_hdf5(tmp_path, flags=flags))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_empty_flag_in_a_table_is_refused(tmp_path: Path, suffix: str) -> None:
    rows = flag_rows()
    rows[5]["CWE-120"] = None
    with pytest.raises(DataError, match=r"CWE-120 must be 0 or 1 .* NaN or empty in row 5"):
        read_data(write_rows(tmp_path, suffix, rows))


@quick
@given(st.lists(st.sampled_from([0, 1, 0.0, 1.0, True, False, "1", "False", b"0", None, "x", 2])))
def test_flag_codes_agree_with_python(values: list[Any]) -> None:
    expected = {"0": 0, "0.0": 0, "False": 0, "1": 1, "1.0": 1, "True": 1, "None": -1}
    words = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
    assert flag_codes(values).tolist() == [expected.get(word, -2) for word in words]


def test_missing_keys_are_named_with_the_nearest_found(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path, rename={"CWE-469": "cwe_469"}, drop=["functionSource"])
    expected = r"missing functionSource, CWE-469 \(nearest: cwe_469\)"
    with pytest.raises(DataError, match=expected):
        read_data(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("func_before", "target"),
        ("function", "label"),
        ("func ", " label"),
        ("Func", "LABEL"),
        ("func", "is_vulnerable"),
        ("processed_func", "label"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_columns_under_other_usual_names_are_read_and_told(
    tmp_path: Path, suffix: str, names: tuple[str, str]
) -> None:
    rows = label_rows([0, 1] * 3)
    plain = read_data(write_rows(tmp_path / "plain", suffix, rows), label_mode="binary")
    rows = [
        {names[0]: row["func"], names[1]: row["label"], "func_after": "f() { }"} for row in rows
    ]
    data = read_data(write_rows(tmp_path / "other", suffix, rows), label_mode="auto")
    assert data.fingerprint == plain.fingerprint
    assert f"read as own columns: {names[0]}, {names[1]}; binary; 3 splits" in data.notes


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (
            ("func_after", "label"),
            r"missing func\.\nFound .* func; func_after is code after its fix",
        ),
        (("vul_func_with_fix", "vul"), r"missing func\.\nFound .*func_with_fix is code after"),
        (("func", "Vulnerable (y/n)"), "Name the column of labels label"),
        (("fun", "lable"), "Rename fun to func, lable to label"),
        (("a", "b"), "a may hold the functions: name text_column=a .*the column of labels label"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_columns_that_can_not_be_told_are_named_with_what_to_do(
    tmp_path: Path, suffix: str, names: tuple[str, str], named: str
) -> None:
    rows = [{names[0]: source, names[1]: 0} for source in SOURCES]
    with pytest.raises(DataError, match=named) as caught:
        read_data(write_rows(tmp_path, suffix, rows))
    assert "CWE-119" not in str(caught.value)


@pytest.mark.parametrize(
    ("first_line", "named"),
    [
        ("func_before;target\n", "separates its columns by semicolons"),
        ("# made by hand\nfunc,label\n", "first line is a comment: remove it"),
        ("", "first line holds a function: write the names above it, as in func,label"),
    ],
)
def test_a_table_whose_first_line_has_no_names_says_so(
    tmp_path: Path, first_line: str, named: str
) -> None:
    write_rows(tmp_path, "csv", label_rows(["CWE-119", "CWE-120"] * 3))
    train = tmp_path / "train.csv"
    train.write_text(first_line + train.read_text().split("\n", 1)[1])
    with pytest.raises(DataError, match=named):
        read_data(tmp_path)


@pytest.mark.parametrize("other", ["valid", "val", "dev", "validate", "eval", "Validation"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_split_under_another_usual_name_is_read(tmp_path: Path, suffix: str, other: str) -> None:
    write_rows(tmp_path, suffix, label_rows(["CWE-119", "CWE-120"] * 3))
    plain = read_data(tmp_path).fingerprint
    (tmp_path / f"validation.{suffix}").rename(tmp_path / f"{other}.{suffix}")
    assert read_data(tmp_path).fingerprint == plain


def test_splits_whose_names_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, "csv", label_rows(["CWE-119", "CWE-120"] * 3))
    (tmp_path / "validation.csv").rename(tmp_path / "primevul_valid.csv")
    with pytest.raises(
        DataError, match=r"under names that go together \(found .*Name and pack them alike"
    ):
        read_data(tmp_path)


@pytest.mark.parametrize("other", ["VDISC_validation", "vdisc_validate", "VDISC_val"])
def test_vdisc_under_another_name_is_read(tmp_path: Path, other: str) -> None:
    write_all_hdf5(tmp_path)
    (tmp_path / "VDISC_validate.hdf5").rename(tmp_path / f"{other}.hdf5")
    assert len(read_data(tmp_path).splits["validation"]) == 5


def test_columns_of_unequal_length_are_both_named(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    with h5py.File(tmp_path / "VDISC_train.hdf5", "a") as file:
        del file["CWE-476"]
        file["CWE-476"] = np.zeros(4, dtype=bool)
    with pytest.raises(DataError, match="functionSource has 6 rows and CWE-476 has 4"):
        read_data(tmp_path)


def test_a_key_of_two_dimensions_is_refused(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    with h5py.File(tmp_path / "VDISC_train.hdf5", "a") as file:
        del file["CWE-476"]
        file["CWE-476"] = np.zeros((6, 2), dtype=bool)
    with pytest.raises(
        DataError, match=r"CWE-476 must have one value a row, its shape is \(6, 2\)"
    ):
        read_data(tmp_path)


def test_texts_that_are_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the function of row 0 must be text"):
        read_data(write_all_hdf5(tmp_path, sources=np.arange(6)))


def test_zero_rows_are_refused(tmp_path: Path) -> None:
    empty = np.array([], dtype="S5")
    with pytest.raises(DataError, match="it has no rows"):
        read_data(write_all_hdf5(tmp_path, sources=empty, flags=np.zeros((0, 5), dtype=bool)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_with_a_header_alone_is_refused(tmp_path: Path, suffix: str) -> None:
    for split in SPLITS:
        frame = pd.DataFrame({"func": pd.Series(dtype=str), "label": pd.Series(dtype=int)})
        path = tmp_path / f"{split}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(DataError, match="it has no rows"):
        read_data(tmp_path)


@pytest.mark.parametrize("name", ["VDISC_train.hdf5", "train.csv", "train.jsonl", "train.parquet"])
def test_a_web_page_saved_as_data_is_recognised(tmp_path: Path, name: str) -> None:
    _any_format(tmp_path, name)
    (tmp_path / name).write_text("\n<!DOCTYPE html><html><body>Sign in</body></html>")
    with pytest.raises(DataError, match=r"looks like a web page.*Download it again"):
        read_data(tmp_path)


@pytest.mark.parametrize("name", ["VDISC_train.hdf5", "train.csv", "train.jsonl", "train.parquet"])
def test_an_empty_file_is_recognised(tmp_path: Path, name: str) -> None:
    _any_format(tmp_path, name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="it is empty"):
        read_data(tmp_path)


def test_bytes_of_no_known_kind_are_no_hdf5(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    (tmp_path / "VDISC_train.hdf5").write_bytes(b"\x01\x02" + bytes(4000))
    with pytest.raises(DataError, match=r"VDISC_train.hdf5 must be an HDF5 file, it is none"):
        read_data(tmp_path)


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "VDISC_train.hdf5").write_text(pointer)
    with pytest.raises(DataError, match=r"Git LFS pointer.*git lfs pull"):
        read_data(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["VDISC_train.hdf5", "train.parquet"])
def test_a_truncated_download_is_told_in_two_lines(tmp_path: Path, name: str, share: float) -> None:
    _any_format(tmp_path, name)
    path = tmp_path / name
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DataError, match="truncated or damaged") as caught:
        read_data(tmp_path)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_cut_json_line_names_file_and_line(tmp_path: Path) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    train = tmp_path / "train.jsonl"
    train.write_bytes(train.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train.jsonl: line 6 must be one JSON object"):
        read_data(tmp_path)


def test_a_json_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("[1, 2]\n")
    with pytest.raises(DataError, match="line 7 must be one JSON object"):
        read_data(tmp_path)


def test_a_json_row_without_a_key_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"func": "f() { }"}\n')
    with pytest.raises(DataError, match=r"every row must have CWE-119.* row 6 has not"):
        read_data(tmp_path)


@pytest.mark.parametrize("row", ["f() { },1,0,0,0,0,7", "f() { },1"])
def test_a_csv_row_of_another_width_is_refused(tmp_path: Path, row: str) -> None:
    write_rows(tmp_path, "csv", flag_rows())
    with (tmp_path / "train.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError, match=r"train.csv"):
        read_data(tmp_path)


def test_a_csv_with_one_field_too_many_in_every_row_is_refused(tmp_path: Path) -> None:
    # pandas takes the first field of such rows for a row name, and every column shifts by one.
    write_rows(tmp_path, "csv", label_rows([0, 1]))
    (tmp_path / "train.csv").write_text("func,label\n0,1,2\n1,0,3\n")
    with pytest.raises(
        DataError, match=r"train.csv, line 2: .*has 3 fields there and 2 in the first"
    ):
        read_data(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("bad", [5, -1, "CWE-78", None, 1.5])
def test_a_label_outside_the_mode_names_file_row_value_and_allowed(
    tmp_path: Path, suffix: str, bad: Any
) -> None:
    like = str if isinstance(bad, str) or bad is None else type(bad)
    labels = [like(number) for number in range(5)] + [bad]
    told = "no label (NaN, null or empty)" if bad is None else str(bad)
    shown = {"csv": "", "parquet": re.escape(told), "jsonl": re.escape(told)}[suffix]
    expected = rf"train.{suffix}: label must be 0 to 4 or one of CWE-119, .* row 5 has .*{shown}"
    with pytest.raises(DataError, match=expected):
        read_data(write_rows(tmp_path, suffix, label_rows(labels)))


def test_reading_data_imports_no_torch() -> None:
    torch = "bool({'torch', 'transformers'} & set(sys.modules))"
    code = f"import sys, enstack.data.functions; sys.exit({torch})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def _any_format(folder: Path, name: str) -> None:
    suffix = name.split(".")[1]
    if suffix == "hdf5":
        write_all_hdf5(folder)
    else:
        write_rows(folder, suffix, flag_rows())


def test_the_classes_before_a_subset_are_counted(tmp_path: Path) -> None:
    folder = many(tmp_path)
    whole, part = (read_data(folder, subset=subset).summary() for subset in ("all", 8))
    assert part["available"] == whole["available"] == whole["counts"]
    assert sum(part["counts"]["test"].values()) == 8
