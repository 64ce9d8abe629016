from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from enstack.errors import ConfigError
from enstack.storage import disks, folders
from enstack.storage.caches import holding_caches, is_usable, making_cache
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import MANIFEST, folder_problems, is_current, write_manifest
from tests.support.faults import FaultyDisk, faulty

WANTED = {"x": 1}


def make(folder: Path, text: str, made_from: dict[str, int]) -> None:
    with replacing_folder(folder, {"made_from": made_from}) as beside:
        (beside / "a").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "made", "first", WANTED)
    return tmp_path / "made"


def test_a_folder_that_fails_to_fill_leaves_the_old_one(folder: Path) -> None:
    def fill_half() -> None:
        with replacing_folder(folder, {"made_from": {"x": 2}}) as beside:
            (beside / "new").write_text("n")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fill_half()
    assert is_current(folder, WANTED)
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_what_killed_processes_left_is_removed_and_what_a_living_one_fills_is_not(
    folder: Path,
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    # A program that is older than locks names its own number alone.
    of_a_number = f".made.{os.getppid()}.writing"
    drawn, locked = f".made.{'a' * 16}.writing", f".made.{'b' * 16}.writing"
    strangers = {".made.else.7.writing", ".made.mine.writing", "made.writing", ".made.writing2"}
    for name in (".made.writing", f".made.{gone.pid}.writing", of_a_number, drawn, locked):
        (folder.parent / name).mkdir()
    for name in strangers:
        (folder.parent / name).mkdir()
    living = disks.lock(folder.parent / locked)
    assert living is not None
    make(folder, "second", {"x": 2})
    left = {path.name for path in folder.parent.iterdir()}
    os.close(living)
    assert left == {"made", of_a_number, locked, *strangers}


def test_of_two_that_make_the_same_the_first_finished_one_stays(folder: Path) -> None:
    new = folder.with_name("new")
    with replacing_folder(new, {"made_from": WANTED}) as beside:
        (beside / "a").write_text("mine")
        make(new, "the other's", WANTED)  # begun later, finished sooner
    assert (new / "a").read_text() == "the other's"
    assert is_current(new, WANTED)
    assert {path.name for path in folder.parent.iterdir()} == {"made", "new"}


@pytest.mark.parametrize("made_from", [WANTED, {"x": 2}])
def test_a_finished_one_of_another_that_is_damaged_or_of_something_else_is_replaced(
    folder: Path, made_from: dict[str, int]
) -> None:
    new = folder.with_name("new")
    with replacing_folder(new, {"made_from": WANTED}) as beside:
        (beside / "a").write_text("mine")
        make(new, "the other's", made_from)
        if made_from == WANTED:
            (new / "a").write_text("rotten")
    assert (new / "a").read_text() == "mine"
    assert is_current(new, WANTED)


def test_two_that_find_one_damaged_do_not_replace_each_others_good_one(folder: Path) -> None:
    (folder / "a").write_text("rotten")
    with replacing_folder(folder, {"made_from": WANTED}) as beside:
        (beside / "a").write_text("mine")
        make(folder, "the other's", WANTED)
        inode = folder.stat().st_ino
    assert folder.stat().st_ino == inode


def test_a_new_folder_that_is_taken_for_a_leftover_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    def cleaned_before(path: Path, **wanted: bool) -> int | None:
        if path.name.endswith(".writing") and not taken:
            taken.append(path)
            path.rmdir()
        return disks.lock(path, **wanted)

    monkeypatch.setattr(folders, "lock", cleaned_before)
    make(tmp_path / "made", "whole", WANTED)
    assert taken
    assert folder_problems(tmp_path / "made") == []


def test_files_of_the_user_come_along(folder: Path) -> None:
    (folder / "note").write_text("mine")
    make(folder, "second", {"x": 2})
    assert (folder / "note").read_text() == "mine"
    assert (folder / "a").read_text() == "second"


@pytest.mark.parametrize("manifest", [True, False])
def test_a_users_file_under_the_name_of_a_new_one_is_named_and_kept(
    folder: Path, manifest: bool
) -> None:
    (folder / "b").write_text("mine")
    if not manifest:  # then nobody can tell
        (folder / MANIFEST).unlink()

    def again() -> None:
        with folders.replacing_folder(folder, {}) as beside:
            (beside / "b").write_text("ours")

    if manifest:
        with pytest.raises(FileExistsError, match=r"did not write .* move it away") as error:
            again()
        assert error.value.filename == str(folder / "b")
        assert (folder / "b").read_text() == "mine"
        (folder / "b").rename(folder.parent / "moved")
    again()
    assert (folder / "b").read_text() == "ours"


def test_a_cache_is_held_while_it_is_used_and_no_longer(folder: Path) -> None:
    with holding_caches():
        assert is_usable(folder, WANTED)
        assert disks.lock(folder) is None
        assert is_usable(folder, WANTED)  # by any number of users
    free = disks.lock(folder)
    assert free is not None
    os.close(free)


def test_a_cache_that_is_cleaned_away_while_it_is_judged_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cleaned_before(path: Path, **wanted: bool) -> int | None:
        descriptor = disks.lock(path, **wanted)
        path.rename(path.with_name("gone"))
        return descriptor

    monkeypatch.setattr("enstack.storage.caches.lock", cleaned_before)
    assert not is_usable(folder, WANTED)


def test_a_disk_that_does_not_give_back_what_was_written_is_an_error(tmp_path: Path) -> None:
    def make_rotten() -> None:
        with making_cache(tmp_path / "made", WANTED) as beside:
            (beside / "a").write_text("whole")
            write_manifest(beside, made_from=WANTED)
            (beside / "a").write_text("other")

    with pytest.raises(OSError, match="not read back as written"):
        make_rotten()


def test_on_a_mount_without_locks_folders_are_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, kind: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("enstack.storage.disks.fcntl.flock", no_locks)
    (tmp_path / f".made.{'a' * 16}.writing").mkdir()
    make(tmp_path / "made", "whole", WANTED)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_folder_in_the_place_of_a_listed_file_is_named_and_kept(tmp_path: Path) -> None:
    for name in ("rf.skops", MANIFEST):
        folder = tmp_path / name / "stacking"
        with folders.replacing_folder(folder, {}) as beside:
            (beside / "rf.skops").write_text("1")
        (folder / name).unlink()
        (folder / name).mkdir()
        (folder / name / "note.txt").write_text("mine")

        def again(folder: Path = folder) -> None:
            with folders.replacing_folder(folder, {}) as beside:
                (beside / "rf.skops").write_text("2")

        with pytest.raises(IsADirectoryError, match="a folder stands where") as error:
            again()
        assert error.value.filename == str(folder / name)
        assert (folder / name / "note.txt").read_text() == "mine"
        (folder / name).rename(tmp_path / name / "moved")
        again()
        assert (folder / "rf.skops").read_text() == "2"


def test_a_file_in_the_place_of_a_made_folder_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "stacking").write_text("mine")
    with (
        pytest.raises(NotADirectoryError, match="a file stands where") as error,
        folders.replacing_folder(tmp_path / "stacking", {}),
    ):
        pass
    assert error.value.filename == str(tmp_path / "stacking")
    assert (tmp_path / "stacking").read_text() == "mine"


