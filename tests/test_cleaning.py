"""`enstack clean` removes what no run needs, and nothing that it does not know exactly."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import enstack
from enstack import cleaning
from enstack.checkpoints import slots
from enstack.config.names import run_key
from enstack.errors import ConfigError
from enstack.storage import disks
from enstack.storage.manifest import HashedFolder, write_manifest
from tests.support.command_line import enstack_here, refused
from tests.support.equality import tree_digest

KEY, OTHER_KEY = "a" * 64, "b" * 64


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A scratch disk with a cache, what a killed process left, and things of other people."""
    local = tmp_path / "local"
    for place in (f"tokens/{KEY}", "toy/models/tiny-a", f"columns/{KEY[:16]}"):
        (local / place).mkdir(parents=True)
        (local / place / "a.bin").write_bytes(bytes(1000))
        write_manifest(local / place)
    (local / "tokens" / f".{OTHER_KEY}.{KEY[:16]}.writing").mkdir()
    (local / "near_duplicates").mkdir()
    (local / "near_duplicates" / f"{KEY}.json").write_text("[]")
    return local


def strangers(local: Path) -> list[Path]:
    """Names that merely look like ours, and links under names that are."""
    made = []
    for name in (f"tokens/{KEY} (1)", f"tokens/{KEY}_backup", "toy/mine", "photos", "tokens/short"):
        (local / name).mkdir()
        (local / name / "file").write_text("mine")
        made.append(local / name / "file")
    elsewhere = local.with_name("elsewhere")
    (elsewhere / KEY).mkdir(parents=True)
    (elsewhere / KEY / "file").write_text("mine")
    (local / "tokens" / OTHER_KEY).symlink_to(elsewhere / KEY)
    (local / "staged").symlink_to(elsewhere)
    return [*made, elsewhere / KEY / "file", local / "tokens" / OTHER_KEY]


def test_caches_and_leftovers_go_and_what_is_not_ours_is_never_touched(local: Path) -> None:
    others = strangers(local)
    found = enstack.clean(local)
    assert len(found.removable) == 5
    assert found.size > 3000
    assert found.kept == []
    assert all(entry.path.exists() for entry in found.removable)  # it was only listed
    enstack.clean(local, yes=True)
    assert not any(entry.path.exists() for entry in found.removable)
    assert all(path.exists() for path in others)
    assert enstack.clean(local).removable == []


def test_what_a_running_process_holds_stays(local: Path) -> None:
    held = [local / "tokens" / KEY, local / "tokens" / f".{OTHER_KEY}.{KEY[:16]}.writing"]
    descriptors = [disks.lock(held[0], shared=True), disks.lock(held[1])]
    found = enstack.clean(local, yes=True)
    assert sorted(entry.path for entry in found.kept) == sorted(held)
    assert all(path.exists() for path in held)
    for descriptor in descriptors:
        assert descriptor is not None
        os.close(descriptor)
    enstack.clean(local, yes=True)
    assert not any(path.exists() for path in held)


