"""The audit: its numbers, its table, its page."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enstack.auditing import lengths
from enstack.auditing.content import Audit, Scores, WordCounts
from enstack.auditing.lengths import tokenizer_lengths
from enstack.auditing.measures import audit
from enstack.auditing.page import write_audit
from enstack.auditing.table import audit_text
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.labels import CWE_CLASSES
from enstack.errors import ConfigError
from enstack.models.base_models import BaseModel
from enstack.models.tokens import Tokens, tokenize
from tests.support.command_line import enstack_here, refused
from tests.support.data_files import write_hdf5_columns
from tests.support.equality import tree_digest
from tests.support.pages import Page

HOSTILE = "<script>alert(1)</script>"


def body(name: str, number: int) -> str:
    lines = " ".join(f"x{n} = y{n} + {number};" for n in range(20))
    return f"{name}(int a) {{ {lines} }}"


def flags_of(classes: list[str]) -> dict[str, np.ndarray]:
    return {name: np.array([name in found for found in classes]) for name in CWE_CLASSES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six functions to train on; two stand elsewhere too, one of them with another label."""
    folder = tmp_path_factory.mktemp("audit") / f"data {HOSTILE.replace('/', '')}"
    texts = [body("f", n).encode() for n in range(6)]
    classes = ["CWE-119", "CWE-120 CWE-476", "CWE-119 CWE-120", "", "CWE-other", "CWE-469"]
    write_hdf5_columns(folder / "VDISC_train.hdf5", texts, **flags_of(classes))
    write_hdf5_columns(folder / "VDISC_validate.hdf5", [texts[3]], **flags_of([""]))
    near = [texts[0], body("g", 3).encode(), b"short()"]
    write_hdf5_columns(folder / "VDISC_test.hdf5", near, **flags_of(["CWE-119", "CWE-120", ""]))
    return folder


@pytest.fixture(scope="module")
def audited(folder: Path, micro_model: BaseModel) -> Audit:
    config = RunConfig(data_dir=str(folder), label_mode="cwe_or_clean", max_length=60)
    return audit(config, [micro_model.location])


def test_duplicates_are_counted_by_split_and_by_how_alike(audited: Audit) -> None:
    levels = audited.duplicates.levels
    assert levels["same text"]["test"] == {"train": 1, "validation": 0, "test": 0}
    assert levels["same text"]["train"] == {"train": 0, "validation": 1, "test": 1}
    assert levels["Jaccard >= 0.9"]["test"] == {"train": 2, "validation": 1, "test": 0}
    assert audited.duplicates.crowded == 0
    # Six texts are alike all with all but one; copies in test and validation count as their like.
    assert audited.duplicates.pairs["same text"] == 2


def test_a_contradiction_is_a_near_duplicate_with_another_label(audited: Audit) -> None:
    levels = audited.contradictions.levels
    assert levels["same text"] == {"train": 0, "validation": 0, "test": 0}
    assert levels["Jaccard >= 0.9"] == {"train": 1, "validation": 1, "test": 1}
    example = audited.contradictions.examples[0]
    assert example.ids == ["train/3", "test/1"]
    assert example.classes == ["clean", "CWE-120"]
    assert 0.9 <= example.jaccard < 1
    # The copy in validation contradicts it too; two functions are one pair, whoever is asked.
    assert audited.contradictions.pairs["Jaccard >= 0.9"] == 2
    pairs = [tuple(sorted(pair.ids)) for pair in audited.contradictions.examples]
    assert pairs == [("test/1", "train/3"), ("test/1", "validation/0")]
    assert [source.split("(")[0] for source in example.sources] == ["f", "g"]


def test_flags_that_stand_together_are_counted_over_all_rows(audited: Audit) -> None:
    flags = audited.flags
    assert flags is not None
    together = np.array(flags.together)
    assert together[0].tolist() == [3, 1, 0, 0, 0]
    assert together[1].tolist() == [1, 3, 0, 1, 0]
    assert (together == together.T).all()
    assert flags.flags_per_function == [3, 5, 2, 0, 0, 0]


