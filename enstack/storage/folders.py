"""Folders that take their place whole: each filled beside, under a locked name of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

from enstack.storage.disks import is_same, lock
from enstack.storage.links import (
    below,
    is_folder,
    is_ours_alone,
    names_in,
    occupied,
    remove,
    require_file_place,
    require_folder_place,
)
from enstack.storage.manifest import (
    MANIFEST,
    files_below,
    is_current,
    read_manifest,
    write_manifest,
)

# The middle part is a number that nobody else draws; before that it was the process's number.
BESIDE = re.compile(r"\.(?P<name>.+?)(?:\.(?:[0-9a-f]{16}|(?P<process>\d{1,8})))?\.writing")

Remove = Callable[[Path], None]


def remove_own(folder: Path, names: Container[str] = (), remove: Remove = remove) -> bool:
    """Remove a folder of ours but for what others have put into it; whether anything stays.

    Ours are the files that its manifest lists and, where it has no whole one, those in `names`. All
    else, a file in the folder's own place too, is a user's. A link in its place goes as a link.
    """
    if not is_folder(folder):
        if occupied(folder) and is_ours_alone(folder):
            return True
        remove(folder)
        return False
    listed = (read_manifest(folder) or {"files": names})["files"]
    for path in below(folder):
        if path.relative_to(folder).as_posix() in listed and not is_folder(path):
            remove(path)
    # Last: what a kill leaves is not whole, for its files lack; and the next one still knows them.
    if not is_folder(folder / MANIFEST):
        remove(folder / MANIFEST)
    for place in (*reversed(below(folder)), folder):
        with contextlib.suppress(FileNotFoundError):  # others remove it too
            if is_folder(place) and not names_in(place):
                place.rmdir()
    return occupied(folder)


@contextlib.contextmanager
def replacing_folder(folder: Path, details: dict[str, Any]) -> Iterator[Path]:
    """Make an empty folder to fill in the block; it takes the old one's place, with a manifest.

    details: what the manifest says beside the files; may still be filled in the block.
    """
    with folder_beside(folder, details.get("made_from")) as beside:
        yield beside
        write_manifest(beside, **details)


@contextlib.contextmanager
def folder_beside(folder: Path, made_from: dict[str, Any] | None = None) -> Iterator[Path]:
    """Make an empty folder to fill in the block; it takes the place of `folder` when that is done.

    A block that fails changes nothing. What others have put into the old folder comes along. Where
    another process was first, and what it made from these inputs is whole, that one stays.
    """
    for path in leftovers(folder.parent, folder.name):
        remove_leftover(path)
    # Gone also after a success of another: a copy of the data takes gigabytes.
    with passing_folder(folder) as beside:
        yield beside
        # Two that find a damaged folder at once must not replace each other's good one.
        with _placing_in(folder.parent):
            if made_from is None or not is_current(folder, made_from):
                _put_in_place(beside, folder)


@contextlib.contextmanager
def passing_folder(folder: Path) -> Iterator[Path]:
    """Make an empty folder beside `folder`, which need not exist, that is gone after the block.

    It is locked meanwhile: what a killed process leaves is told from what a living one uses.
    """
    beside, descriptor = _locked_beside(folder)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(descriptor)


def leftovers(place: Path, name: str | None = None) -> list[Path]:
    """What was being filled beside the folders of a place: by killed processes, or living ones.

    name: beside the folder of this name alone.
    """
    matches = [(path, BESIDE.fullmatch(path.name)) for path in names_in(place)]
    return [
        path
        for path, match in matches
        if match and name in (None, match["name"]) and path.is_dir() and not path.is_symlink()
    ]


def remove_leftover(folder: Path) -> bool:
    """Remove what a killed process was filling; False where a living one still does."""
    match = BESIDE.fullmatch(folder.name)
    if match and match["process"] and _is_another_running(int(match["process"])):
        return False  # of a program that locked nothing
    try:
        descriptor = lock(folder)
    except FileNotFoundError:
        return True
    if descriptor is None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)
    return True


def _locked_beside(folder: Path) -> tuple[Path, int]:
    """A new folder beside, and the descriptor that holds its lock while this process lives."""
    require_folder_place(folder)  # before anything is filled: that may take hours
    while True:
        # Drawn, not counted: machines, containers and threads may share the disk.
        beside = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.writing")
        beside.mkdir(parents=True)
        with contextlib.suppress(FileNotFoundError):
            descriptor = lock(beside, wait=True)
            # Taken for a leftover before it was locked, it is gone.
            if descriptor is not None and is_same(beside, descriptor):
                return beside, descriptor


@contextlib.contextmanager
def _placing_in(place: Path) -> Iterator[None]:
    """Let one process at a time judge what lies in a place, and put its own there."""
    descriptor = lock(place, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _put_in_place(beside: Path, folder: Path) -> None:
    require_folder_place(folder)
    _keep_strangers(folder, beside)
    # No system replaces a folder that has files: between these two there is none, and what needs
    # it makes it again.
    with contextlib.suppress(OSError):  # the rename tells what could not be removed
        remove_own(folder, files_below(beside))
    beside.rename(folder)


def _is_another_running(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)  # sends nothing, and fails where there is no such process
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _require_free(stranger: Path, new: Path) -> None:
    """Raise OSError, with the user's file in the way, where one of ours is to take its place."""
    if new.is_dir():
        require_folder_place(stranger)
    elif occupied(new) and is_ours_alone(stranger):
        reason = f"a file that enstack did not write stands where {new.name} belongs, move it away"
        raise FileExistsError(errno.EEXIST, reason, str(stranger))


def _keep_strangers(folder: Path, beside: Path) -> None:
    """Take along what a user has put into a folder: whatever its manifest does not name."""
    listed = (read_manifest(folder) or {"files": files_below(beside)})["files"]
    # Links as they are; of a folder that is itself a link, all belongs to somebody else.
    inside = below(folder) if is_folder(folder) else []
    named = [(path, path.relative_to(folder).as_posix()) for path in inside]
    strangers = [(path, beside / name) for path, name in named if name not in {*listed, MANIFEST}]
    for path, name in named:  # all of them before the first is moved
        if is_folder(path) and any(path.iterdir()) and (beside / name).is_file():
            require_file_place(path)
    for path, new in strangers:
        _require_free(path, new)
    for path, new in strangers:
        if not is_folder(path):
            new.parent.mkdir(parents=True, exist_ok=True)
            remove(path) if occupied(new) else path.rename(new)  # a link, by now