def test_files_of_the_user_in_a_cache_stay_and_are_told(
    local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (local / "tokens" / KEY / "notes.txt").write_text("mine")
    enstack.clean(local, yes=True)
    (told,) = capsys.readouterr().out.splitlines()
    assert f"{KEY} holds more than enstack wrote: that stays" in told
    assert [path.name for path in (local / "tokens" / KEY).iterdir()] == ["notes.txt"]
    # The manifest is gone with what it listed: what nobody can tell from a cache's own stays.
    (entry,) = enstack.clean(local, yes=True).kept
    assert "can't be told" in str(entry.kept_because)
    assert [path.name for path in (local / "tokens" / KEY).iterdir()] == ["notes.txt"]


VICTIMS = ("tokens", f"tokens/{KEY}", f"tokens/{KEY}/a.bin")


@pytest.mark.parametrize(
    "victim", [VICTIMS[1], *(pytest.param(VICTIMS[i], marks=pytest.mark.slow) for i in (0, 2))]
)
def test_what_others_remove_meanwhile_is_no_fault(
    local: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    """Whenever it is, at any look into the file system."""
    mine, kept = local / "photos", local.with_name("kept")
    mine.mkdir()
    shutil.copytree(local, kept)
    turn = found = 0
    while found >= turn:
        shutil.rmtree(local)
        shutil.copytree(kept, local)
        turn += 1
        with monkeypatch.context() as patched:
            calls = vanishing(local / victim, turn, patched)
            enstack.clean(local, yes=True)
        found = next(calls) - 1
        assert mine.is_dir()
        assert not (local / "tokens" / KEY).exists()
    assert turn > 20


def vanishing(path: Path, turn: int, patched: pytest.MonkeyPatch) -> Iterator[int]:
    """Remove a path just before the system is asked for the so-manieth time; counts the asks."""
    calls, removing = itertools.count(1), threading.Event()

    def before(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **kwargs: Any) -> Any:
            if not removing.is_set() and next(calls) == turn:
                removing.set()
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(True)
                removing.clear()
            return ask(*args, **kwargs)

        return asked

    for name in ("scandir", "listdir", "stat", "lstat", "open", "unlink", "rmdir"):
        patched.setattr(os, name, before(getattr(os, name)))
    return calls


def test_what_has_taken_a_caches_place_before_it_was_locked_stays(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, cache = cleaning.look(local), local / "tokens" / KEY

    def lock(path: Path) -> int | None:
        descriptor = disks.lock(path)
        if path == cache:
            cache.rename(local / "before")
            shutil.copytree(local / "before", cache)
        return descriptor

    monkeypatch.setattr(cleaning, "lock", lock)
    found.remove()
    assert (cache / "a.bin").exists()


def save(folder: Path, name: str, text: str, **details: int) -> None:
    def write_files(new: HashedFolder) -> None:
        with new.file("model.safetensors") as file:
            file.write(text.encode())

    folder.mkdir(parents=True, exist_ok=True)
    slots.write(folder, name, write_files, **details)
    slots.install(folder, name, keep=2)


@pytest.fixture
def scratch(local: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A base model's place on the scratch disk, and in its run folder, alike."""
    run_dir = tmp_path / "run"
    place = local / "checkpoints" / run_key(run_dir) / "base_models" / "micro"
    for number in (1, 2):
        save(place, slots.LAST, f"weights {number}", saved=number)
    save(place, slots.BEST, "best", best_epoch=1)
    shutil.copytree(place, run_dir / "base_models" / "micro")
    with disks.only_one(local / "locks" / run_key(run_dir), "run_dir", str(run_dir)):
        pass
    return place, run_dir / "base_models" / "micro"


def test_checkpoints_that_run_dir_holds_too_are_removed(
    local: Path, scratch: tuple[Path, Path]
) -> None:
    in_run_dir = tree_digest(scratch[1])
    enstack.clean(local, yes=True)
    assert not scratch[0].exists()
    assert tree_digest(scratch[1]) == in_run_dir


def test_checkpoints_are_kept_until_run_dir_holds_the_same_whole(
    local: Path, scratch: tuple[Path, Path]
) -> None:
    place, copy = scratch
    weights = copy / "last_checkpoint" / "model.safetensors"
    whole = weights.read_bytes()

    def kept() -> str:
        (entry,) = enstack.clean(local, yes=True).kept
        assert place.is_dir()
        return str(entry.kept_because)

    weights.write_bytes(b"rotten")
    assert "base_models/micro/last_checkpoint is not in" in kept()
    weights.write_bytes(whole)
    # What a kill left whole beside is newer than all that was copied.
    save(place, slots.LAST, "weights 3", saved=3)
    (place / "last_checkpoint").rename(place / ".saving")
    assert ".saving is not in" in kept()
    shutil.rmtree(place / ".saving")
    shutil.rmtree(copy / "best_model")
    assert "best_model is not in" in kept()
    shutil.copytree(place / "best_model", copy / "best_model")
    (place / "previous_checkpoint" / "manifest.json").write_text("torn")
    assert "previous_checkpoint is not in" in kept()
    shutil.rmtree(place / "previous_checkpoint")
    copy.parents[1].rename(copy.parents[1].with_name("unmounted"))
    assert "is not there" in kept()


def test_checkpoints_of_a_run_at_work_or_of_one_that_is_not_known_are_kept(
    local: Path, scratch: tuple[Path, Path], tmp_path: Path
) -> None:
    key = run_key(tmp_path / "run")
    with disks.only_one(local / "locks" / key, "run_dir", str(tmp_path / "run")):
        (entry,) = enstack.clean(local, yes=True).kept
        assert entry.kept_because == "a run is at work in it"
    (local / "locks" / key).write_text("")  # an older program's
    (entry,) = enstack.clean(local, yes=True).kept
    assert "older program" in str(entry.kept_because)
    (local / "locks" / key).unlink()
    (entry,) = enstack.clean(local, yes=True).kept
    assert entry.kept_because == "its run folder is not known"
    assert scratch[0].is_dir()


def test_the_command_lists_asks_first_and_removes_when_told_to(
    local: Path,
) -> None:
    before = tree_digest(local)
    unanswered = enstack_here("clean", "--local-dir", local)
    refused(unanswered, 2, "--yes")
    assert "MiB" in unanswered.stdout
    assert tree_digest(local) == before
    settings = local.with_name("settings.yaml")
    settings.write_text(f"local_dir: {local}\n")
    done = enstack_here("clean", "--config", settings, "--yes")
    assert done.returncode == 0
    assert "Removed 0.0 MiB." in done.stdout
    assert tree_digest(local) == {}


def test_a_scratch_disk_that_is_not_there_is_a_slip_and_the_default_one_is_none_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    absent = enstack_here("clean", "--yes")
    assert (absent.returncode, "does not exist" in absent.stdout) == (0, True)
    refused(enstack_here("clean", "--local-dir", tmp_path / "no", "--yes"), 2, "is no folder")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"must be the scratch disk of a run, .* is a file"):
        enstack.clean(tmp_path / "file")
    assert not (tmp_path / "home").exists()


def test_a_users_file_among_checkpoints_that_are_removed_is_kept(
    local: Path, scratch: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place, copy = scratch
    notes = [place / "note", place.parents[1] / "note", place.parent / "note"]
    for note in notes:
        note.write_text("mine")
    (place / "last_checkpoint" / "note").write_text("mine")
    enstack.clean(local, yes=True)
    kept = place / "kept_from_last_checkpoint_1"
    assert f"kept as {kept.name}" in capsys.readouterr().out
    assert [path.read_text() for path in (*notes, kept / "note")] == ["mine"] * 4
    assert sorted(path.name for path in place.iterdir()) == [kept.name, "note"]
    (entry,) = enstack.clean(local, yes=True).kept
    assert "not written by enstack" in str(entry.kept_because)
    assert copy.is_dir()