def test_a_tokenizer_cuts_as_many_functions_as_a_run_does(
    toy_folder: Path,
    toy_data: VulnerabilityData,
    micro_model: BaseModel,
    micro_tokenizer: Any,
    tmp_path: Path,
) -> None:
    def tokens(split: str, max_length: int) -> Tokens:
        functions = toy_data.splits[split]
        settings: dict[str, Any] = {"cache_dir": tmp_path, "title": split}
        return tokenize(functions, micro_tokenizer, max_length=max_length, **settings)

    # As long as one of the functions, which is not cut then.
    middle = int(np.sort(tokens("train", 9999).lengths)[len(toy_data.splits["train"]) // 2])
    settings = {"data_dir": str(toy_folder), "label_mode": "cwe_or_clean", "max_length": middle}
    found = audit(RunConfig(**settings), [micro_model.location]).lengths[-1]
    assert found.unit == "tokens of micro"
    for split in toy_data.splits:
        assert found.splits[split].truncated == tokens(split, middle).n_truncated
        assert found.splits[split].max == tokens(split, 9999).lengths.max()
    assert 0 < found.splits["train"].truncated < len(toy_data.splits["train"])


def test_a_very_long_function_is_tokenized_in_pieces(
    micro_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pa.array(["f();\n" * 400, "", "größe();"], type=pa.large_string())
    whole = tokenizer_lengths([texts], micro_tokenizer, "t")
    assert whole.tolist() == [len(ids) for ids in micro_tokenizer(texts.to_pylist())["input_ids"]]
    monkeypatch.setattr(lengths, "CHARACTERS_AT_ONCE", 100)
    in_pieces = tokenizer_lengths([texts], micro_tokenizer, "t")
    assert whole[0] <= in_pieces[0] <= whole[0] + 20
    assert in_pieces[1:].tolist() == whole[1:].tolist()


def test_word_counts_are_measured_on_test_with_and_without_near_duplicates(
    audited: Audit,
) -> None:
    words = audited.word_counts
    assert (words["all"].n, words["apart"].n) == (3, 1)
    # CWE-119 is the majority of train, and one of three in test.
    majority, apart = (words[part].baselines["majority"] for part in ("all", "apart"))
    assert majority is not None
    assert majority.accuracy == pytest.approx(1 / 3)
    assert apart is not None
    assert apart.accuracy == 0
    assert words["all"].baselines["tfidf_lr"] is not None


def test_where_nothing_stands_apart_there_is_a_dash(audited: Audit, tmp_path: Path) -> None:
    counted = audit_text(audited).split("What counted words")[1]
    assert "…" not in counted, "no name is cut at 80 columns"
    nothing = WordCounts(0, {"tfidf_lr": None, "majority": None})
    words = {**audited.word_counts, "apart": nothing}
    some = dataclasses.replace(audited, word_counts=words)
    assert audit_text(some).splitlines()[-1].split()[-2:] == ["–", "–"]
    page = Page(write_audit(tmp_path, some)).text
    assert "without near-duplicates in train TF-IDF + logistic regression 0 – –" in page


def test_flags_are_audited_each_by_itself(folder: Path, tmp_path: Path) -> None:
    audited = audit(RunConfig(data_dir=str(folder), label_mode="multilabel"))
    assert audited.counts["train"] == dict(zip(CWE_CLASSES, (2, 2, 1, 1, 1), strict=True))
    # "g" of test has one flag more than its copy in train and validation, which have none.
    assert audited.contradictions.levels["Jaccard >= 0.9"]["test"] == 1
    pair = audited.contradictions.examples[0]
    assert sorted(pair.classes) == ["CWE-120", "no flag"]
    words = audited.word_counts["all"].baselines
    assert set(words) == {"tfidf_lr", "length", "frequency"}
    # No function of validation has a flag: nothing to choose a threshold by, so none is given.
    assert words["frequency"] == Scores(pytest.approx(1 / 3), 0, 0.5)
    assert "majority answer" in audit_text(audited)
    assert "each flag&#39;s majority answer" in write_audit(tmp_path, audited).read_text()


def test_a_copy_with_one_flag_more_contradicts(tmp_path: Path) -> None:
    for name in ("train", "validate", "test"):
        texts, classes = [body("f", 1).encode()] * 2, ["CWE-119", "CWE-119 CWE-476"]
        write_hdf5_columns(tmp_path / f"VDISC_{name}.hdf5", texts, **flags_of(classes))
    found = audit(RunConfig(data_dir=str(tmp_path), label_mode="multilabel")).contradictions
    assert found.levels["same text"]["train"] == 2
    assert found.examples[0].classes == ["CWE-119", "CWE-119 and CWE-476"]


def test_the_table_is_aligned(audited: Audit) -> None:
    tables = audit_text(audited).split("\n\n")[1:]
    tables = [table for table in tables if "---" in table]
    assert len(tables) == 7
    for table in tables:
        lines = table.splitlines()
        rule = next(line for line in lines if "---" in line)
        until = next(
            (n for n, line in enumerate(lines) if line.startswith(("  such", "  Two"))), None
        )
        assert {len(row) for row in lines[1:until]} == {len(rule)}, table


def test_the_page_is_one_file_that_escapes_what_users_named(audited: Audit, tmp_path: Path) -> None:
    written = write_audit(tmp_path / "page", audited)
    page = Page(written)
    assert written.read_text(encoding="utf-8").count('<svg viewBox="') == 4
    assert all(target.startswith("#") for target in page.targets)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert HOSTILE.replace("/", "") in page.text
    # The same data has other shares at other thresholds.
    head = page.text.split("What to do first")[0]
    assert re.search(r"near-duplicate in train [\d.<>]+ ?% Jaccard >= 0\.7 ", head)
    assert re.search(r"near-duplicate with another label [\d.<>]+ ?% Jaccard >= 0\.7 ", head)
    before = tree_digest(tmp_path)
    write_audit(tmp_path / "page", audited)
    assert tree_digest(tmp_path) == before


def test_files_with_a_label_column_have_no_flags(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        lines = [json.dumps({"func": body("f", n), "label": n % 2}) for n in range(4)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    found = audit(RunConfig(data_dir=str(tmp_path), label_mode="binary"))
    assert found.flags is None
    assert "Flags that stand together" not in audit_text(found)
    page = write_audit(tmp_path / "page", found).read_text(encoding="utf-8")
    assert page.count('<svg viewBox="') == 3


def test_the_command_prints_one_json_object_and_writes_nothing(
    folder: Path, audited: Audit, micro_model: BaseModel
) -> None:
    before = tree_digest(folder.parent)
    options = ("--json", "--tokenizer", micro_model.location, "--max-length", 60)
    done = enstack_here("audit", folder, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == audited.to_json()
    assert tree_digest(folder.parent) == before


def test_the_command_prints_the_table_and_writes_the_page(folder: Path, tmp_path: Path) -> None:
    done = enstack_here("audit", folder, "--output", tmp_path / "page")
    assert done.returncode == 0, done.stderr
    assert "Functions that have a duplicate with another label" in done.stdout
    found = audit(RunConfig(data_dir=str(folder), label_mode="cwe_or_clean"))
    assert json.loads((tmp_path / "page" / "audit.json").read_text()) == found.to_json()
    assert done.stdout.strip() == audit_text(found)
    assert (tmp_path / "page" / "audit.html").is_file()


def test_what_an_audit_keeps_lies_on_the_scratch_disk_that_is_named(
    folder: Path, tmp_path: Path
) -> None:
    done = enstack_here("audit", folder, "--json", "--local-dir", tmp_path / "scratch")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "scratch" / "columns").iterdir())


def test_mistakes_end_with_their_status(folder: Path, tmp_path: Path) -> None:
    refused(enstack_here("audit", tmp_path / "none"), 3, "must be a folder")
    refused(enstack_here("audit", folder, "--label-mode", "cew"), 2, "label_mode")
    refused(enstack_here("audit", folder, "--tokenizer", tmp_path / "none"), 2, "none")
    (tmp_path / "file").write_text("")
    done = enstack_here("audit", folder, "--output", tmp_path / "file")
    refused(done, 2, "--output must be a folder")


def test_the_columns_that_a_refusal_names_can_be_named_to_the_command(tmp_path: Path) -> None:
    rows = [
        {"my text": body(f"f{n}", n), "unsure": 0, "Outcome": n % 2, "other code": "g() { }"}
        for n in range(40)
    ]
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = enstack_here("audit", path, "--local-dir", tmp_path / "scratch")
    refused(first, 3, "my text, other code may hold the functions", "Outcome may hold the labels")
    options = re.findall(r"enstack audit: (--[\w-]+ [^)]+)\)", first.stderr)
    named = [word for option in options for word in shlex.split(option)]
    assert named == ["--text-column", "my text", "--label-column", "Outcome"]
    again = enstack_here("audit", path, "--local-dir", tmp_path / "scratch", *named)
    assert again.returncode == 0, again.stderr
    assert "read as own columns: my text, Outcome; binary" in again.stdout


@pytest.mark.parametrize("name", ["audit.html", "audit.json"])
@pytest.mark.parametrize(
    "content", [b"", b"<html><title>mine</title>", b'{"data": "mine"}', b"[]", b"\xff\0", None]
)
def test_what_no_audit_wrote_is_never_overwritten(
    folder: Path, audited: Audit, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Before the data is read, for that takes minutes; None: a folder."""
    mine = tmp_path / name
    mine.mkdir() if content is None else mine.write_bytes(content)
    before = tree_digest(tmp_path)
    done = enstack_here("audit", folder, "--output", tmp_path)
    refused(done, 2, f"--output must be a folder without others' {name}")
    assert "Reading" not in done.stderr
    assert tree_digest(tmp_path) == before
    with pytest.raises(ConfigError, match=rf"without others' {name}; .* Name another folder"):
        write_audit(tmp_path, audited)
    assert tree_digest(tmp_path) == before


def test_a_tokenizer_that_can_not_be_loaded_is_refused_before_the_data_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="can't be loaded"):
        audit(RunConfig(data_dir=str(tmp_path / "none")), [str(tmp_path / "no-model")])


def test_lengths_are_told_class_by_class(audited: Audit) -> None:
    characters, tokens, _ = audited.lengths
    # CWE-476 stands beside another flag alone, and gives way to it.
    assert set(tokens.classes) == set(audited.class_names) - {"CWE-476"}
    # "short()" is clean, as are two of the others: three lexer tokens, the longest 128.
    assert (tokens.classes["clean"].p5, characters.classes["clean"].p5) == (3, len("short()"))
    assert tokens.classes["CWE-469"].median == tokens.classes["CWE-469"].max > 100
    assert "Lengths in lexer tokens" in audit_text(audited)


def test_length_alone_is_measured_beside_words(tmp_path: Path) -> None:
    """Vulnerable functions are long, and nothing else tells them."""
    random = np.random.RandomState(0)
    for name in ("train", "validate", "test"):
        classes = ["CWE-119" if random.rand() < 0.5 else "" for _ in range(120)]
        texts = [
            f"f(int a) {{ {'a++; ' * random.randint(*((30, 60) if label else (1, 29)))}}}".encode()
            for label in classes
        ]
        write_hdf5_columns(tmp_path / f"VDISC_{name}.hdf5", texts, **flags_of(classes))
    found = audit(RunConfig(data_dir=str(tmp_path), label_mode="binary"))
    length, majority = (found.word_counts["all"].baselines[name] for name in ("length", "majority"))
    assert length is not None
    assert majority is not None
    assert length.accuracy > 0.99
    assert majority.accuracy < 0.7
    told = [alert for alert in found.alerts if alert.headline.startswith("Length alone")]
    assert "told from 0.1 on" in told[0].headline
    assert "Compare the lengths" in told[0].action
    assert told[0].headline in Page(write_audit(tmp_path / "page", found)).text


def test_a_contradictory_pair_stands_side_by_side(audited: Audit, tmp_path: Path) -> None:
    lines = audit_text(audited).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("    train/3 (clean)"))
    assert "test/1 (CWE-120)" in lines[start]
    assert lines[start + 1].startswith("  ≠ f(int a) { x0")
    assert "  g(int a) { x0" in lines[start + 1]
    assert max(map(len, lines[start : start + 2])) <= 80
    page = Page(write_audit(tmp_path / "page", audited)).text
    assert "≠ f(int a) { x0 = y0 + 3;" in page
    assert "g(int a) { x0 = y0 + 3;" in page
