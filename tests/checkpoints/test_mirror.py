"""The copy to slow storage: complete in the end, whatever that storage does on the way."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from enstack.checkpoints import mirror, slots, state_file
from enstack.checkpoints.mirror import Mirror
from enstack.checkpoints.slots import BEST, HISTORY, LAST
from enstack.errors import CheckpointError
from enstack.storage.files import append_json_line
from enstack.storage.manifest import HashedFolder, folder_problems, read_manifest
from enstack.training import trainer
from enstack.training.saver import Saver
from enstack.training.trainer import train_base_model
from tests.support.equality import same, training_outcome, tree_digest
from tests.support.faults import FaultyDisk, faulty
from tests.support.training import job_of, train_config

ERRNOS = [errno.ENOSPC, errno.EIO, errno.ENOTCONN]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(mirror, "LONGEST_WAIT", 0.002)
    monkeypatch.setattr(mirror, "LONGEST_WAIT_AT_THE_END", 0.002)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A base model's folders on the scratch disk and in the run folder."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "drive").mkdir()
    return tmp_path / "scratch", tmp_path / "drive"


def put(scratch: Path, name: str, number: int, size: int = 3000) -> None:
    """A finished checkpoint or best model on the scratch disk."""

    def write_files(new: HashedFolder) -> None:
        for file_name in ("model.safetensors", "config.json"):
            with new.file(file_name) as file:
                file.write(bytes([number % 256]) * size)

    slots.write(scratch, name, write_files, saved=number)
    slots.install(scratch, name, keep=2)


def number_of(folder: Path) -> int:
    return slots.saved_number(folder)


def whole(drive: Path) -> list[int]:
    """Numbers of the checkpoints in a folder that verify, by whatever name."""
    folders = [path for path in drive.glob("*") if path.is_dir()]
    folders += [path for path in (drive / ".saving",) if path.is_dir()]
    return sorted(
        number_of(path) for path in folders if not folder_problems(path) and path.name != BEST
    )


def mirrored(scratch: Path, drive: Path, keep: int = 2) -> Mirror:
    """A mirror that has brought what there is."""
    copy = Mirror(scratch, drive, keep)
    copy.start()
    assert copy.wait()
    return copy


def test_what_is_on_the_scratch_disk_comes_to_run_dir_verified_and_rotated(
    places: tuple[Path, Path],
) -> None:
    scratch, drive = places
    copy = Mirror(scratch, drive, 2)
    put(scratch, LAST, 1)
    (scratch / HISTORY).write_text('{"a": 1}\n')
    copy.start()
    for number in (2, 3):
        assert copy.wait()
        put(scratch, LAST, number)
        put(scratch, BEST, number)
        copy.look()
    assert copy.wait()
    copy.close()
    assert sorted(path.name for path in drive.iterdir()) == [
        BEST, HISTORY, LAST, "previous_checkpoint",
    ]  # fmt: skip
    assert [number_of(drive / name) for name in (LAST, "previous_checkpoint", BEST)] == [3, 2, 3]
    assert tree_digest(drive / LAST) == tree_digest(scratch / LAST)
    assert (drive / HISTORY).read_text() == '{"a": 1}\n'


@pytest.mark.parametrize(
    ("numbers", "every"),
    # Five is odd and no multiple of three: each fault still comes once and twice.
    [(ERRNOS, 5), *(pytest.param([each], 1, marks=pytest.mark.slow) for each in ERRNOS)],
)
def test_a_fault_at_any_operation_loses_nothing_and_the_copy_ends_complete(
    tmp_path: Path, numbers: list[int], every: int
) -> None:
    """Operations of a copy fail in turn, some of them twice."""
    noticed = 0
    scratch, drive = begun = tmp_path / "begun" / "scratch", tmp_path / "begun" / "drive"
    for folder in begun:
        folder.mkdir(parents=True)
    for saved in (1, 2):
        put(scratch, LAST, saved)
        put(scratch, BEST, saved)
        mirrored(scratch, drive).close()
    put(scratch, LAST, 3)
    put(scratch, BEST, 3)
    for first in itertools.count(1, every):
        place = tmp_path / f"{first}"
        shutil.copytree(tmp_path / "begun", place)
        scratch, drive = place / "scratch", place / "drive"
        before = whole(drive)
        number = numbers[first % len(numbers)]
        with faulty(FaultyDisk(drive, first, 1 + first % 2, number)) as disk:
            seen: list[list[int]] = []
            copy = Mirror(scratch, drive, 2)
            copy._failed = _noting(copy._failed, disk, drive, seen)  # type: ignore[method-assign]
            copy.later(functools.partial(append_json_line, drive / "events.jsonl", {"n": first}))
            copy.start()
            assert copy.wait(), copy.trouble()
            copy.close()
        assert before == [1, 2]
        assert all(2 in numbers or 3 in numbers for numbers in seen), f"operation {first}: {seen}"
        assert whole(drive) == [2, 3]
        assert (number_of(drive / LAST), number_of(drive / BEST)) == (3, 3)
        assert not folder_problems(drive / BEST)
        assert (drive / "events.jsonl").read_text().endswith(f'{{"n": {first}}}\n')
        if not disk.failed:
            break
        # To make a folder that is there already may fail unnoticed: nothing was to be done.
        assert any("can't be written now" in line for line in copy.news()) == bool(seen)
        noticed += bool(seen)
    assert noticed > 40 // every


def _noting(
    original: Callable[[Exception], None], disk: FaultyDisk, drive: Path, seen: list[list[int]]
) -> Callable[[Exception], None]:
    """After each fault, what verifies on the disk."""

    def failed(error: Exception) -> None:
        times, disk.times = disk.times, 0
        seen.append(whole(drive))
        disk.times = times
        original(error)

    return failed


def test_what_was_verified_before_a_fault_takes_its_place_without_being_written_again(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places
    put(scratch, BEST, 1)
    copy = mirrored(scratch, drive)
    put(scratch, BEST, 2)
    rename, write, written = os.rename, slots.write, []

    def rename_badly(source: Any, target: Any) -> None:
        if str(source) == str(drive / ".saving_best"):
            monkeypatch.setattr(os, "rename", rename)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source))
        rename(source, target)

    def noted(folder: Path, *args: Any, **kwargs: Any) -> None:
        written.append(folder)
        write(folder, *args, **kwargs)

    monkeypatch.setattr(os, "rename", rename_badly)
    monkeypatch.setattr(slots, "write", noted)
    copy.look()
    assert copy.wait()
    copy.close()
    assert "can't be written now (Input/output error)" in copy.news()[0]
    assert (number_of(drive / BEST), folder_problems(drive / BEST)) == (2, [])
    assert written == [drive]


def train_on(disk: FaultyDisk, parts: Any, run_dir: Path) -> None:
    config = train_config(run_dir)
    run_dir.mkdir()
    with faulty(disk):
        train_base_model(job_of(parts, config, log=_log_to(run_dir)))


def _log_to(run_dir: Path) -> Any:
    def log(event: str, **details: Any) -> None:
        append_json_line(run_dir / "events.jsonl", {"event": event, **details})

    return log


class OftenFaulty(FaultyDisk):
    """Fails now and then, with one of the errors that a Drive knows."""

    def __init__(self, folder: Path, share: float) -> None:
        super().__init__(folder, 0, 0, 0)
        self.share, self.chance, self.on = share, random.Random(3), False

    def operate(self, path: Any) -> None:
        # Where training starts, run_dir is read: faults there are errors of their own.
        if self.on and self.chance.random() < self.share:
            self.failed += 1
            number = self.chance.choice(ERRNOS)
            raise OSError(number, os.strerror(number), str(path))


def test_a_training_on_storage_that_fails_now_and_then_ends_as_on_a_good_one(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_base_model(job_of(parts, train_config(tmp_path / "good")))
    disk = OftenFaulty(tmp_path / "bad", share=0.03)
    start = Mirror.start

    def start_failing(self: Mirror) -> None:
        disk.on = True
        start(self)

    monkeypatch.setattr(Mirror, "start", start_failing)
    train_on(disk, parts, tmp_path / "bad")
    assert disk.failed > 20
    assert same(training_outcome(tmp_path / "bad"), training_outcome(tmp_path / "good"))
    out = capsys.readouterr().out
    assert "can't be written now" in out
    assert "is written again: all is copied and verified" in out
    assert folder_problems(tmp_path / "bad" / BEST) == []


def test_while_storage_hangs_training_goes_on_and_says_so_and_then_the_copy_is_complete(
    parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It answers again only when the last batch is trained."""
    disk = FaultyDisk(tmp_path / "hanging", 0, 0, 0)
    monkeypatch.setattr(mirror, "QUIET", 0.01)
    finish, start, states = Saver._finish, Mirror.start, []

    def hang(self: Mirror) -> None:
        disk.answers.clear()
        start(self)

    def finish_when_it_answers(self: Saver, error: Any) -> None:
        states.append((self.mirror.status(), self.mirror.complete()))
        threading.Timer(0.05, disk.answers.set).start()
        finish(self, error)

    monkeypatch.setattr(Mirror, "start", hang)
    monkeypatch.setattr(Saver, "_finish", finish_when_it_answers)
    train_on(disk, parts, tmp_path / "hanging")
    assert states[0][0].startswith("no answer for")
    assert not states[0][1]
    assert "has not answered for" in capsys.readouterr().out
    assert state_file.read_state(tmp_path / "hanging" / LAST)["epoch"] == 3
    assert folder_problems(tmp_path / "hanging" / LAST) == []


