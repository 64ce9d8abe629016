"""Data is copied from slow storage once, whole, and only where there is room."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from enstack import inputs
from enstack.config import RunConfig
from enstack.data import local_copy
from enstack.data.local_copy import local_copy_of
from enstack.errors import DataError
from enstack.storage.disks import ROOM_TO_LEAVE, slow_storage
from enstack.storage.files import file_state
from enstack.storage.manifest import folder_problems

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
drive /content/drive fuse.drive rw 0 0
/dev/sdb1 /content/drive/inside ext4 rw 0 0
server:/x /with\\040space nfs4 rw 0 0
overlay /content overlay rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/content/drive/MyDrive/vdisc", "fuse.drive"),
        ("/content/drive", "fuse.drive"),
        ("/content/drives", None),
        ("/content/drive/inside/x", None),
        ("/content/data", None),
        ("/with space/data", "nfs4"),
        ("/", None),
    ],
)
def test_the_innermost_mount_tells_whether_storage_is_slow(
    tmp_path: Path, path: str, kind: str | None
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert slow_storage(Path(path), tmp_path / "mounts") == kind


def test_without_a_list_of_mounts_nothing_is_slow(tmp_path: Path) -> None:
    assert slow_storage(Path("/content/drive"), tmp_path / "none") is None


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "drive"
    folder.mkdir()
    paths = [folder / f"{name}.hdf5" for name in ("a", "b")]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (3 * 2**20 + number))
    return paths


def test_files_are_copied_once_and_verified(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local_copy_of(files, tmp_path / "local")
    assert folder is not None
    assert folder_problems(folder) == []
    assert [(folder / path.name).read_bytes() for path in files] == [
        path.read_bytes() for path in files
    ]
    monkeypatch.setattr(local_copy, "_copy", lambda *_: pytest.fail("copied again"))
    assert local_copy_of(reversed(files), tmp_path / "local") == folder


def test_a_changed_file_and_a_damaged_copy_are_copied_anew(
    tmp_path: Path, files: list[Path]
) -> None:
    folder = local_copy_of(files, tmp_path / "local")
    assert folder is not None
    content = bytearray(files[0].read_bytes())
    content[5] ^= 1
    files[0].write_bytes(content)
    assert local_copy_of(files, tmp_path / "local") == folder
    assert (folder / files[0].name).read_bytes() == content
    with (folder / files[1].name).open("r+b") as copy:
        copy.write(b"damaged")
    assert local_copy_of(files, tmp_path / "local") == folder
    assert (folder / files[1].name).read_bytes() == files[1].read_bytes()


def test_without_room_the_data_is_read_where_it_lies(
    tmp_path: Path,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = namedtuple("usage", "free")
    free = ROOM_TO_LEAVE + 2**20
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free))
    assert local_copy_of(files, tmp_path / "local") is None
    said = capsys.readouterr().out
    assert "needs as much" in said
    assert "513 MiB are free" in said
    assert list((tmp_path / "local" / "staged").iterdir()) == []


def test_a_copy_that_breaks_off_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, data: bytes) -> int:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr("enstack.storage.manifest.HashedFile.write", broken)
    with pytest.raises(DataError, match=r"Transport endpoint.*Drive is still connected \(cell 1\)"):
        local_copy_of(files, tmp_path / "local")
    assert list((tmp_path / "local" / "staged").iterdir()) == []


def test_data_on_slow_storage_is_read_from_its_copy_and_is_the_same_data(
    tmp_path: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = inputs.read_run_data(
        RunConfig(data_dir=str(toy_folder), local_dir=str(tmp_path / "near"), run_dir="unused")
    )
    local = tmp_path / "local"
    config = RunConfig(data_dir=str(toy_folder), local_dir=str(local), run_dir="unused")
    monkeypatch.setattr(inputs, "slow_storage", lambda path: "fuse.drive")
    read: list[Path] = []
    whole = inputs.read_tables
    monkeypatch.setattr(
        inputs,
        "read_tables",
        lambda folder, *rest: (read.append(folder), whole(folder, *rest))[1],
    )
    far = inputs.read_run_data(config)
    assert read[0].parent == local / "staged"
    assert far.fingerprint == near.fingerprint
    assert far.summary() == near.summary()
    inputs.read_run_data(config)
    assert read[1] == toy_folder  # what was read once is not copied again


def test_a_copy_keeps_the_time_of_its_source(tmp_path: Path, files: list[Path]) -> None:
    folder = local_copy_of(files, tmp_path / "local")
    assert folder is not None
    assert [file_state(folder / path.name) for path in files] == [file_state(p) for p in files]


def test_a_file_that_vanishes_and_a_local_dir_that_is_a_file_are_one_error(
    tmp_path: Path, files: list[Path]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a file stands where the folder file belongs"):
        local_copy_of(files, tmp_path / "file")
    files[0].unlink()
    with pytest.raises(DataError, match="No such file or directory"):
        local_copy_of(files, tmp_path / "local")
