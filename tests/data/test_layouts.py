"""The field's own files: each layout is read as it is published, and its siblings are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enstack.data.functions import VulnerabilityData, labelled, read_tables
from enstack.data.layouts import LAYOUTS
from enstack.data.readings import Asked
from enstack.data.split_files import SPLITS, WHOLE
from enstack.errors import ConfigError, DataError
from tests.support.data_files import write_rows
from tests.support.layout_samples import (
    FIXED,
    WITH_SPLITS,
    WITHOUT_SPLITS,
    Sample,
    Splits,
    big_vul,
    devign,
    line_vul,
    mega_vul,
    one_file,
    packed,
    prime_vul,
    write_array,
    write_csv,
    write_lines,
    write_parquet,
)

N = 2000


def samples(n: int = N) -> list[Sample]:
    """Functions, every second one vulnerable, with what breaks a careless reader."""
    odd = ['"', "\\", "\\n", "''", ",", "é", "\u2028", "\x0b", "{", "\t", '""', "\r\n", "🦀"]
    return [
        Sample(
            f'int f{number}(char *p)\n{{\n    log("{odd[number % len(odd)]}\\n", {number});\n}}\n',
            number % 2 == 0,
            f"project{number % 7}",
            f"{number // 4:040x}",
        )
        for number in range(n)
    ]


def divided(functions: list[Sample]) -> Splits:
    eighth = len(functions) // 8
    parts = (functions[: -2 * eighth], functions[-2 * eighth : -eighth], functions[-eighth:])
    return dict(zip(SPLITS, parts, strict=True))


def read(place: Path, mode: str = "binary", **asked: str) -> VulnerabilityData:
    return labelled(read_tables(place, Asked(**asked)), label_mode=mode)


def in_our_own_columns(folder: Path, functions: list[Sample] | Splits) -> VulnerabilityData:
    """The same functions as enstack asks for them."""
    parts = functions if isinstance(functions, dict) else {WHOLE: functions}
    for name, part in parts.items():
        write_lines(
            folder / f"{name}.jsonl",
            [{"func": one.text, "label": int(one.vulnerable)} for one in part],
        )
    return read(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every layout with the same functions, each in a folder by its name."""
    folder = tmp_path_factory.mktemp("layouts")
    for name, (write, _) in WITH_SPLITS.items():
        write(folder / name, divided(samples()))
    for name, (write, _) in WITHOUT_SPLITS.items():
        write(folder / name, in_order(name))
    return folder


def in_order(layout: str) -> list[Sample]:
    """The functions as a layout can hold them: ReVeal's two files have the clean ones first."""
    return sorted(samples(), key=lambda one: one.vulnerable) if layout == "ReVeal" else samples()


@pytest.mark.parametrize("layout", [*WITH_SPLITS, *WITHOUT_SPLITS])
def test_the_same_functions_through_every_layout_are_the_same_data(
    layout: str, folders: Path, tmp_path: Path
) -> None:
    functions = divided(samples()) if layout in WITH_SPLITS else in_order(layout)
    plain = in_our_own_columns(tmp_path, functions)
    data = read(folders / layout)
    assert data.fingerprint == plain.fingerprint
    (line,) = [note for note in data.notes if note.startswith("read as")]
    told = (WITH_SPLITS | WITHOUT_SPLITS)[layout][1]
    parts = "3 splits" if layout in WITH_SPLITS else "one table"
    assert line.startswith(f"read as {told}; binary; {parts}")


def test_every_layout_has_a_sample_that_is_told_by_its_name() -> None:
    told = {line.split(":")[0] for _, line in (WITH_SPLITS | WITHOUT_SPLITS).values()}
    assert told == {layout.name for layout in LAYOUTS}


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("layout", ["LineVul", "PrimeVul", "Devign", "ReVeal", "SecVulEval"])
def test_packed_files_are_read_as_plain_ones(layout: str, ending: str, tmp_path: Path) -> None:
    write = (WITH_SPLITS | WITHOUT_SPLITS)[layout][0]
    folder = write(tmp_path, divided(samples(80)) if layout in WITH_SPLITS else samples(80))
    plain = read(folder).fingerprint
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        packed(path, ending)
    assert read(folder).fingerprint == plain


