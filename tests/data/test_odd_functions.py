"""Functions that no one expects: each is read and tokenized, or counted and told as dropped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from enstack.data.functions import VulnerabilityData, read_data
from enstack.data.labels import CWE_CLASSES
from enstack.data.split_files import SPLITS
from enstack.models.tokens import LabelledTokens, tokenize
from tests.support.data_files import VDISC, write_all_hdf5, write_rows

LONG = "f(int a)\n{\n" + "    a += 1; /* again */\n" * 20_800 + "}\n"  # 500 KB
ODD = {
    "non-UTF-8": b'f() { puts("caf\xe9"); }',
    "broken UTF-8": b"f() { /* \xf0\x9f\x98 */ }",
    "500 KB": LONG.encode(),
    "comments alone": b"/* nothing is left */ // of it\n",
    "CRLF": b"f(int a)\r\n{\r\n\treturn a;\r\n}\r\n",
    "CR": b"f(int a)\r{\r\treturn a;\r}",
    "unicode identifiers": "größe(int длина) { return длина * 長さ; } // 🙂".encode(),
    "trigraphs": b'f() ??< puts("what??!??\'"); ??>',
    "a byte order mark": b"\xef\xbb\xbff() { }",
    "special tokens": b'f() { puts("</s><pad><mask><s>"); }',
    "control characters": b'f() { puts("\x01\x07\x1b[0m\x7f"); }',
}
NUL = 'f() { puts("a\0b"); }\0'
NO_TEXT = {"empty": b"", "white space": b" \t\r\n", "no-break spaces": "\u00a0\u2003\n".encode()}
IS_LATIN = {"non-UTF-8", "broken UTF-8"}


def flags_of(n_rows: int) -> np.ndarray:
    return np.eye(5, dtype=bool)[np.arange(n_rows) % 5]


def read_texts(folder: Path, texts: Sequence[bytes], **wanted: Any) -> VulnerabilityData:
    write_all_hdf5(folder, sources=list(texts), flags=flags_of(len(texts)))
    return read_data(folder, cache_dir=folder / "cache", **wanted)


def expected(name: str, text: bytes) -> str:
    return text.decode("latin-1" if name in IS_LATIN else "utf-8")


@pytest.mark.parametrize("cached", [False, True])
def test_every_odd_function_is_read_as_it_is_and_replaced_bytes_are_counted(
    tmp_path: Path, cached: bool
) -> None:
    write_all_hdf5(tmp_path, sources=list(ODD.values()), flags=flags_of(len(ODD)))
    data = read_data(tmp_path, cache_dir=tmp_path / "cache" if cached else None)
    for functions in data.splits.values():
        assert functions.sources.to_pylist() == [expected(*pair) for pair in ODD.items()]
    assert "train: 2 functions not in UTF-8, read as latin-1" in data.notes
    assert data.dropped["train"] == {"no flag": 0, "no text": 0, "not in the subset": 0}


def test_functions_without_text_are_counted_by_reason_and_in_a_note(tmp_path: Path) -> None:
    data = read_texts(tmp_path, [*ODD.values(), *NO_TEXT.values()])
    assert len(data.splits["train"]) == len(ODD)
    assert data.dropped["train"]["no text"] == len(NO_TEXT)
    assert f"train: {len(NO_TEXT)} functions without any text, dropped" in data.notes
    assert data.summary()["dropped"] == data.dropped


def test_a_subset_tells_how_many_it_leaves_out(tmp_path: Path) -> None:
    data = read_texts(tmp_path, ODD.values(), subset=6)
    assert data.dropped["test"]["not in the subset"] == len(ODD) - 6
    assert f"test: {len(ODD) - 6} functions not in the subset" in data.notes


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_nul_and_odd_texts_survive_in_every_table(tmp_path: Path, suffix: str) -> None:
    texts = [text.decode() for name, text in ODD.items() if name not in IS_LATIN]
    # A csv reader in C may end a field at NUL; the csv module refuses to write a lone CR plainly.
    texts += [NUL, NUL.replace("a", "b")]
    rows = [{"func": text, "label": number % 5} for number, text in enumerate(texts)]
    data = read_data(write_rows(tmp_path, suffix, rows))
    assert data.splits["train"].sources.to_pylist() == texts


def test_nul_survives_in_fixed_width_bytes(tmp_path: Path) -> None:
    texts = np.array([b"f() { a\0b }", b"g() { }"], dtype="S20")
    for split in SPLITS:
        with h5py.File(tmp_path / f"{VDISC[split]}.hdf5", "w") as file:
            file["functionSource"] = texts
            for number, name in enumerate(CWE_CLASSES):
                file[name] = flags_of(2)[:, number]
    assert read_data(tmp_path).splits["train"].sources.to_pylist() == ["f() { a\0b }", "g() { }"]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("escape", ["\\ud800", "\\uDFFF", "\\udc80", "\\ude00\\ud83d"])
def test_half_a_surrogate_pair_is_told_with_its_row_and_the_rest_of_the_text_stays(
    tmp_path: Path, cached: bool, escape: str
) -> None:
    texts = ["f() { café }", "g() { XX 🙂 é }", "\\ud800 \ud83d\ude42 stays"]
    rows = [{"func": text, "label": n % 2} for n, text in enumerate(texts)]
    path = write_rows(tmp_path, "jsonl", rows) / "train.jsonl"
    path.write_text(path.read_text().replace("XX", escape))
    data = read_data(tmp_path, label_mode="binary", cache_dir=tmp_path / "c" if cached else None)
    read = data.splits["train"].sources.to_pylist()
    marks = "\ufffd" * escape.count("u")
    assert read == [texts[0], f"g() {{ {marks} 🙂 é }}", "\\ud800 🙂 stays"]
    assert [note for note in data.notes if note.startswith("train: ")] == [
        "train: 1 function with half a surrogate pair (such as \\ud800), which is no character, "
        "read as �; the first is in row 1 (rows count from 0)"
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "hdf5"])
def test_the_bytes_of_half_a_surrogate_pair_are_no_utf_8(tmp_path: Path, suffix: str) -> None:
    raw, spaced = b"f() { \xed\xa0\x80 }", b"f() { XXX }"
    if suffix == "hdf5":
        write_all_hdf5(tmp_path, sources=[raw, b"g() { }"], flags=flags_of(2))
    else:
        rows = [{"func": t, "label": 2 * n} for n, t in enumerate((spaced.decode(), "g() { }"))]
        path = write_rows(tmp_path, suffix, rows) / f"train.{suffix}"
        path.write_bytes(path.read_bytes().replace(spaced, raw))
    data = read_data(tmp_path)
    assert data.splits["train"].sources[0].as_py() == raw.decode("latin-1")
    assert "train: 1 function not in UTF-8, read as latin-1" in data.notes


def test_every_odd_function_becomes_tokens_and_the_cut_ones_are_counted(
    tmp_path: Path, micro_tokenizer: Any
) -> None:
    texts = [*ODD.values(), NUL.replace("\0", "\\0").encode()]
    train = read_texts(tmp_path, texts).splits["train"]
    found = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    assert len(found.lengths) == len(train) == len(texts)
    assert found.lengths.min() > 2
    whole = [len(ids) for ids in micro_tokenizer(train.sources.to_pylist())["input_ids"]]
    assert found.n_truncated == sum(length > 64 for length in whole) > 0
    assert found.lengths.tolist() == [min(length, 64) for length in whole]


def test_odd_functions_keep_their_ids_in_batches(tmp_path: Path, micro_tokenizer: Any) -> None:
    train = read_texts(tmp_path, [*ODD.values(), *NO_TEXT.values()]).splits["train"]
    found = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    examples = LabelledTokens(found, train.labels, train.ids)
    assert examples.ids.tolist() == [f"train/{row}" for row in range(len(ODD))]
    assert [example["label"] for example in examples.__getitems__([4, 0])] == [4, 0]