def test_a_hang_after_an_earlier_error_shows_the_hang(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "QUIET", 0.01)
    monkeypatch.setattr(mirror, "PATIENCE", 0.1)
    scratch, drive = places
    put(scratch, LAST, 1)
    disk = FaultyDisk(drive, 1, 1, errno.EIO)
    copy = Mirror(scratch, drive, 2)
    failed = copy._failed

    def hang_from_now_on(error: Exception) -> None:
        failed(error)
        disk.answers.clear()

    monkeypatch.setattr(copy, "_failed", hang_from_now_on)
    with faulty(disk):
        copy.start()
        assert not copy.wait()
        assert copy.status().startswith("no answer for")
        assert copy.trouble().startswith("no answer for")
        first, second = copy.news()
        assert "can't be written now (Input/output error)" in first
        assert "has not answered for" in second
        # It answers again, however slowly a busy machine copies.
        monkeypatch.setattr(mirror, "PATIENCE", 60.0)
        disk.answers.set()
        assert copy.wait()
        copy.close()
    assert whole(drive) == [1]


def test_between_two_attempts_nothing_is_taken_for_silence(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "QUIET", 0.0)
    monkeypatch.setattr(mirror, "FIRST_WAIT", 60.0)
    scratch, drive = places
    put(scratch, LAST, 1)
    with faulty(FaultyDisk(drive, 1, 1, errno.EIO)):
        copy = Mirror(scratch, drive, 2)
        paused = threading.Event()
        pause = copy._pause

        def noted(seconds: float) -> None:
            paused.set()
            pause(seconds)

        monkeypatch.setattr(copy, "_pause", noted)
        copy.start()
        assert paused.wait(60)
        assert copy.status() == "retrying (Input/output error)"
        assert copy.trouble() == "Input/output error"
        copy.close()


