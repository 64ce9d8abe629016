"""Nothing outside a place of checkpoints is touched, and nothing that merely looks like one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from enstack.checkpoints import slots
from enstack.checkpoints.slots import BEST, LAST
from enstack.storage.links import empty, remove
from enstack.storage.manifest import MANIFEST, HashedFolder, folder_problems
from tests.support.equality import tree_digest
from tests.support.outside import Outside, link

BESIDE = [*slots.BESIDE.values(), slots.DISCARDED]
OURS = [LAST, "previous_checkpoint", "previous_checkpoint_2", BEST, *BESIDE]
# Names that Drive, a file manager or a careful user gives to a copy.
LOOK_ALIKES = (
    "previous_checkpoint_backup", "previous_checkpoint (1)", "previous_checkpoint_1",
    "previous_checkpoint_02", "previous_checkpoint_2 copy", "previous_checkpoint_", "previous",
    "Previous_checkpoint", "last_checkpoint (1)", "best_model_old", ".saving (1)", ".discarded_2",
)  # fmt: skip


def save(folder: Path, number: int, *, keep: int = 2, name: str = LAST) -> None:
    def write_files(new: HashedFolder) -> None:
        with new.file("model.safetensors") as file:
            file.write(bytes([number]) * 500)

    slots.write(folder, name, write_files, remove=empty, saved=number)
    slots.install(folder, name, keep=keep, remove=empty)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


@pytest.mark.parametrize("kind", ["folder", "file", "nowhere", "hard"])
@pytest.mark.parametrize("name", OURS)
def test_a_link_in_the_place_of_any_folder_goes_as_a_link(
    tmp_path: Path, outside: Outside, name: str, kind: str
) -> None:
    folder = tmp_path / "run"
    for number in (1, 2, 3, 4):
        save(folder, number, keep=3)
    save(folder, 1, name=BEST)
    link(kind, folder / name, outside)
    before = outside.state()
    for number in (5, 6, 7):
        slots.finish_interrupted_save(folder, 3, empty)
        save(folder, number, keep=3)
        save(folder, number, name=BEST)
    assert outside.state() == before
    assert sorted(path.name for path in folder.iterdir()) == sorted([*slots.slots(3), BEST])
    for path in folder.iterdir():
        assert not path.is_symlink()
        assert folder_problems(path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "nowhere", "hard"])
@pytest.mark.parametrize("how", [empty, remove])
def test_what_is_removed_is_never_what_a_link_leads_to(
    tmp_path: Path, outside: Outside, kind: str, how: slots.Remove
) -> None:
    for number, place in enumerate(["model.safetensors", "below/weights", "."]):
        doomed = tmp_path / str(number)
        (doomed / "below").mkdir(parents=True)
        (doomed / "own").write_bytes(b"own")
        link(kind, doomed / place, outside)
        before = outside.state()
        how(doomed)
        assert outside.state() == before
        assert not doomed.exists()
        assert not doomed.is_symlink()


def test_what_merely_looks_like_a_checkpoint_of_ours_is_left_alone(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save(tmp_path, number, keep=3)
    for name in LOOK_ALIKES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"a user's copy")
    before = {name: tree_digest(tmp_path / name) for name in LOOK_ALIKES}
    for number in range(4, 9):
        slots.finish_interrupted_save(tmp_path, 2, empty)
        save(tmp_path, number, keep=2 + number % 2)
    assert {name: tree_digest(tmp_path / name) for name in LOOK_ALIKES} == before
    found = {path.name for path in slots.checkpoints_in(tmp_path)}
    assert found == {LAST, "previous_checkpoint"}


def test_clearing_removes_what_a_training_made_and_nothing_else(
    tmp_path: Path, outside: Outside
) -> None:
    made = [
        *OURS,
        "history.jsonl",
        ".history.jsonl.writing",
        f".history.jsonl.{'a' * 16}.writing",
        "damaged_checkpoint_1",
    ]
    for folder in (tmp_path / "used", tmp_path / "ours"):
        folder.mkdir()
        for name in made:
            (folder / name).touch() if "history" in name else (folder / name).mkdir()
        link("folder", folder / "damaged_best_model_12", outside)
    for name in LOOK_ALIKES:
        (tmp_path / "used" / name).mkdir()
    before = outside.state()
    for folder in (tmp_path / "used", tmp_path / "ours", tmp_path / "absent"):
        slots.clear(folder)
    assert outside.state() == before
    assert not (tmp_path / "ours").exists()
    assert {path.name for path in (tmp_path / "used").iterdir()} == set(LOOK_ALIKES)


@pytest.mark.parametrize("name", [LAST, "previous_checkpoint", BEST])
def test_a_file_in_a_checkpoints_place_is_named_and_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    for new in (LAST, BEST):
        with pytest.raises(NotADirectoryError, match="a file stands where the folder") as error:
            save(tmp_path, 1, name=new)
        assert error.value.filename == str(tmp_path / name)
    if name != BEST:
        with pytest.raises(NotADirectoryError, match=f"the folder {name} belongs, move it away"):
            slots.checkpoints_in(tmp_path)
    slots.clear(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    (tmp_path / name).rename(tmp_path / "moved")
    save(tmp_path, 2)
    assert [path.name for path in slots.checkpoints_in(tmp_path)] == [LAST]


def test_clearing_leaves_a_folder_in_the_historys_place(tmp_path: Path) -> None:
    (tmp_path / slots.HISTORY).mkdir()
    (tmp_path / slots.HISTORY / "note.txt").write_text("mine")
    slots.clear(tmp_path)
    assert (tmp_path / slots.HISTORY / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "inside", ["note", "below/note", "config.json/note", "model.safetensors/note", f"{MANIFEST}/n"]
)
@pytest.mark.parametrize("name", [*OURS, "damaged_checkpoint_1"])
def test_what_a_user_has_put_into_a_folder_of_ours_is_kept_beside_and_told(
    tmp_path: Path, outside: Outside, capsys: pytest.CaptureFixture[str], name: str, inside: str
) -> None:
    folder = tmp_path / "run"
    for number in (1, 2, 3):
        save(folder, number, keep=3)
    save(folder, 1, name=BEST)
    mine = folder / name / inside
    if not mine.parents[0].exists() and name not in [path.name for path in folder.iterdir()]:
        shutil.copytree(folder / LAST, folder / name)
    if mine.parent.is_file():
        mine.parent.unlink()
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    link("file", mine.parent / "linked", outside)
    before = outside.state()
    slots.finish_interrupted_save(folder, 3, empty)
    for number in range(4, 8):
        save(folder, number, keep=3)
        save(folder, number, name=BEST)
    slots.clear(folder)
    (kept,) = folder.iterdir()
    assert kept.name.startswith("kept_from_")
    assert tree_digest(kept).keys() == {inside, f"{Path(inside).parent / 'linked'}"}
    assert (kept / inside).read_text() == "mine"
    told = capsys.readouterr().out
    assert told.count("held more than enstack wrote") == 1
    assert f"kept as {kept.name}" in told
    assert outside.state() == before


def test_what_is_kept_from_two_checkpoints_lies_in_two_folders(tmp_path: Path) -> None:
    for number in range(1, 5):
        save(tmp_path, number)
        (tmp_path / LAST / "note").write_text(f"note {number}")
    notes = sorted(path.read_text() for path in tmp_path.glob("kept_from_previous_checkpoint_*/*"))
    assert notes == ["note 1", "note 2"]


@pytest.mark.parametrize("name", BESIDE)
def test_a_file_in_the_place_of_a_passing_folder_is_kept_beside(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    for number in (1, 2, 3):
        save(tmp_path, number)
        save(tmp_path, number, name=BEST)
    (kept,) = tmp_path.glob("kept_from_*")
    assert kept.read_text() == "mine"


def test_files_of_a_save_that_was_killed_are_known_without_a_manifest(tmp_path: Path) -> None:
    """Whatever a tokenizer may have written: nothing of it is taken for a user's."""
    (tmp_path / ".saving").mkdir()
    for name in slots.WRITTEN:
        (tmp_path / ".saving" / name).touch()
    save(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]
