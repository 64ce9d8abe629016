from __future__ import annotations

import contextlib
import errno
import itertools
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enstack.checkpoints import newest_whole, slots, state_file
from enstack.checkpoints.slots import BEST, LAST
from enstack.errors import CheckpointError
from enstack.models.base_models import BaseModel
from enstack.storage.manifest import HashedFolder, folder_problems
from enstack.training.job import TrainingData
from enstack.training.trainer import train_base_model
from tests.support.equality import tree_digest
from tests.support.faults import FaultyDisk, faulty
from tests.support.training import Killed, job_of, train_config


def save(folder: Path, number: int, keep: int = 2) -> None:
    def write_files(new: HashedFolder) -> None:
        with new.file("model.safetensors") as file:
            file.write(bytes([number]) * 5000)
        with new.file("training_state.pth") as file:
            torch.save({"epoch": number, "step": 0}, file)  # type: ignore[arg-type]

    slots.write(folder, LAST, write_files, saved=number)
    slots.install(folder, LAST, keep=keep)


def newest(folder: Path) -> Path | None:
    """Looked for where the scratch disk is empty, as on another machine."""
    scratch = folder.with_name(f"{folder.name}-scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    return newest_whole.newest(scratch, folder, 2)


def epoch_of(folder: Path | None) -> int:
    assert folder is not None
    return int(state_file.read_state(folder)["epoch"])


def test_the_newest_two_are_kept_by_default(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save(tmp_path, number)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "last_checkpoint",
        "previous_checkpoint",
    ]
    assert epoch_of(tmp_path / "last_checkpoint") == 3
    assert epoch_of(tmp_path / "previous_checkpoint") == 2


def test_more_are_kept_when_asked_for(tmp_path: Path) -> None:
    for number in range(1, 7):
        save(tmp_path, number, keep=4)
    kept = [epoch_of(tmp_path / name) for name in slots.slots(4)]
    assert kept == [6, 5, 4, 3]


def test_a_run_that_keeps_fewer_than_before_gives_up_the_oldest(tmp_path: Path) -> None:
    for number in range(1, 6):
        save(tmp_path, number, keep=4)
    save(tmp_path, 6, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*sorted(slots.slots(2))]
    assert [epoch_of(tmp_path / name) for name in slots.slots(2)] == [6, 5]


def test_a_run_that_saved_nothing_has_no_newest(tmp_path: Path) -> None:
    assert newest(tmp_path) is None


def spoilt(content: bytes, number: int) -> Iterator[tuple[str, bytes | None]]:
    """A file cut at 5 places, changed in one byte at 20, removed, and another run's."""
    chance = random.Random(number)
    for place in (0, 1, len(content) // 3, len(content) // 2, len(content) - 1):
        yield f"cut at {place}", content[:place]
    for _ in range(20):
        place, change = chance.randrange(len(content)), chance.randrange(1, 256)
        flipped = bytes([content[place] ^ change])
        yield f"byte {place} ^ {change}", content[:place] + flipped + content[place + 1 :]
    yield "removed", None


@pytest.fixture(scope="module")
def two_runs(
    micro_model: BaseModel,
    micro_tokenizer: Any,
    training_data: TrainingData,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """The folders of two trainings, each with two checkpoints; they differ in their seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        config = train_config(folder / str(seed), epochs=1, seed=seed)
        train_base_model(job_of((micro_model, micro_tokenizer, training_data), config))
    return folder / "1", folder / "2"


FILES = (
    "model.safetensors", "training_state.pth", "config.json", "tokenizer.json",
    "tokenizer_config.json", "manifest.json",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_any_damage_to_any_file_is_found_named_kept_aside_and_the_older_one_used(
    two_runs: tuple[Path, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir, _ = two_runs
    assert {path.name for path in (run_dir / LAST).iterdir()} == set(FILES)
    newest_step, older_step = (position(run_dir / slot) for slot in slots.slots(2))
    assert newest_step != older_step
    good, replaced = (folder / LAST / name for folder in two_runs)
    cases = [*spoilt(good.read_bytes(), len(name)), ("another run's", replaced.read_bytes())]
    for number, (fault, content) in enumerate(cases):
        if content == good.read_bytes():
            assert name not in ("model.safetensors", "training_state.pth", "manifest.json")
            continue
        folder = tmp_path / str(number)
        shutil.copytree(run_dir, folder)
        if content is None:
            (folder / LAST / name).unlink()
        else:
            (folder / LAST / name).write_bytes(content)
        found = newest(folder)
        assert found is not None
        assert position(found) == older_step, fault
        told = capsys.readouterr().out
        # Against another run's manifest it is the files that differ.
        named = r"model\.safetensors" if content == replaced.read_bytes() else re.escape(name)
        named = named if name == "manifest.json" else re.escape(name)
        assert re.search(rf"last_checkpoint is damaged \(.*{named}", told), fault
        assert "kept as damaged_checkpoint_1" in told
        assert "training goes on from previous_checkpoint" in told
        assert (folder / "damaged_checkpoint_1").is_dir()
        shutil.rmtree(folder)


def position(folder: Path) -> tuple[int, int]:
    state = state_file.read_state(folder)
    return state["epoch"], state["step"]


def test_a_damaged_one_on_the_scratch_disk_gives_way_to_the_whole_one_in_run_dir(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that is fetched takes the place of the damaged one, and is not taken for it."""
    scratch, folder = tmp_path / "scratch", tmp_path / "run"
    for place in (scratch, folder):
        save(place, 1)
        save(place, 2)
    (scratch / LAST / "training_state.pth").unlink()
    found = newest_whole.newest(scratch, folder, 2)
    assert found == scratch / LAST
    assert epoch_of(found) == 2
    assert folder_problems(found) == []
    assert epoch_of(scratch / "previous_checkpoint") == 1
    assert "kept as damaged_checkpoint_1" in capsys.readouterr().out


def test_one_that_can_not_be_read_just_now_is_not_called_damaged(tmp_path: Path) -> None:
    """A Drive that answers with an error says nothing of what lies on it; each answer in turn."""
    save(tmp_path / "run", 1)
    save(tmp_path / "run", 2)
    refused = 0
    for first in itertools.count(1):
        with faulty(FaultyDisk(tmp_path / "run", first, 1, errno.EIO)) as disk:
            try:
                assert epoch_of(newest(tmp_path / "run")) == 2
            except OSError:
                refused += 1
        assert not (tmp_path / "run" / "damaged_checkpoint_1").exists(), f"answer {first}"
        if not disk.failed:
            break
    assert refused > 10


def test_when_all_are_damaged_training_never_starts_from_scratch(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    for name in slots.slots(2):
        (tmp_path / name / "model.safetensors").write_bytes(b"")
    before = tree_digest(tmp_path)
    with pytest.raises(CheckpointError, match=r"Every checkpoint.*damaged.*Nothing was changed"):
        newest(tmp_path)
    assert tree_digest(tmp_path) == before


def test_a_save_killed_at_any_file_operation_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renames, removals and writes are counted, and the save dies at each of them in turn."""
    done = 0
    for instant in itertools.count(1):
        folder = tmp_path / str(instant)
        for number in (1, 2, 3):
            save(folder, number)
        with monkeypatch.context() as patched:
            died = _die_at(patched, instant)
            try:
                save(folder, 4)
            except Killed:
                done += 1
        found = newest(folder)
        assert found is not None
        assert folder_problems(found) == []
        assert epoch_of(found) in (3, 4)
        whole = [name for name in slots.slots(2) if not folder_problems(folder / name)]
        assert whole == slots.slots(2), "an older good checkpoint is never given up for room"
        save(folder, 5)
        assert epoch_of(newest(folder)) == 5
        if not died:
            break
    assert done > 10


def _die_at(patched: pytest.MonkeyPatch, instant: int) -> list[bool]:
    left, died = [instant], []

    def wrap(original: object) -> object:
        def dying(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                died.append(True)
                raise Killed
            return original(*args, **kwargs)  # type: ignore[operator]

        return dying

    for owner, name in (
        (Path, "rename"),
        (Path, "replace"),
        (Path, "write_bytes"),
        (Path, "mkdir"),
        (Path, "open"),
        (shutil, "rmtree"),
    ):
        patched.setattr(owner, name, wrap(getattr(owner, name)))
    return died


def test_the_best_model_is_never_missing_after_a_killed_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_best(folder: Path, epoch: int) -> None:
        def write_files(new: HashedFolder) -> None:
            with new.file("model.safetensors") as file:
                file.write(bytes(epoch))

        slots.write(folder, BEST, write_files, best_epoch=epoch)
        slots.install(folder, BEST, keep=2)

    for instant in itertools.count(1):
        folder = tmp_path / str(instant)
        save_best(folder, 1)
        with monkeypatch.context() as patched:
            died = _die_at(patched, instant)
            with contextlib.suppress(Killed):
                save_best(folder, 2)
        newest(folder)
        assert folder_problems(folder / "best_model") == []
        if not died:
            break


def test_states_with_numpy_scalars_load_and_code_is_never_run(tmp_path: Path) -> None:
    state = {"best_val_f1": np.float64(0.5), "epoch": 1}
    torch.save(state, tmp_path / "training_state.pth")
    assert state_file.read_state(tmp_path)["best_val_f1"] == 0.5

    torch.save({"bad": Evil(tmp_path / "ran")}, tmp_path / "training_state.pth")
    with pytest.raises(CheckpointError, match=r"training_state\.pth can't be read"):
        state_file.read_state(tmp_path)
    assert not (tmp_path / "ran").exists()


class Evil:
    """A pickle that would touch a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_save_that_fails_leaves_the_ones_before_it(tmp_path: Path) -> None:
    def write_files(new: HashedFolder) -> None:
        with new.file("model.safetensors") as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    save(tmp_path, 1)
    with pytest.raises(OSError, match="No space left"):
        slots.write(tmp_path, LAST, write_files, saved=2)
    assert epoch_of(newest(tmp_path)) == 1
