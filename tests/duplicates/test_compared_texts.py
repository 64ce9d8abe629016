"""Functions on one line, and very long ones: counted, named, and compared by what they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.config import RunConfig
from enstack.data.functions import Functions, VulnerabilityData
from enstack.duplicates import compared_texts, lexer
from enstack.duplicates.compared_texts import comparison_notes
from enstack.duplicates.lexer import comment_kept_from, lexer_tokens
from enstack.inputs import read_run_data
from tests.support.data_files import write_rows
from tests.support.similar_texts import SOURCES


def data_of(texts: list[str]) -> VulnerabilityData:
    ids = np.array([f"train/{row}" for row in range(len(texts))])
    sources = pa.array(texts, type=pa.large_string())
    train = Functions(ids, sources, np.zeros(len(texts), dtype=np.int64))
    return VulnerabilityData({"train": train}, ("clean", "vulnerable"), "binary", "made up")


@given(st.lists(SOURCES, min_size=1, max_size=9), st.integers(1, 4))
def test_the_functions_with_a_comment_that_is_kept_are_counted(texts: list[str], size: int) -> None:
    kept = [row for row, text in enumerate(texts) if comment_kept_from(text) is not None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compared_texts, "FUNCTIONS_AT_ONCE", size)
        notes = comparison_notes(data_of(texts))
    assert len(notes) == bool(kept)
    if kept:
        named = ", ".join(f"train/{row}" for row in kept[:3])
        assert notes[0].startswith(f"train: {len(kept)} function")
        assert f"({named}{', ...' if len(kept) > 3 else ''})" in notes[0]


def test_only_so_much_of_a_function_is_cut_into_tokens_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lexer, "LONGEST", 20)
    monkeypatch.setattr(compared_texts, "LONGEST", 20)
    assert lexer_tokens("a " * 11) == ["a"] * 10
    (note,) = comparison_notes(data_of(["é" * 20, "é" * 21, "f()"]))
    assert note.startswith("train: 1 function is (train/1) longer than 20 characters")


def flattened(number: int, ends: str) -> str:
    """Sixty different functions that begin alike."""
    lines = ["int f(char *s) {", "// don't trust s", *(f"a{number * n} += {n};" for n in range(9))]
    return ends.join([*lines, f"return {number}; }}"])


@pytest.mark.parametrize(("ends", "noted"), [(" ", True), ("\r", False), ("\n", False)])
def test_different_functions_stay_in_train_however_their_lines_end(
    tmp_path: Path, ends: str, noted: bool
) -> None:
    data = tmp_path / "data"
    for place, split in enumerate(("train", "validation", "test")):
        numbers = range(100 * place + 1, 100 * place + (41 if split == "train" else 11))
        rows = [{"func": flattened(n, ends), "label": n % 2} for n in numbers]
        write_rows(data, "parquet", rows, [split])
    found = read_run_data(
        RunConfig(
            data_dir=str(data),
            label_mode="binary",
            drop_near_duplicates=0.7,
            local_dir=str(tmp_path / "local"),
        )
    )
    assert len(found.splits["train"]) == 40
    named = "train: 40 functions are (train/0, train/1, train/2, ...) on one line with // inside"
    assert any(note.startswith(named) for note in found.notes) is noted
