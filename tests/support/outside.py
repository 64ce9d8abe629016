"""What lies beside the folders of a run, and links to it: nothing of it may ever change."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

FILE_NAMES = ("model.safetensors", "config.json", "notes.txt")


class Outside:
    """A folder that belongs to nobody's run, and all that can be told of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0
        folder.mkdir(parents=True)
        self.new_file(b"another's file\n")
        self.new_folder()

    def new_file(self, content: bytes) -> Path:
        """A file that a link may lead to."""
        self._made += 1
        path = self.folder / f"file-{self._made}"
        path.write_bytes(content)
        return path

    def new_folder(self, copy_of: Path | None = None) -> Path:
        """A folder that a link may lead to: a copy of another one, or with files of its own."""
        self._made += 1
        path = self.folder / f"folder-{self._made}"
        if copy_of is not None:
            return Path(shutil.copytree(copy_of, path, symlinks=True))
        (path / "below").mkdir(parents=True)
        for name in FILE_NAMES:
            (path / name).write_bytes(b"another's bytes\n" * 99)
            (path / "below" / name).write_bytes(b"another's bytes, further down\n" * 99)
        return path

    def state(self) -> dict[str, Any]:
        """Of everything in it, what a write, a cut, a removal or a new name would change."""
        return tree_state(self.folder)


def tree_state(folder: Path) -> dict[str, Any]:
    """Kind, mode, time and bytes of all below a folder; links as links."""
    return {path.relative_to(folder).as_posix(): _state(path) for path in sorted(folder.rglob("*"))}


def _state(path: Path) -> Any:
    status = path.lstat()
    if path.is_symlink():
        return "link", os.readlink(path)  # noqa: PTH115 - as it was written
    if path.is_dir():
        return "folder", status.st_mode
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return "file", status.st_mode, status.st_mtime_ns, content


def link(kind: str, path: Path, outside: Outside) -> Path:
    """Put a link in the place of what stands at a path; returns what it leads to.

    kind: "folder", "file", "nowhere", or "hard" (a second name of a file). What stood there goes
    outside, so that a reader finds it by way of the link.
    """
    stood = path.read_bytes() if path.is_file() else b"another's file\n"
    folder = path if path.is_dir() else None
    target = {
        "folder": lambda: outside.new_folder(folder),
        "file": lambda: outside.new_file(stood),
        "hard": lambda: outside.new_file(stood),
        "nowhere": lambda: outside.folder / "nothing" / "here",
    }[kind]()
    if folder is not None:
        shutil.rmtree(folder)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "hard":
        path.hardlink_to(target)
    else:
        path.symlink_to(target)
    return target
