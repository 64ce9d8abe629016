"""Folders that take their place whole: each filled beside, under a locked name of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enstack.storage.disks import is_same, lock
from enstack.storage.links import (
    is_folder,
    names_in,
    occupied,
    remove,
    require_file_place,
    require_folder_place,
)
from enstack.storage.manifest import MANIFEST, is_current, read_manifest, write_manifest

# The middle part is a number that nobody else draws; before that it was the process's number.
BESIDE = re.compile(r"\.(?P<name>.+?)(?:\.(?:[0-9a-f]{16}|(?P<process>\d{1,8})))?\.writing")


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
        remove(folder)
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


def _keep_strangers(folder: Path, beside: Path) -> None:
    """Take along what a user has put into a folder: whatever its manifest does not name."""
    listed = (read_manifest(folder) or {"files": {}})["files"]
    # Links as they are; of a folder that is itself a link, all belongs to somebody else.
    below = sorted(folder.rglob("*")) if is_folder(folder) else []
    for path in below:  # all of them before the first is moved
        new = beside / path.relative_to(folder)
        if is_folder(path) and any(path.iterdir()) and new.is_file():
            require_file_place(path)
        elif path.relative_to(folder).as_posix() not in listed and new.is_dir():
            require_folder_place(path)
    for path in below:
        name = path.relative_to(folder).as_posix()
        ours = name in listed or name == MANIFEST or is_folder(path)
        if not ours and not occupied(beside / name):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(beside / name)