def test_a_packed_file_that_was_cut_or_is_none_is_refused(tmp_path: Path) -> None:
    folder = WITHOUT_SPLITS["Devign"][0](tmp_path, samples(80))
    packed(folder / "function.json", ".gz")
    path = folder / "function.json.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"function.json.gz can't be read, .*Truncated"):
        read(folder)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"must be packed as .gz says, it is not"):
        read(folder)
    path.write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(DataError, match="looks like a web page"):
        read(folder)


def test_one_file_is_read_as_the_folder_that_holds_it(folders: Path) -> None:
    folder = folders / "Devign"
    assert read(folder / "function.json").fingerprint == read(folder).fingerprint


# Groups


@pytest.mark.parametrize(
    ("layout", "kinds"),
    [
        ("Big-Vul", {"project", "commit", "cve", "date"}),
        ("LineVul", {"project", "commit", "cve", "date"}),
        ("PrimeVul", {"project", "commit", "cve"}),
        ("CodeXGLUE on the hub", {"project", "commit"}),
        ("save_to_disk", {"project", "commit"}),
        ("DiverseVul", {"project", "commit"}),
        ("MegaVul", {"project", "commit", "cve"}),
        ("SecVulEval", {"project", "commit"}),
        ("SVEN", {"commit"}),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_groups_stay_with_their_functions(
    layout: str, kinds: set[str], cached: bool, folders: Path, tmp_path: Path
) -> None:
    for _ in range(1 + cached):
        columns = read_tables(folders / layout, cache_dir=tmp_path if cached else None)
    data = labelled(columns, label_mode="binary", subset=40)
    for split in data.splits.values():
        assert split.groups is not None
        assert set(split.groups.column_names) == kinds
        if "project" in kinds:
            numbers = [
                int(text.split("f", 1)[1].split("(")[0]) for text in split.sources.to_pylist()
            ]
            projects = split.groups["project"].to_pylist()
            assert projects == [f"project{number % 7}" for number in numbers]
    shared = data.groups_in_test()
    assert set(shared) == (kinds - {"cve"} if "test" in data.splits else set())
    for kind, counts in shared.items():
        train, test = (set(data.splits[of].groups[kind].to_pylist()) for of in ("train", "test"))
        assert counts == {"test": len(test), "train_too": len(train & test)}


# What is never taken


@pytest.mark.parametrize("layout", [*WITH_SPLITS, *WITHOUT_SPLITS])
def test_no_code_after_its_fix_and_no_message_is_read(layout: str, folders: Path) -> None:
    for split in read(folders / layout).splits.values():
        assert FIXED not in split.sources.to_pylist()


def test_a_table_with_no_code_but_the_fixed_one_is_refused(tmp_path: Path) -> None:
    rows = [{"func_after": FIXED, "commit_message": "f() { }", "vul": 0} for _ in range(4)]
    write_csv(tmp_path / "data.csv", rows)
    with pytest.raises(DataError, match=r"missing func.*\n.*func_after is code after its fix"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["source", "code"])
def test_a_patch_under_the_name_of_a_label_is_no_label(tmp_path: Path, text: str) -> None:
    row = {text: "CWE-119 void f ( ) { <S2SV_StartBug> a [ i ] ; <S2SV_EndBug> }"}
    target = "<S2SV_ModStart> ( i < n ) <S2SV_ModEnd> a"
    write_rows(tmp_path, "csv", [{**row, "target": target}] * 4)
    with pytest.raises(DataError, match=r"target must hold labels, row 0 has code.*VulRepair"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (["int", "f", "("] * 50_000, "row 0 has a list of 150,000 items, as of tokens"),
        ("diff --git a/a.c b/a.c\n@@ -1,2 +1,2 @@\n", "row 0 has a patch"),
        ("Fix overflow in parser", "most of its texts are no code"),
        (17, "row 0 has no text, found 17"),
    ],
)
def test_what_is_no_function_is_told_in_a_sentence(tmp_path: Path, value: Any, named: str) -> None:
    write_lines(
        tmp_path / "a.jsonl", [{"code": value, "target": number % 2} for number in range(4)]
    )
    with pytest.raises(DataError, match=named) as caught:
        read(tmp_path)
    assert len(str(caught.value)) < 500


# Two readings


def test_two_columns_that_could_be_meant_are_both_named_and_either_can_be_asked_for(
    tmp_path: Path,
) -> None:
    rows = [
        {"code": one.text, "function": f"{one.text} /* b */", "vul": 1, "target": number % 2}
        for number, one in enumerate(samples(8))
    ]
    write_lines(tmp_path / "a.jsonl", [{**row, "vul": (row["target"] + 1) % 2} for row in rows])
    with pytest.raises(DataError, match="could be the text: function and code"):
        read(tmp_path)
    with pytest.raises(DataError, match="could be the label: target and vul"):
        read(tmp_path, text_column="code")
    data = read(tmp_path, text_column="code", label_column="target")
    assert data.splits[WHOLE].sources.to_pylist() == [row["code"] for row in rows]
    other = read(tmp_path, text_column="function", label_column="vul")
    assert (other.splits[WHOLE].labels != data.splits[WHOLE].labels).all()
    assert other.splits[WHOLE].sources.to_pylist() == [row["function"] for row in rows]


def test_func_beside_func_before_may_be_fixed_code_and_is_not_taken(tmp_path: Path) -> None:
    rows = [{"func": FIXED, "func_before": one.text, "label": 0} for one in samples(4)]
    write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match="func may be the code after it"):
        read(tmp_path)


