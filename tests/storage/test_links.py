"""Nothing that a link leads to is ever written, cut or removed, whoever writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from enstack.checkpoints import slots
from enstack.checkpoints.inspection import inspect_path
from enstack.errors import CheckpointError
from enstack.storage import files, folders
from enstack.storage.disks import only_one
from enstack.storage.links import below, detach, require_no_links
from enstack.storage.manifest import HashedFolder
from tests.support.outside import Outside, link

KINDS = ["folder", "file", "nowhere", "hard"]


def replaced_folder(path: Path) -> None:
    with folders.replacing_folder(path, {}) as beside:
        (beside / "new").write_bytes(b"new")


def locked(path: Path) -> None:
    with only_one(path, "run_dir"):
        pass


WRITERS: dict[str, Callable[[Path], None]] = {
    "write_bytes": lambda path: files.write_bytes(path, b"new"),
    "write_if_changed": lambda path: files.write_if_changed(path, "new"),
    "append_json_line": lambda path: files.append_json_line(path, {"event": "new"}),
    "replacing_folder": replaced_folder,
    "only_one": locked,
}


def beside_names(name: str) -> list[str]:
    return [f".{name}.writing", f".{name}.{os.getpid()}.writing", f".{name}.99999999.writing"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_link_in_the_place_of_what_is_written_is_not_followed(
    tmp_path: Path, outside: Outside, writer: str, kind: str
) -> None:
    place = tmp_path / "run" / "name"
    link(kind, place, outside)
    before = outside.state()
    try:
        WRITERS[writer](place)
    # A lock and a log need a file; a folder in their place is refused, and stays.
    except (CheckpointError, IsADirectoryError):
        assert kind == "folder"
    assert outside.state() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("writer", ["write_bytes", "write_if_changed", "replacing_folder"])
def test_a_link_in_the_place_of_what_is_written_beside_is_not_followed(
    tmp_path: Path, outside: Outside, writer: str, kind: str
) -> None:
    for name in beside_names("name"):
        link(kind, tmp_path / "run" / name, outside)
    before = outside.state()
    for _ in range(2):
        WRITERS[writer](tmp_path / "run" / "name")
    assert outside.state() == before
    assert "name" in names_in(tmp_path / "run")


@pytest.mark.parametrize("kind", ["file", "hard"])
def test_events_behind_a_link_come_along_and_are_added_to_here_alone(
    tmp_path: Path, outside: Outside, kind: str
) -> None:
    events = tmp_path / "run" / "events.jsonl"
    events.parent.mkdir()
    files.append_json_line(events, {"event": "old"})
    link(kind, events, outside)
    before = outside.state()
    for number in (1, 2):
        files.append_json_line(events, {"event": number})
    assert [line[-3:-1] for line in events.read_text().splitlines()] == ['d"', " 1", " 2"]
    assert outside.state() == before
    assert names_in(events.parent) == ["events.jsonl"]


def test_what_a_user_has_linked_into_a_folder_outlives_its_making_anew(
    tmp_path: Path, outside: Outside
) -> None:
    folder = tmp_path / "run" / "stacking"
    replaced_folder(folder)
    targets = {kind: link(kind, folder / kind, outside) for kind in KINDS}
    before = outside.state()
    replaced_folder(folder)
    assert outside.state() == before
    for kind in ("folder", "file", "nowhere"):
        assert (folder / kind).readlink() == targets[kind]
    assert (folder / "hard").samefile(targets["hard"])


def test_a_folder_that_is_a_link_gives_nothing_of_its_own_away(
    tmp_path: Path, outside: Outside
) -> None:
    """A user's own files come along from the folder before; those behind a link are not ours."""
    link("folder", tmp_path / "stacking", outside)
    before = outside.state()
    replaced_folder(tmp_path / "stacking")
    assert outside.state() == before
    assert names_in(tmp_path / "stacking") == ["manifest.json", "new"]


@pytest.mark.parametrize("kind", ["folder", "nowhere", "file"])
@pytest.mark.parametrize("place", ["base_models", "base_models/a", "base_models/a/folds"])
def test_a_folder_that_is_written_into_and_is_a_link_is_refused_with_what_to_do(
    tmp_path: Path, outside: Outside, place: str, kind: str
) -> None:
    root = tmp_path / "run"
    (root / "base_models" / "b").mkdir(parents=True)
    folders = ("base_models", "base_models/*", "base_models/*/folds")
    require_no_links(root, folders, "run_dir", CheckpointError)
    target = link(kind, root / place, outside)
    with pytest.raises(CheckpointError, match=r"run_dir must hold folders of its own") as caught:
        require_no_links(root, folders, "run_dir", CheckpointError)
    assert f"{root / place} is a link to {target}. Remove the link" in str(caught.value)
    # Its advice works.
    (root / place).unlink()
    require_no_links(root, folders, "run_dir", CheckpointError)


def test_the_folder_that_is_named_may_be_reached_by_a_link(
    tmp_path: Path, outside: Outside
) -> None:
    """On Drive, whatever others share is a shortcut."""
    link("folder", tmp_path / "run", outside)
    require_no_links(tmp_path / "run", ["base_models", "*"], "run_dir", CheckpointError)


def test_a_name_that_is_written_in_place_gives_up_a_link_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").mkdir()
    (tmp_path / "history.jsonl" / "note.txt").write_text("mine")
    with pytest.raises(IsADirectoryError, match=r"stands where the file history\.jsonl"):
        detach(tmp_path / "history.jsonl")
    assert (tmp_path / "history.jsonl" / "note.txt").read_text() == "mine"


def test_a_walk_leaves_out_what_vanishes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    scandir = os.scandir

    def vanishing(path: str) -> object:
        if Path(path).name == "b":
            raise FileNotFoundError(2, "No such file or directory", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    found = [path.relative_to(tmp_path).as_posix() for path in below(tmp_path)]
    assert found == ["a", "a/x", "b", "c", "c/x"]
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        inspect_path(tmp_path)


@pytest.mark.parametrize("taken", ["run", "run/base_models"])
@pytest.mark.parametrize("writer", [*WRITERS, "hashed file", "save"])
def test_a_file_where_a_folder_must_be_made_is_named_and_stays(
    tmp_path: Path, writer: str, taken: str
) -> None:
    writers = {
        **WRITERS,
        "hashed file": lambda path: HashedFolder(path.parent).file(path.name),
        "save": lambda path: slots.write(path.parent, slots.LAST, lambda new: None),
    }
    place = tmp_path / taken
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    expected = f"a file stands where the folder {place.name} belongs, move it away"
    with pytest.raises(NotADirectoryError, match=expected) as error:
        writers[writer](tmp_path / "run" / "base_models" / "micro" / "name")
    assert error.value.filename == str(place)
    assert place.read_text() == "mine"
