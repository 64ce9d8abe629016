"""Zip archives of code: what is hostile in one is passed over, and never leaves its folder."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enstack.errors import DataError
from enstack.scanning import archives
from enstack.scanning.archives import unpack_sources


def archive_of(folder: Path, files: dict[str, bytes], **form: int) -> Path:
    path = folder / "code.zip"
    with zipfile.ZipFile(path, "w", **form) as made:
        for name, content in files.items():
            made.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "inside" / "here"
    folder.mkdir(parents=True)
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_source_files_alone_are_unpacked(tmp_path: Path, into: Path) -> None:
    named = {
        "a.c": b"1",
        "src/b.HPP": b"2",
        "src/.gitignore": b"x",
        "big.bin": b"3",
        "run.py": b"4",
    }
    assert unpack_sources(archive_of(tmp_path, named), into) == 3
    assert files_of(into) == ["a.c", "src/.gitignore", "src/b.HPP"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.c",
        "a/../../evil.c",
        "/tmp/evil.c",
        "..\\evil.c",
        "C:\\evil.c",
        "C:/evil.c",
        "./e.c",
    ],
)
def test_a_name_that_leads_elsewhere_is_passed_over_and_said(
    tmp_path: Path, into: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = files_of(tmp_path)
    unpack_sources(archive_of(tmp_path, {name: b"evil", "good.c": b"good"}), into)
    assert files_of(into) == ["good.c"]
    assert files_of(tmp_path) == sorted([*before, "code.zip", "inside/here/good.c"])
    assert "1 of the archive's source files are passed over" in capsys.readouterr().out


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.sampled_from("./\\.c:aC\x01"), min_size=1, max_size=12), min_size=1, max_size=6
    )
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_whatever_files_are_called_all_of_them_stay_within_the_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    place = tmp_path_factory.mktemp("zip")
    (place / "inside").mkdir()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name in [*names, "good.c"]:
            made.writestr(zipfile.ZipInfo(f"{name}.c"), b"x")
    (place / "code.zip").write_bytes(content.getvalue())
    unpack_sources(place / "code.zip", place / "inside")
    assert [one for one in files_of(place) if not one.startswith("inside/")] == ["code.zip"]


def test_links_and_encrypted_files_are_passed_over(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as made:
        link = zipfile.ZipInfo("link.c")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("good.c", "good")
        made.writestr("locked.c", "secret")
    content = bytearray(path.read_bytes())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):  # the bit that says encrypted, in both headers
        at = content.rindex(mark, 0, content.rindex(b"locked.c") if mark[2] == 1 else None)
        content[at + (6 if mark[2] == 3 else 8)] |= 1
    path.write_bytes(bytes(content))
    unpack_sources(path, into)
    assert files_of(into) == ["good.c"]


def test_a_bomb_is_stopped_by_what_comes_out_of_it(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 20)
    zeros = {f"{n}.c": bytes(2 << 20) for n in range(3)}
    bomb = archive_of(tmp_path, {**zeros, "good.c": b"x"}, compression=zipfile.ZIP_DEFLATED)
    content = bomb.read_bytes()
    # Headers that say one byte each.
    lying = content.replace(struct.pack("<I", 2 << 20), struct.pack("<I", 1))
    bomb.write_bytes(lying)
    with pytest.raises(DataError, match="must be a whole zip archive"):
        unpack_sources(bomb, into)
    bomb.write_bytes(content)
    unpack_sources(bomb, into)
    assert files_of(into) == ["good.c"]
    monkeypatch.setattr(archives, "MOST_IN_ALL", 3)
    more = archive_of(tmp_path, {"a.c": b"xx", "b.c": b"xx"})
    with pytest.raises(DataError, match="must hold at most"):
        unpack_sources(more, into.parent)


def test_what_is_no_whole_archive_or_holds_no_source_is_refused(tmp_path: Path, into: Path) -> None:
    path = archive_of(tmp_path, {"a.c": b"int f(void) { return 0; }"})
    whole = path.read_bytes()
    for cut in (b"", b"text", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(cut)
        with pytest.raises(DataError, match="must be a whole zip archive"):
            unpack_sources(path, into)
    with pytest.raises(DataError, match="holds no C or C"):
        unpack_sources(archive_of(tmp_path, {"a.py": b"1"}), into)
