"""The source files of a zip archive, unpacked into a folder that none of them can leave."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from enstack.errors import DataError
from enstack.progress.say import say
from enstack.scanning.walk import MOST_BYTES, SUFFIXES

__all__ = ["unpack_sources"]

MOST_FILES = 200_000
MOST_IN_ALL = 2 << 30
CHUNK = 1 << 20
READ_TOO = (".gitignore",)
DRIVE = re.compile(r"[A-Za-z]:")
BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError)


def unpack_sources(archive: Path, folder: Path) -> int:
    """Unpack the C and C++ files of a zip archive into an empty folder; how many there were.

    Names that lead out of the folder, links, encrypted files and those over 64 MiB are passed over,
    and that is said. Sizes are counted as they come, whatever the archive says of itself. Raises
    DataError for what is no archive, holds no source, or is too large: 2 GiB, 200,000 files.
    """
    passed, written, size = 0, 0, 0
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                if not _is_source(member):
                    continue
                place = _place(member, folder)
                content = None if place is None else _content(opened, member)
                if place is None or content is None:
                    passed += 1
                    continue
                written, size = written + 1, size + len(content)
                _require_moderate(archive, written, size)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    except (*BROKEN, OSError) as error:
        raise DataError(
            f"{archive} must be a whole zip archive: {error or type(error).__name__}. Make it "
            "again, or name a folder."
        ) from error
    if passed:
        say(
            f"⚠️  {passed:,} of the archive's source files are passed over: links, encrypted, over "
            "64 MiB, or with names that lead elsewhere."
        )
    if not written:
        raise DataError(f"{archive} holds no C or C++ file ({', '.join(SUFFIXES)}).")
    return written


def _is_source(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    return not member.is_dir() and (name.suffix.lower() in SUFFIXES or name.name in READ_TOO)


def _place(member: zipfile.ZipInfo, folder: Path) -> Path | None:
    """Where a file goes; None for one that would go elsewhere, or is a link."""
    parts = member.filename.replace("\\", "/").split("/")
    leads_out = {"", ".", ".."} & {*parts} or DRIVE.match(parts[0]) or "\0" in member.filename
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    place = folder.joinpath(*parts)
    # A file may stand where another one's folder would, or the same name come twice.
    taken = place.exists() or any(above.is_file() for above in place.parents)
    return None if leads_out or is_link or taken else place


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """A file's bytes; None where they are too many, or encrypted."""
    if member.flag_bits & 1 or member.file_size > MOST_BYTES:
        return None
    pieces, size = [], 0
    with opened.open(member) as file:
        while piece := file.read(CHUNK):
            size += len(piece)
            if size > MOST_BYTES:  # the header said otherwise
                return None
            pieces.append(piece)
    return b"".join(pieces)


def _require_moderate(archive: Path, files: int, size: int) -> None:
    if files > MOST_FILES or size > MOST_IN_ALL:
        raise DataError(
            f"{archive} must hold at most {MOST_FILES:,} source files and {MOST_IN_ALL >> 30} GiB "
            "of them. Unpack it yourself, and name the folder."
        )
