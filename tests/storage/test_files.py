from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from enstack.errors import CheckpointError
from enstack.reporting.stored_files import read_object
from enstack.storage import files
from enstack.storage.arrays import read_arrays
from enstack.storage.disks import require_writable

DIGEST = "38d6d5273586cac6f5be99ca20b9ff7189cda136ee1a1cfeab905d2d223c81f4"


def read_ids(path: Path) -> object:
    return read_arrays(path, ("ids",))


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    files.write_json(path, {"old": 1})

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.write_json(path, {"new": 2})
    assert files.read_json(path) == {"old": 1}


def test_the_digest_of_both_ends_stays_as_checkpoints_hold_it(tmp_path: Path) -> None:
    """Identities in checkpoints name base weights by it: another one would refuse to go on."""
    path = tmp_path / "x"
    path.write_bytes(b"begin" + bytes(3 << 20) + b"end")
    assert files.digest_of_ends(path) == DIGEST
    path.write_bytes(b"begin" + bytes(1 << 20) + bytes([1]) + bytes(2 << 20) + b"end")
    assert files.digest_of_ends(path) == DIGEST  # the middle is not read
    path.write_bytes(b"begin" + bytes(3 << 20) + b"End")
    assert files.digest_of_ends(path) != DIGEST


def test_an_unchanged_text_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    files.write_if_changed(path, "a")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    files.write_if_changed(path, "a")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_run_folder_that_is_a_file_or_marked_read_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CheckpointError, match=r"can be written to.*it is a file.*with run_dir=PATH"
    ):
        require_writable(tmp_path / "file", "run_dir", CheckpointError)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    with pytest.raises(CheckpointError, match="it is read-only"):
        require_writable(locked, "run_dir", CheckpointError)


def test_two_writers_of_one_file_at_once_each_write_under_a_name_of_their_own(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.html"
    with files.replacing_file(path) as first:
        first.write_text("the first's, half")
        files.write_text(path, "the second's")
        with first.open("a") as file:
            file.write(" and the other half")
    assert path.read_text() == "the first's, half and the other half"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_a_killed_writer_left_beside_a_file_is_removed_by_the_next(tmp_path: Path) -> None:
    left = [".a.writing", f".a.{'0' * 16}.writing"]
    others = [".a.mine.writing", ".ab.writing", f".a.b.{'0' * 16}.writing"]
    for name in (*left, *others):
        (tmp_path / name).write_text("half")
    files.write_text(tmp_path / "a", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a", *others}
    (tmp_path / left[0]).mkdir()  # none of ours
    files.write_text(tmp_path / "a", "whole")
    assert (tmp_path / left[0]).is_dir()


def test_a_damaged_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"x\.json must be a readable JSON file"):
        files.read_json(tmp_path / "x.json")


def test_a_mount_that_can_not_rename_over_a_file_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target).exists():
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    for text in ("old", "new"):
        files.write_text(tmp_path / "a", text)
        assert (tmp_path / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_rename_that_fails_for_another_reason_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    files.write_text(tmp_path / "a", "old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"


def test_a_block_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    def write_half() -> None:
        with files.replacing_file(tmp_path / "a") as beside:
            beside.write_text("ne")
            raise KeyboardInterrupt

    files.write_text(tmp_path / "a", "old")
    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("write", [files.write_json, files.append_json_line])
@pytest.mark.parametrize("inside", [(), ("note.txt",)])
def test_a_folder_in_the_place_of_a_file_is_named_and_kept(
    write: Callable[[Path, dict[str, int]], None], inside: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.mkdir()
    for name in inside:
        (path / name).write_text("mine")
    with pytest.raises(IsADirectoryError, match=r"a folder stands where .* move it away") as error:
        write(path, {"a": 1})
    assert error.value.filename == str(path)
    assert sorted(other.name for other in tmp_path.rglob("*")) == sorted([path.name, *inside])
    path.rename(tmp_path / "moved")
    write(path, {"a": 1})
    assert path.is_file()


@pytest.mark.parametrize("read", [files.sha256_file, files.file_state, read_object, read_ids])
def test_a_folder_in_the_place_of_a_file_that_is_read_is_named(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises((OSError, ValueError, CheckpointError)) as error:
        read(tmp_path / "config.json")
    said = getattr(error.value, "strerror", None) or f"{error.value}"
    assert "a folder stands where the file config.json belongs, move it away" in said
    assert "Errno" not in said


def test_json_with_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CheckpointError, match=r"JSON file: a folder stands .* move it away. Put"):
        files.read_json(tmp_path / "config.json")


def test_a_file_in_the_place_of_a_folder_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"a file stands where .* move it away") as error:
        files.write_json(tmp_path / "report" / "data" / "x.json", {})
    assert error.value.filename == str(tmp_path / "report")
    assert (tmp_path / "report").read_text() == "mine"