def test_a_layout_is_overruled_by_name(tmp_path: Path) -> None:
    rows = [{**line_vul(one), "vul": int(not one.vulnerable)} for one in samples(8)]
    write_csv(tmp_path / "a.csv", rows)
    told = {
        name: [note for note in read(tmp_path, layout=name).notes if note.startswith("read as")]
        for name in ("auto", "linevul", "Big-Vul")
    }
    assert told["auto"] == told["linevul"]
    assert told["Big-Vul"][0].startswith("read as Big-Vul: func_before, vul;")
    with pytest.raises(DataError, match="must have the columns code to be read as ReVeal"):
        read(tmp_path, layout="reveal")
    with pytest.raises(ConfigError, match=r"layout must be auto or one of Big-Vul, .*'vulgen'"):
        read(tmp_path, layout="vulgen")


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [prime_vul(one) for one in samples(4)])
    with pytest.raises(
        DataError, match=r"label_column must name a column.*'vul'; it has idx, proj"
    ):
        read(tmp_path, label_column="vul")


def test_a_layouts_columns_may_be_spelled_in_upper_case(tmp_path: Path) -> None:
    rows = [{name.upper(): value for name, value in prime_vul(one).items()} for one in samples(8)]
    write_lines(tmp_path / "a.jsonl", rows)
    data = read(tmp_path)
    assert data.notes[0].startswith("read as PrimeVul: FUNC, TARGET; binary")
    assert data.splits[WHOLE].sources.to_pylist() == [one.text for one in samples(8)]


def test_what_is_known_of_functions_beside_their_table_is_no_table(tmp_path: Path) -> None:
    WITHOUT_SPLITS["DiverseVul"][0](tmp_path, samples(8))
    write_lines(tmp_path / "diversevul_20230702_metadata.json", [{"commit_id": "a", "CWE": []}])
    assert len(read(tmp_path).splits[WHOLE]) == 8


def test_folders_that_are_splits_are_named_where_one_is_missing(tmp_path: Path) -> None:
    for split in ("train", "val"):
        WITHOUT_SPLITS["SVEN"][0](tmp_path / split, samples(8))
    with pytest.raises(DataError, match=r"missing test \(found train/cwe-125.jsonl, .*val/cwe-"):
        read(tmp_path)


