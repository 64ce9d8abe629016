"""Files that are no data, or that can't be read: told by what they are, with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py

from enstack.data.opened import format_of, is_packed, open_bytes
from enstack.errors import DataError
from enstack.storage.files import file_state

__all__ = ["readable", "refuse_strangers", "unchanged"]

HEAD_BYTES = 4096
TEXT_FORMATS = ("csv", "jsonl", "json")
WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")
# What files of other kinds begin with, and what to do.
KINDS = {
    b"\x1f\x8b": ("a gzip archive", "Unpack it, as with gunzip"),
    b"PK\x03\x04": ("a zip archive", "Unpack it, as with unzip"),
    b"BZh": ("a bzip2 archive", "Unpack it, as with bunzip2"),
    b"\xfd7zXZ": ("an xz archive", "Unpack it, as with unxz"),
    b"\x28\xb5\x2f\xfd": ("a zstd archive", "Unpack it, as with unzstd"),
    b"\x89HDF": ("an HDF5 file", "Give it the ending .hdf5"),
    b"PAR1": ("a parquet file", "Give it the ending .parquet"),
    b"ARROW1": ("an Arrow file", "Write it as .parquet"),
    b"version https://git-lfs": ("a Git LFS pointer, not the data", "Run `git lfs pull`"),
}
OWN_KINDS = {"hdf5": b"\x89HDF", "parquet": b"PAR1", "arrow": b"ARROW1"}
# Wide encodings by their mark; a wider one's begins with a narrower one's.
MARKS = {
    b"\xff\xfe\0\0": "UTF-32LE",
    b"\0\0\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}


def refuse_strangers(path: Path) -> None:
    """DataError for what is no data at all: an empty file, a web page, an archive, UTF-16."""
    kind_of_file = format_of(path)
    _require_packed(path)
    with readable(path), open_bytes(path) as file:
        head = file.read(HEAD_BYTES)
    _refuse_known(path, head, kind_of_file)
    if kind_of_file in TEXT_FORMATS:
        _require_utf_8(path, head)
    # HDF5 may begin with a block of another program's.
    if kind_of_file == "hdf5" and not h5py.is_hdf5(path):
        raise DataError(
            f"{path.name} must be an HDF5 file, it is none: another kind of file under that name, "
            "or its beginning is lost. Copy the right one again."
        )


def _refuse_known(path: Path, head: bytes, kind_of_file: str) -> None:
    """DataError for a file whose first bytes tell that it is something else."""
    # Seen in the wild: an error page saved under the data's name.
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        raise DataError(f"{path.name} must hold functions, it is empty. Write or copy it again.")
    if text.startswith(WEB_PAGES):
        raise DataError(
            f"{path.name} looks like a web page, not {kind_of_file} data: the download was "
            "answered with an error or sign-in page. Download it again."
        )
    if head[257:262] == b"ustar":
        raise DataError(f"{path.name} must be {kind_of_file}, it is a tar archive. Unpack it.")
    for begin, (kind, advice) in KINDS.items():
        if head.startswith(begin) and begin != OWN_KINDS.get(kind_of_file):
            raise DataError(f"{path.name} must be {kind_of_file}, it is {kind}. {advice}.")


def _require_packed(path: Path) -> None:
    """DataError for what is not packed as its ending says, or packed though it can't be so read."""
    if not is_packed(path):
        return
    if format_of(path) not in TEXT_FORMATS:
        raise DataError(
            f"{path.name} must be read at any place, and packed it can't be: unpack it first."
        )
    with readable(path), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    begin = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}[path.suffix.lower()]
    # A web page or a pointer in its place is told as such, and an empty file too.
    if not head.startswith(begin):
        _refuse_known(path, head, path.suffix[1:])
        raise DataError(
            f"{path.name} must be packed as {path.suffix} says, it is not. Copy it again, or give "
            "it the ending of what it is."
        )


def _require_utf_8(path: Path, head: bytes) -> None:
    if not head.strip(b"\0"):
        raise DataError(
            f"{path.name} must hold functions, it begins with {len(head):,} NUL bytes, as a copy "
            "that failed leaves. Copy it again."
        )
    if encoding := _wide_encoding(head):
        name = path.name
        raise DataError(
            f"{name} must be UTF-8, it is {encoding}. Write it anew: "
            f"`iconv -f {encoding} -t UTF-8 {name} > new && mv new {name}`."
        )


def _wide_encoding(head: bytes) -> str | None:
    """The encoding of two or four bytes a character that a text is in, with a mark or without."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    # ASCII in two bytes: every other one is NUL, and no text of single bytes looks like that.
    even, odd = head[::2], head[1::2]
    for zeros, others, encoding in ((odd, even, "UTF-16LE"), (even, odd, "UTF-16BE")):
        if zeros.count(0) > 0.4 * len(zeros) and others.count(0) < 0.1 * len(others):
            return encoding
    return None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a library says about a file that it can't read into one DataError."""
    try:
        yield
    except DataError:
        raise
    # A library's NotImplementedError is a RuntimeError, and no damage.
    except NotImplementedError as error:
        raise DataError(
            f"{path.name} holds what can't be read here: {_reason(error)}. Write it in a plainer "
            "form."
        ) from error
    except MemoryError as error:
        raise DataError(
            f"{path.name} needs more memory than there is to be unpacked: {_reason(error)}. See "
            "whether it is what it should be."
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, OSError) and error.errno:
            # The system's word, and not a library's about the content.
            raise DataError(
                f"{path.name} can't be opened or read ({error.strerror}). See that {path.parent} "
                "is there and may be read; on Colab, that Drive is connected (cell 1)."
            ) from error
        raise DataError(
            f"{path.name} can't be read, it may be truncated or damaged: {_reason(error)}\n"
            "Download or copy it again."
        ) from error


@contextmanager
def unchanged(paths: Sequence[Path]) -> Iterator[None]:
    """DataError where files change while they are read: labels and texts come one after the other.

    paths: of files, each once.
    """
    before = [_state(path) for path in paths]
    yield
    for path, state in zip(paths, before, strict=True):
        if _state(path) != state:
            raise DataError(
                f"{path.name} changed while it was read. Wait until it is whole, and run again."
            )


def _state(path: Path) -> list[int | str]:
    with readable(path):
        return file_state(path)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
