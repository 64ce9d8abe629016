"""Downloads Draper VDISC from the Open Science Framework: three files, checked by their hashes."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from requests.exceptions import RequestException

from enstack.data.split_files import VDISC_NAMES
from enstack.errors import DataError
from enstack.progress.bars import Bar
from enstack.progress.say import say

# Russell et al. 2018, https://osf.io/d45bw: some 1.1 GB.
LISTING = "https://api.osf.io/v2/nodes/d45bw/files/osfstorage/"
FILES = tuple(f"{name}.hdf5" for name in VDISC_NAMES.values())
MIB = 2**20
TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file as its home lists it."""

    name: str
    size: int
    sha256: str
    url: str


def download_vdisc(folder: Path, listing: str = LISTING) -> None:
    """Bring the three files into a folder; those that lie there already are left alone.

    Raises DataError where the network, the room or the content is not as it must be; what has
    arrived whole stays.
    """
    missing = [name for name in FILES if not (folder / name).exists()]
    if not missing:
        say(f"✓ Draper VDISC lies in {folder} already")
        return
    try:
        remote = _listed(listing)
        absent = [name for name in missing if name not in remote]
        if absent:
            raise DataError(
                f"{listing} must list {', '.join(FILES)}; {', '.join(absent)} is not there. Fetch "
                f"the files by hand from https://osf.io/d45bw and put them into {folder}."
            )
        # Before anything is fetched: a gigabyte takes a while, and would end in a full disk.
        _require_room(folder, sum(remote[name].size for name in missing))
        for name in missing:
            _fetch(remote[name], folder)
    # pooch says with a ValueError that a file has another hash than its home told; a listing that
    # is none gives whatever reading it gives. A RequestException is an OSError.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The network's errors have no number of the system's: what has one is this machine's disk.
        if isinstance(error, OSError) and error.errno and not isinstance(error, RequestException):
            raise DataError(
                f"Draper VDISC can't be written into {folder} ({error.strerror}). Make room there, "
                "or name another folder that may be written to; files that are whole are kept."
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"Draper VDISC can't be downloaded ({reason}). Run this again: files that are whole "
            f"are kept. Or fetch them by hand from https://osf.io/d45bw and put them into {folder}."
        ) from error


def _listed(listing: str) -> dict[str, RemoteFile]:
    """The files at a listing and in the folders below it, by name, page after page."""
    files: dict[str, RemoteFile] = {}
    pages: list[str | None] = [listing]
    while pages:
        url = pages.pop()
        if url is None:
            continue
        answer = requests.get(url, timeout=TIMEOUT)
        answer.raise_for_status()
        content = answer.json()
        pages.append(content["links"].get("next"))  # null on the last page
        for entry in content["data"]:
            if entry["attributes"]["kind"] == "folder":
                pages.append(entry["relationships"]["files"]["links"]["related"]["href"])
            else:
                file = _remote_file(entry)
                files[file.name] = file
    return files


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    attributes = entry["attributes"]
    digest = attributes["extra"]["hashes"]["sha256"]
    return RemoteFile(
        attributes["name"], int(attributes["size"]), digest, entry["links"]["download"]
    )


def _require_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"Draper VDISC needs {needed / MIB:,.0f} MiB in {folder}, {free / MIB:,.0f} MiB are "
            "free. Make room there, or name another folder."
        )


def _fetch(file: RemoteFile, folder: Path) -> None:
    """One file, written beside and moved when its hash is right."""
    # pooch would say with a line of its own what the bar shows already.
    pooch.get_logger().setLevel(logging.WARNING)
    with Bar(max(1, file.size // MIB), f"Downloading {file.name}", unit="MiB") as bar:
        downloader = pooch.HTTPDownloader(progressbar=_Bytes(bar), chunk_size=MIB, timeout=TIMEOUT)
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=folder,
            downloader=downloader,
        )


class _Bytes:
    """Counts bytes for a bar of mebibytes, in the shape that pooch asks for."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.total, self.done = bar, 0, 0

    def update(self, size: int) -> None:
        """So many bytes more have come."""
        self.done += size
        self.bar.advance(max(0, min(self.done // MIB, self.bar.total) - self.bar.done))

    def reset(self) -> None:
        """The whole is counted once more at the end: nothing is drawn twice."""
        self.done = 0

    def close(self) -> None:
        """The bar is closed by its own context."""
