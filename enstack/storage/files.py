"""Files that are whole or absent: written beside, synced, renamed; and their digests."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError, reason_of
from enstack.storage.disks import lock
from enstack.storage.json_text import json_text, parsed_json
from enstack.storage.links import (
    is_folder,
    is_ours_alone,
    make_folder,
    occupied,
    remove,
    require_file_place,
)

# Also how much digest_of_ends reads, whose digests checkpoints hold: it must stay.
CHUNK_BYTES = 1 << 20
Moved = Callable[[int], None]  # told of the bytes that were read or written, chunk by chunk


def ignore(size: int) -> None:
    """Nobody wants to know how many bytes were moved."""


def sha256_file(path: Path, moved: Moved = ignore) -> str:
    """Sha256 of a file's bytes, as hex, read in chunks."""
    digest = hashlib.sha256()
    require_file_place(path)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            moved(len(chunk))
    return digest.hexdigest()


def digest_of_ends(path: Path) -> str:
    """Sha256 of a file's first and last mebibyte, as hex: at once, however large it is.

    In a file shorter than two of them some bytes count twice. Checkpoints hold this digest of
    their base model's weights: how it is taken must stay.
    """
    require_file_place(path)
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        digest.update(file.read(CHUNK_BYTES))
        file.seek(max(0, size - CHUNK_BYTES))
        digest.update(file.read(CHUNK_BYTES))
    return digest.hexdigest()


def file_state(path: Path) -> list[int | str]:
    """What tells a file from its later self without reading all of it: size, time, both ends.

    Returns bytes, nanoseconds and a digest.
    """
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, digest_of_ends(path)]


def sha256_json(value: Any) -> str:
    """Sha256 of a value's canonical JSON, as hex: equal values have equal digests."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, onto the disk, where the mount can do that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network mounts may refuse fsync: then reading back alone tells what has arrived.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EISDIR):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Name a file to write in the block; it takes the place of `path` once the block ends well.

    Readers see the old bytes or the new ones, never a part. A block that fails changes nothing.
    """
    require_file_place(path)
    make_folder(path.parent)
    for leftover in _leftovers(path):
        _remove_leftover(leftover)
    # Drawn, and locked: two may write one file at once, of two reports or two machines.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.writing")
    beside.touch(exist_ok=False)
    descriptor = lock(beside)
    try:
        yield beside
        # A rename may reach the disk before the bytes do: after a crash the file would be empty.
        sync(beside)
        _rename_over(beside, path)
    # Ctrl-C, too, must leave nothing behind.
    except BaseException:
        with contextlib.suppress(OSError):  # the fault that led here is the one to hear of
            remove(beside)
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _leftovers(path: Path) -> list[Path]:
    """What killed writers left beside a file, and what living ones write there."""
    name = re.compile(rf"\.{re.escape(path.name)}(\.[0-9a-f]{{16}})?\.writing")
    return [other for other in path.parent.iterdir() if name.fullmatch(other.name)]


def _remove_leftover(path: Path) -> None:
    if is_folder(path):
        return  # a user's, under a name of ours
    if path.is_symlink():
        remove(path)
        return
    with contextlib.suppress(FileNotFoundError):  # another writer was sooner
        if (descriptor := lock(path)) is not None:
            remove(path)
            os.close(descriptor)


def _rename_over(beside: Path, path: Path) -> None:
    try:
        beside.replace(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTSUP, errno.EPERM, errno.EINVAL):
            raise
        # A mount that can't rename over a file: for a moment the new bytes stand beside alone.
        path.unlink()
        beside.rename(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file as one step: readers see the old bytes or the new ones, never a part."""
    with replacing_file(path) as beside, beside.open("wb") as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace a text file as one step, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as one step, indented for people."""
    write_text(path, json_text(value, indent=2, ensure_ascii=False) + "\n")


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file unless it already holds exactly this text, so that nothing is touched."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def timestamp(seconds: float | None = None) -> str:
    """A time, given in Unix seconds, or now, as events are dated: UTC, to the second."""
    when = time.time() if seconds is None else seconds
    return datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat(timespec="seconds")


def append_json_line(path: Path, record: dict[str, Any]) -> None:
    """Add one line to a JSON-lines file; what a failed write left of one is ended before it."""
    line = json_text(record, ensure_ascii=False) + "\n"
    require_file_place(path)
    if occupied(path) and not is_ours_alone(path):
        # Another name's bytes as well: they are copied, and added to here alone.
        write_bytes(path, path.read_bytes() if path.is_file() else b"")
    # A half line and a whole one in one would lose both to whoever reads the file.
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read() == b"\n" else "\n" + line
        file.write(line.encode())


WRITTEN_ANEW = ", or remove it to have it written anew"  # as the records of a run are


def read_json(path: Path, otherwise: str = "") -> Any:
    """Read a JSON file; a missing or damaged one is a CheckpointError that names it.

    otherwise: what else may be done than to put a good copy back, with ", or" before it.
    """
    try:
        require_file_place(path)
        return parsed_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} must be a readable JSON file: {reason_of(error)}. Put a good copy back"
            f"{otherwise}."
        ) from error


def read_json_object(path: Path, otherwise: str = WRITTEN_ANEW) -> dict[str, Any]:
    """Read a JSON file that must hold an object."""
    value = read_json(path, otherwise)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path} must hold a JSON object, found a {type(value).__name__}. Put a good copy "
            f"back{otherwise}."
        )
    return value