def test_a_users_file_in_the_place_of_a_new_subfolder_is_named_and_kept(folder: Path) -> None:
    for name in ("figures", "sub/deep"):
        mine = folder / name
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")

        def again(name: str = name) -> None:
            with folders.replacing_folder(folder, {}) as beside:
                (beside / name).mkdir(parents=True)
                (beside / name / "x.png").write_text("2")

        with pytest.raises(NotADirectoryError, match="a file stands where the folder") as error:
            again()
        assert error.value.filename == str(mine)
        assert mine.read_text() == "mine"
        mine.rename(folder.parent / f"{mine.name} moved")
        again()
        assert (mine / "x.png").read_text() == "2"


def test_a_file_in_the_place_of_a_caches_folder_is_named_before_anything_is_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "tokens").write_text("mine")
    with pytest.raises(NotADirectoryError, match="a file stands where the folder tokens") as error:
        make(tmp_path / "tokens" / "key", "x", WANTED)
    assert error.value.filename == str(tmp_path / "tokens")
    assert (tmp_path / "tokens").read_text() == "mine"


def test_what_stands_in_the_place_of_a_folder_or_of_its_files_is_a_problem_of_its_own(
    folder: Path,
) -> None:
    for name in ("a", MANIFEST):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).mkdir()
        assert folder_problems(folder) == [
            f"a folder stands where the file {name} belongs, move it away"
        ]
        (folder / name).rmdir()
        (folder / name).write_bytes(kept)
    assert not folder_problems(folder)
    (folder.parent / "file").write_text("mine")
    assert folder_problems(folder.parent / "file" / "made") == [
        "a file stands where the folder file belongs, move it away"
    ]


def test_an_error_is_told_though_the_new_folder_of_its_run_is_on_storage_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "END_SECONDS", 0.05)
    folder = tmp_path / "new"
    disk = FaultyDisk(folder, 1, 0, 0)

    def hang_and_fail() -> None:
        with disks.leaving_no_empty(folder):
            folder.mkdir()
            disk.answers.clear()
            raise ConfigError("what went wrong")

    with faulty(disk):
        with pytest.raises(ConfigError, match="what went wrong"):
            hang_and_fail()
        disk.answers.set()