def test_storage_that_never_comes_back_is_an_error_that_says_where_all_is_safe(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = OftenFaulty(tmp_path / "gone", share=1.0)
    start = Mirror.start

    def start_failing(self: Mirror) -> None:
        disk.on = True
        start(self)

    with monkeypatch.context() as patched:
        patched.setattr(mirror, "PATIENCE", 0.02)
        patched.setattr(Mirror, "start", start_failing)
        with pytest.raises(CheckpointError, match=r"epoch 3, complete, is safe in .*run the same"):
            train_on(disk, parts, tmp_path / "gone")
    # The same again, and the Drive is back: nothing is trained, all is copied.
    train_base_model(job_of(parts, train_config(tmp_path / "gone")))
    assert state_file.read_state(tmp_path / "gone" / LAST)["epoch"] == 3
    assert not folder_problems(tmp_path / "gone" / BEST)
    assert not train_config(tmp_path / "gone").scratch_dir.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte, where the system lets one be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs a superuser")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_what_it_has_and_takes_the_rest_once_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    scratch, drive = tmp_path / "scratch", small_disk / "run"
    scratch.mkdir()
    drive.mkdir()
    size = 150_000  # two files each: three fit, and nothing beside them
    for number in (1, 2):
        put(scratch, LAST, number, size)
        mirrored(scratch, drive).close()
    (small_disk / "of others").write_bytes(bytes(350_000))
    put(scratch, LAST, 3, size)
    copy = Mirror(scratch, drive, 2)
    copy.start()
    lines = next(lines for _ in itertools.repeat(None) if (lines := copy.news()))
    assert "No space left on device" in lines[0]
    assert whole(drive) == [1, 2]
    (small_disk / "of others").unlink()
    assert copy.wait()
    copy.close()
    assert whole(drive) == [2, 3]
    assert any("written again" in line for line in copy.news())


def test_a_copy_that_is_not_read_back_as_written_never_takes_a_place(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places
    put(scratch, LAST, 1)
    mirrored(scratch, drive).close()
    put(scratch, LAST, 2)
    spoilt, write = [], slots.OpenCheckpoint.copy

    def copy_and_spoil(self: Any, new: HashedFolder, *args: Any) -> None:
        write(self, new, *args)
        if not spoilt:
            path = new.folder / "config.json"
            path.write_bytes(b"?" + path.read_bytes()[1:])
            spoilt.append(whole(drive))

    monkeypatch.setattr(slots.OpenCheckpoint, "copy", copy_and_spoil)
    copy = mirrored(scratch, drive)
    copy.close()
    assert spoilt == [[1]]
    assert "was not read back as written: config.json has other content" in copy.news()[0]
    assert whole(drive) == [1, 2]


def test_a_history_that_is_not_read_back_as_written_is_written_again(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places
    (scratch / HISTORY).write_text('{"event": "epoch"}\n')
    write_bytes, cut = Path.write_bytes, []

    def cut_once(path: Path, data: bytes) -> int:
        if not cut:
            cut.append(path)
            data = data[:5]
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", cut_once)
    copy = mirrored(scratch, drive)
    copy.close()
    assert cut == [drive / HISTORY]
    assert "history.jsonl was not read back as written" in copy.news()[0]
    assert (drive / HISTORY).read_text() == '{"event": "epoch"}\n'


def test_a_damaged_copy_is_found_kept_aside_and_made_anew(places: tuple[Path, Path]) -> None:
    scratch, drive = places
    put(scratch, LAST, 1)
    mirrored(scratch, drive).close()
    (drive / LAST / "config.json").write_bytes(b"?" * 3000)
    copy = mirrored(scratch, drive)
    copy.close()
    assert "last_checkpoint is damaged (config.json has other content" in copy.news()[0]
    assert (drive / "damaged_checkpoint_1").is_dir()
    assert whole(drive) == [1]


def test_a_rotation_on_the_scratch_disk_does_not_disturb_a_copy(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two more saves come, and the one that is being copied is gone from the scratch disk."""
    scratch, drive = places
    put(scratch, LAST, 1)
    copied: list[int] = []
    original = slots.OpenCheckpoint.copy

    def save_meanwhile(self: Any, new: HashedFolder, *args: Any) -> None:
        if not copied:
            for number in (2, 3):
                put(scratch, LAST, number)
            copy.look()
        original(self, new, *args)
        copied.append(self.details["saved"])

    monkeypatch.setattr(slots.OpenCheckpoint, "copy", save_meanwhile)
    copy = Mirror(scratch, drive, 2)
    copy.start()
    assert copy.wait()
    copy.close()
    assert copied == [1, 3]
    assert whole(drive) == [1, 3]
    assert not copy.news()


def test_old_copies_are_cut_to_nothing_before_they_are_removed(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drive's trash counts the size of what is in it."""
    scratch, drive = places
    sizes: list[int] = []
    unlink = Path.unlink

    def weigh(path: Path, missing_ok: bool = False) -> None:
        if drive in path.parents and path.is_file():
            sizes.append(path.stat().st_size)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", weigh)
    for number in (1, 2, 3):
        put(scratch, LAST, number)
        mirrored(scratch, drive).close()
    assert len(sizes) == 3
    assert set(sizes) == {0}


def test_nothing_on_slow_storage_is_renamed_over_linked_or_given_modes_and_times(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places

    def refuse(name: str, original: Any) -> Any:
        def refusing(path: Any, *args: Any, **kwargs: Any) -> Any:
            target = args[0] if name in ("rename", "replace") else path
            over = name not in ("rename", "replace") or os.path.lexists(target)
            if str(target).startswith(str(drive)) and over:
                raise OSError(errno.ENOTSUP, f"{name} is not supported", str(target))
            return original(path, *args, **kwargs)

        return refusing

    for name in ("rename", "replace", "symlink", "link", "chmod", "utime"):
        monkeypatch.setattr(os, name, refuse(name, getattr(os, name)))
    for number in (1, 2, 3):
        put(scratch, LAST, number)
        put(scratch, BEST, number)
        (scratch / HISTORY).write_text("x" * number)
        copy = mirrored(scratch, drive)
        copy.close()
        assert not copy.news()
    assert whole(drive) == [2, 3]


def test_a_mirror_that_was_closed_in_a_copy_is_gone_on_from_by_the_next(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places
    put(scratch, LAST, 1)
    original = slots.OpenCheckpoint.copy
    begun = threading.Event()

    def begin(self: Any, *args: Any) -> None:
        begun.set()
        copy._closing = True
        original(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(slots.OpenCheckpoint, "copy", begin)
        copy = Mirror(scratch, drive, 2)
        copy.start()
        assert begun.wait(10)
        copy.close()
    assert whole(drive) == []
    mirrored(scratch, drive).close()
    assert whole(drive) == [1]


def test_the_status_tells_share_retry_and_silence_and_nothing_when_all_is_done(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, drive = places
    put(scratch, LAST, 1, size=2 * mirror.MIB)
    copy = Mirror(scratch, drive, 2)
    seen: list[str] = []
    original = copy._transfer.moved

    def moved(size: int) -> None:
        original(size)
        seen.append(copy.status())

    copy._transfer.moved = moved  # type: ignore[method-assign]
    copy.start()
    assert copy.wait()
    assert copy.status() == ""
    assert seen[0] == "12%"  # 1 MiB of 4, all of which is written and then read back
    assert seen[-1] == "100%"
    copy._error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    copy._wanted += 1
    assert copy.status() == "retrying (No space left on device)"
    copy._error = None
    monkeypatch.setattr(mirror, "QUIET", -1.0)
    assert copy.status() == "no answer for 0s"
    copy._done = copy._wanted
    copy.close()


def test_a_wait_draws_a_bar_in_mebibytes(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mirror, "BAR_AFTER", -1.0)
    scratch, drive = places
    put(scratch, LAST, 1, size=2 * mirror.MIB)
    mirrored(scratch, drive).close()
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("Copying to run_dir: 100% 8/8 [")
    assert line.endswith("MiB/s]") or line.endswith("s/MiB]")


@pytest.mark.parametrize("fault", ["removed", "changed", "without manifest"])
def test_a_source_that_is_damaged_is_named_and_holds_back_nothing_else(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(mirror, "PATIENCE", 0.05)
    scratch, drive = places
    put(scratch, BEST, 1)
    put(scratch, LAST, 1)
    name = "manifest.json" if fault == "without manifest" else "config.json"
    (scratch / BEST / name).write_bytes(b"?" * 3000)
    if fault == "removed":
        (scratch / BEST / name).unlink()
    copy = Mirror(scratch, drive, 2)
    copy.later(functools.partial(append_json_line, drive / "events.jsonl", {"n": 1}))
    copy.start()
    assert not copy.wait()
    copy.close()
    assert str(scratch / BEST) in copy.trouble()
    assert "lacks a good copy" in copy.news()[0]
    assert whole(drive) == [1]
    assert not (drive / BEST).exists()
    assert (drive / "events.jsonl").read_text() == '{"n": 1}\n'


def test_a_wait_that_is_over_at_once_draws_nothing(
    places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    scratch, drive = places
    put(scratch, LAST, 1, size=2 * mirror.MIB)
    mirrored(scratch, drive).close()
    assert capsys.readouterr().out == ""


def test_errands_are_done_in_order_and_a_torn_line_is_ended(places: tuple[Path, Path]) -> None:
    scratch, drive = places
    (drive / "events.jsonl").write_text('{"n": 0}\n{"n":')
    copy = Mirror(scratch, drive, 2)
    for number in (1, 2, 3):
        copy.later(functools.partial(append_json_line, drive / "events.jsonl", {"n": number}))
    copy.start()
    assert copy.wait()
    copy.close()
    lines = (drive / "events.jsonl").read_text().splitlines()
    assert lines == ['{"n": 0}', '{"n":', '{"n": 1}', '{"n": 2}', '{"n": 3}']


def test_the_loop_never_touches_run_dir_while_it_trains(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the mirror's thread does: a Drive that hangs can't stop what never asks it."""
    run_dir = tmp_path / "run"
    touched: set[str] = set()

    class Watched(FaultyDisk):
        watching = False

        def operate(self, path: Any) -> None:
            if self.watching:
                touched.add(threading.current_thread().name)

    disk = Watched(run_dir, 0, 0, 0)
    loop, finish = trainer.train_epoch, Saver._finish

    def watched_loop(*args: Any) -> None:
        disk.watching = True
        loop(*args)

    def unwatched_finish(self: Saver, error: Any) -> None:
        disk.watching = False
        finish(self, error)

    monkeypatch.setattr(trainer, "train_epoch", watched_loop)
    monkeypatch.setattr(Saver, "_finish", unwatched_finish)
    train_on(disk, parts, run_dir)
    assert touched == {"mirror"}
    assert load_file(run_dir / LAST / "model.safetensors")
    assert read_manifest(run_dir / BEST) is not None
