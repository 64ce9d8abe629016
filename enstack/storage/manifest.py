"""Folders that are whole or unfinished: hashed while written, with a manifest that comes last."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError, reason_of
from enstack.storage.files import Moved, ignore, sha256_file, sync, write_bytes
from enstack.storage.json_text import json_text, parsed_json
from enstack.storage.links import (
    below,
    detach,
    is_folder,
    make_folder,
    require_file_place,
    require_folder_place,
)

MANIFEST = "manifest.json"
MOST_BYTES = 1 << 28  # a million files: a damaged size must not fill the memory
BLANK = "0" * 64  # stands where a manifest's own sha256 comes


class HashedFile:
    """A new file whose size and sha256 are known the moment that it is written."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self._digest = path, 0, hashlib.sha256()

    def __enter__(self) -> HashedFile:
        detach(self.path)
        self._file = self.path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            sync(self.path)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; torch.save and others take this for an open file."""
        self._file.write(data)
        self._digest.update(data)
        size = memoryview(data).nbytes
        self.bytes += size
        return size

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def manifest_entry(self) -> dict[str, Any]:
        """What a manifest says of this file."""
        return {"bytes": self.bytes, "sha256": self._digest.hexdigest()}


class HashedFolder:
    """A new folder that is hashed while it is written; `finish` writes its manifest, the last file.

    The hashes are those of the bytes that were meant, so reading back finds what a disk made of
    them. Only new names are made: nothing depends on replacing a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[HashedFile] = []

    def file(self, name: str) -> HashedFile:
        """A file to be written into the folder, as a context."""
        path = self.folder / name
        make_folder(path.parent)
        self._files.append(HashedFile(path))
        return self._files[-1]

    def finish(self, moved: Moved = ignore, **details: Any) -> None:
        """Write the manifest, and read everything back; a CheckpointError says what differs.

        moved: told of the bytes that are read back. details: what the manifest says beside the
        files.
        """
        listed = {
            f.path.relative_to(self.folder).as_posix(): f.manifest_entry() for f in self._files
        }
        with HashedFile(self.folder / MANIFEST) as manifest:
            manifest.write(manifest_bytes({**details, "files": listed}))
        # The names as well: a folder that lost one in a crash would not be whole.
        sync(self.folder)
        problems = folder_problems(self.folder, moved)
        if problems:
            raise CheckpointError(f"{self.folder} was not read back as written: {problems[0]}.")


def files_below(folder: Path) -> list[str]:
    """Names of all files below a folder but its manifest, relative, sorted."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in below(folder)
        if path.is_file() and path != folder / MANIFEST
    )


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """A manifest as JSON that ends in the sha256 of itself, taken with zeros in that place."""
    text = json_text({**manifest, "sha256": BLANK}, indent=2, ensure_ascii=False, default=str)
    blank = f"{text}\n".encode()
    # From the right: a detail may hold as many zeros.
    return hashlib.sha256(blank).hexdigest().join(blank.decode().rsplit(BLANK, 1)).encode()


def write_manifest(folder: Path, **details: Any) -> None:
    """List every file below a folder with size and sha256, beside the given details; written last.

    A folder whose manifest is absent or does not match is unfinished.
    """
    listed = {}
    for name in files_below(folder):
        path = folder / name
        sync(path)
        listed[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    write_bytes(folder / MANIFEST, manifest_bytes({**details, "files": listed}))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none that can be read and is whole."""
    try:
        path = folder / MANIFEST
        # A pipe would be waited for, a link to itself can't be read.
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
        manifest = parsed_json(content)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None  # any other fault is the disk's: it says nothing of the manifest
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return None
    # A manifest vouches for itself too: another `saved` would make an old checkpoint the newest.
    digest = str(manifest.pop("sha256", BLANK))
    blank = content.replace(digest.encode(), BLANK.encode())
    return manifest if hashlib.sha256(blank).hexdigest() == digest else None


def folder_problems(
    folder: Path,
    moved: Moved = ignore,
    *,
    made_from: dict[str, Any] | None = None,
    agrees_with: dict[str, Any] | None = None,
    content: bool = True,
) -> list[str]:
    """What keeps a folder from being whole, and of what it must be; a sentence each, or none.

    This is the rule for every cache and every stored result: its manifest can be read, says that it
    was made from these inputs, and every file is as it was written. made_from: just these;
    agrees_with: these as far as both name them, for older folders name fewer. content: False looks
    at the sizes of files alone.
    """
    try:
        require_folder_place(folder)
        require_file_place(folder / MANIFEST)
    # Any other fault is the disk's.
    except (IsADirectoryError, NotADirectoryError) as error:
        return [reason_of(error)]
    if not folder.is_dir():
        return [f"{folder} does not exist"]
    manifest = read_manifest(folder)
    if manifest is None:
        return [f"{folder / MANIFEST} is missing or damaged: the folder was never finished"]
    other = _other_input(manifest.get("made_from", {}), made_from, agrees_with)
    if other is not None:
        return [f"{folder} was made from another {other}"]
    entries = manifest["files"].items()
    looked_at = [file_problem(folder / name, entry, moved, content) for name, entry in entries]
    return [problem for problem in looked_at if problem]


def _other_input(
    stored: dict[str, Any], made_from: dict[str, Any] | None, agrees_with: dict[str, Any] | None
) -> str | None:
    """The name of an input that is not what it must be, or None."""
    wanted = _as_stored(agrees_with or {} if made_from is None else made_from)
    both = [name for name in wanted if name in stored]
    if made_from is not None and len(both) < len({*wanted, *stored}):
        return "set of inputs"
    return next((name for name in both if stored[name] != wanted[name]), None)


def is_current(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether a folder is whole and was made from exactly these inputs."""
    return not folder_problems(folder, made_from=made_from)


def _as_stored(made_from: dict[str, Any]) -> Any:
    """Inputs as JSON gives them back: tuples have become lists, and paths texts."""
    return parsed_json(json_text(made_from, default=str))


def file_problem(
    path: Path, entry: dict[str, Any], moved: Moved = ignore, content: bool = True
) -> str | None:
    """What keeps a file from being the one that a manifest's entry tells of, or None."""
    try:
        return _content_problem(path, entry, moved, content)
    except (FileNotFoundError, NotADirectoryError):
        return f"{path.name} is missing"  # gone meanwhile


def _content_problem(path: Path, entry: dict[str, Any], moved: Moved, content: bool) -> str | None:
    if is_folder(path):
        return f"a folder stands where the file {path.name} belongs, move it away"
    if not path.is_file():
        return f"{path.name} is missing"
    # The size first: a file that was cut is told without reading a gigabyte.
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"{path.name} has {size:,} bytes, {entry['bytes']:,} were written"
    if content and sha256_file(path, moved) != entry["sha256"]:
        return f"{path.name} has other content than was written (sha256 differs)"
    return None