def test_the_half_of_a_data_set_whose_files_are_its_labels_is_refused(tmp_path: Path) -> None:
    WITHOUT_SPLITS["ReVeal"][0](tmp_path, samples(8))
    (tmp_path / "vulnerables.json").unlink()
    told = r"missing label\.\nFound code,.* Of ReVeal both vulnerables\.json and non-v.* the folder"
    for place in (tmp_path, tmp_path / "non-vulnerables.json"):
        with pytest.raises(DataError, match=told):
            read(place)


def test_two_tables_in_a_folder_are_both_named(tmp_path: Path) -> None:
    write_array(tmp_path / "a.json", [devign(one) for one in samples(4)])
    write_array(tmp_path / "b.json", [devign(one) for one in samples(4)])
    with pytest.raises(DataError, match=r"several that could be meant: a.json or b.json"):
        read(tmp_path)
    assert len(read(tmp_path / "a.json").splits[WHOLE]) == 4


def test_splits_that_would_be_read_from_other_columns_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [devign(one) for one in samples(4)])
    write_lines(tmp_path / "valid.jsonl", [devign(one) for one in samples(4)])
    write_csv(tmp_path / "unused.csv", [big_vul(one) for one in samples(4)])
    write_lines(
        tmp_path / "test.jsonl",
        [{"code": one.text, "vul": int(one.vulnerable)} for one in samples(4)],
    )
    with pytest.raises(DataError, match=r"read alike: train.jsonl would be read as Devign: func"):
        read(tmp_path)


# Splits and shards


def test_a_split_that_is_missing_is_named_with_what_was_found(tmp_path: Path) -> None:
    WITH_SPLITS["LineVul"][0](tmp_path, divided(samples(16)))
    (tmp_path / "val.csv").unlink()
    with pytest.raises(DataError, match=r"missing validation.csv \(found test.csv, train.csv\)"):
        read(tmp_path)


@pytest.mark.parametrize("missing", ["train", "valid", "test"])
def test_pairs_do_not_stand_in_for_a_split_that_is_missing(missing: str, tmp_path: Path) -> None:
    WITH_SPLITS["PrimeVul"][0](tmp_path, divided(samples(16)))
    assert (tmp_path / f"primevul_{missing}_paired.jsonl").is_file()
    (tmp_path / f"primevul_{missing}.jsonl").unlink()
    split = "validation" if missing == "valid" else missing
    with pytest.raises(DataError, match=rf"all three splits, missing {split} \(found primevul_"):
        read(tmp_path)


def test_pairs_alone_are_the_splits_themselves(tmp_path: Path) -> None:
    WITH_SPLITS["PrimeVul"][0](tmp_path, divided(samples(16)))
    for split in ("train", "valid", "test"):
        (tmp_path / f"primevul_{split}.jsonl").unlink()
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert len(read(tmp_path).splits["train"]) == 2


def test_splits_of_several_formats_are_told_to_become_one(tmp_path: Path) -> None:
    functions = divided(samples(16))
    write_csv(tmp_path / "train.csv", [devign(one) for one in functions["train"]])
    for split in ("validation", "test"):
        write_lines(tmp_path / f"{split}.jsonl", [devign(one) for one in functions[split]])
    with pytest.raises(DataError, match=r"one format, found .* write all three splits in it"):
        read(tmp_path)


def test_a_folder_that_leads_back_to_itself_holds_no_second_table(tmp_path: Path) -> None:
    WITHOUT_SPLITS["Devign"][0](tmp_path / "data", samples(8))
    (tmp_path / "data" / "again").symlink_to(tmp_path)
    (tmp_path / "data" / "here").symlink_to(tmp_path / "data")
    assert len(read(tmp_path).splits[WHOLE]) == 8


