"""Copies data from slow storage, such as a mounted Drive, to this machine's own disk, once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from enstack.errors import DataError
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.storage.caches import is_usable, making_cache
from enstack.storage.disks import ROOM_TO_LEAVE
from enstack.storage.files import CHUNK_BYTES, file_state, sha256_json
from enstack.storage.links import make_folder
from enstack.storage.manifest import HashedFolder

MIB = 2**20


def local_copy_of(
    files: Iterable[Path], local_dir: Path, *, below: Path | None = None
) -> Path | None:
    """A folder on this machine's disk with copies of these files; None where there is no room.

    The copy is made once, with a bar, read back, and made again when a file's size, time or
    beginning and end change. below: the folder from which their places are kept; without one their
    names must differ. Raises DataError where the storage fails.
    """
    sources = sorted(files)  # the same files in any order are the same copy
    names = {path: str(path.relative_to(below)) if below else path.name for path in sources}
    try:
        return _local_copy_of(names, local_dir)
    except OSError as error:
        raise DataError(
            f"The data in {sources[0].parent} must be copied to {local_dir} before it is read; "
            f"that failed ({error.strerror or error}). Run this again; on Colab, see that Drive is "
            "still connected (cell 1)."
        ) from error


def _local_copy_of(sources: Mapping[Path, str], local_dir: Path) -> Path | None:
    # By where they lie: files of other folders, by the same names, are another copy.
    key = sha256_json([str(path.absolute()) for path in sources])[:16]
    folder = local_dir / "staged" / key
    made_from = {str(path.absolute()): file_state(path) for path in sources}
    if is_usable(folder, made_from):
        return folder
    total = sum(path.stat().st_size for path in sources)
    make_folder(folder.parent)
    free = shutil.disk_usage(folder.parent).free
    if free < total + ROOM_TO_LEAVE:
        say(
            f"⚠️  The data is read where it lies, which is slower: a copy of {total / MIB:,.0f} MiB "
            f"needs as much on {local_dir} and {ROOM_TO_LEAVE // MIB} MiB beside it, "
            f"{free / MIB:,.0f} MiB are free. Make room there, or name another local_dir."
        )
        return None
    _copy(sources, folder, made_from, total)
    return folder


def _copy(
    sources: Mapping[Path, str], folder: Path, made_from: dict[str, list[int | str]], total: int
) -> None:
    """Copy beside, hashed on the way and read back; the folder appears when it is whole.

    total: bytes of all sources.
    """
    moved, title = 0, f"Copying the data to {folder.parent}"
    with making_cache(folder, made_from) as beside:
        new = HashedFolder(beside)
        with Bar(max(1, total // MIB), title, unit="MiB") as bar:
            for path, name in sources.items():
                with path.open("rb") as source, new.file(name) as target:
                    # Not shutil.copy: the bytes are hashed as they come, and the bar moves.
                    while chunk := source.read(CHUNK_BYTES):
                        target.write(chunk)
                        moved += len(chunk)
                        bar.advance(min(moved // MIB, bar.total) - bar.done)
                _keep_time(path, beside / name)
        # Slow storage is read once: the hashes are of what came from it, and what the disk has
        # made of that is read back here.
        new.finish(made_from=made_from)


def _keep_time(source: Path, copy: Path) -> None:
    """Let a copy look like its source to `file_state`."""
    # The column cache goes by it: what was read of the copy counts as read of the source, which
    # is then not copied again when the copy is gone.
    status = source.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
