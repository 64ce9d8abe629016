from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.storage import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "inner").mkdir(parents=True)
    (made / "a.bin").write_bytes(bytes(range(256)) * 40)
    (made / "inner" / "b.txt").write_text("b")
    manifest.write_manifest(made, made_from={"x": 1})
    return made


def test_a_folder_with_its_manifest_is_whole(folder: Path) -> None:
    assert manifest.folder_problems(folder) == []
    assert manifest.is_current(folder, {"x": 1})
    assert not manifest.is_current(folder, {"x": 2})


@given(place=st.integers(0, 10239), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    made = tmp_path_factory.mktemp("flip")
    content = bytearray(bytes(range(256)) * 40)
    (made / "a.bin").write_bytes(content)
    manifest.write_manifest(made)
    content[place] ^= 1 << bit
    (made / "a.bin").write_bytes(content)
    assert manifest.folder_problems(made) == [
        "a.bin has other content than was written (sha256 differs)"
    ]


def test_a_truncated_and_a_missing_file_are_found(folder: Path) -> None:
    os.truncate(folder / "a.bin", 100)
    (folder / "inner" / "b.txt").unlink()
    assert manifest.folder_problems(folder) == [
        "a.bin has 100 bytes, 10,240 were written",
        "b.txt is missing",
    ]


def test_a_folder_without_manifest_is_unfinished(folder: Path) -> None:
    (folder / manifest.MANIFEST).unlink()
    assert "never finished" in manifest.folder_problems(folder)[0]


def test_a_manifest_that_was_changed_anywhere_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    manifest.write_manifest(tmp_path, saved=3, name="µ")
    good = (tmp_path / "manifest.json").read_bytes()
    assert manifest.read_manifest(tmp_path) is not None
    for place in range(len(good)):
        changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        (tmp_path / "manifest.json").write_bytes(changed)
        assert manifest.read_manifest(tmp_path) is None, good[place - 9 : place + 9]