def test_files_that_lie_too_deep_are_told_with_their_folder(tmp_path: Path) -> None:
    WITH_SPLITS["CodeXGLUE"][0](tmp_path / "a" / "b" / "c", divided(samples(16)))
    with pytest.raises(DataError, match=r"in a/b/c is too deep: name that folder as data_dir"):
        read(tmp_path)
    assert len(read(tmp_path / "a" / "b" / "c").splits) == 3


def test_a_link_to_nothing_is_told_where_a_split_is_missing(tmp_path: Path) -> None:
    WITH_SPLITS["CodeXGLUE"][0](tmp_path, divided(samples(16)))
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "train.jsonl").symlink_to(tmp_path / "blob")
    with pytest.raises(DataError, match=r"train.jsonl is a link to a file that is absent"):
        read(tmp_path)


def test_a_shard_that_is_missing_is_told(tmp_path: Path) -> None:
    WITH_SPLITS["CodeXGLUE on the hub"][0](tmp_path, divided(samples(16)))
    (tmp_path / "data/train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"every shard of one table, found .*: 1 of 2"):
        read(tmp_path)


def test_shards_of_train_alone_are_one_table(tmp_path: Path) -> None:
    for number in range(2):
        rows = [devign(one) for one in samples(8)[number * 4 :][:4]]
        write_parquet(tmp_path / f"data/train-{number:05}-of-00002-0a1b2c3d4e5f.parquet", rows)
    texts = read(tmp_path).splits[WHOLE].sources.to_pylist()
    assert texts == [one.text for one in samples(8)]


def test_a_bad_label_in_a_shard_names_its_file_and_row(tmp_path: Path) -> None:
    for number in range(3):
        rows = [devign(one) for one in samples(4)]
        if number == 1:
            rows[2]["target"] = 7
        write_lines(tmp_path / f"train-{number:05}-of-00003.jsonl", rows)
    with pytest.raises(
        DataError, match=r"train-00001-of-00003.jsonl: label must be .* row 2 has 7"
    ):
        read(tmp_path)


# Whatever is written is read back

TEXTS = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1),
        st.sampled_from(
            [
                '"',
                "\\",
                '\\"',
                "a\r\nb",
                "\0",
                "\u2028\x85",
                "x" * 200_000,
                "'a', \"b\"",
                "NaN",
                "[]",
            ]
        ),
    ).map(lambda text: f"f() {{ {text} }}"),
    min_size=4,
    max_size=8,
)
WRITERS = {
    "jsonl": ("a.jsonl", write_lines),
    "array": ("a.json", write_array),
    "csv": ("a.csv", write_csv),
    "parquet": ("a.parquet", write_parquet),
}


@pytest.mark.parametrize("form", WRITERS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=TEXTS)
def test_any_text_that_is_written_is_read_back(form: str, texts: list[str], tmp_path: Path) -> None:
    name, write = WRITERS[form]
    functions = [Sample(text, number % 2 == 0) for number, text in enumerate(texts)]
    # Parquet has no number as large as PrimeVul's hashes.
    rows = {"csv": big_vul, "parquet": devign}.get(form, prime_vul)
    folder = one_file(rows, name, write)(tmp_path, functions)
    read_back = read(folder).splits[WHOLE]
    assert read_back.sources.to_pylist() == texts
    assert read_back.labels.tolist() == [int(one.vulnerable) for one in functions]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=TEXTS)
def test_each_row_of_megavul_gives_the_code_before_its_fix(
    texts: list[str], tmp_path: Path
) -> None:
    functions = [Sample(text, number % 2 == 0) for number, text in enumerate(texts)]
    write_array(tmp_path / "a.json", [mega_vul(one) for one in functions])
    assert read(tmp_path).splits[WHOLE].sources.to_pylist() == texts


def test_parquet_booleans_are_labels(folders: Path) -> None:
    path = folders / "CodeXGLUE on the hub" / "data/test-00000-of-00001.parquet"
    assert str(pq.read_schema(path).field("target").type) == "bool"
    assert read(folders / "CodeXGLUE on the hub", "auto").label_mode == "binary"
