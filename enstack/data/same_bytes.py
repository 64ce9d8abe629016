"""What was read of a data file, taken over where its time alone has changed: fetched anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from enstack.storage.caches import making_cache
from enstack.storage.files import sha256_file
from enstack.storage.manifest import is_current, read_manifest, write_manifest

__all__ = ["contents_of", "taken_over"]


def contents_of(files: Iterable[Path]) -> list[str]:
    """The sha256 of each file, which a cache's manifest holds under `contents`."""
    return [sha256_file(path) for path in files]


def taken_over(folder: Path, made_from: dict[str, Any], files: Iterable[Path]) -> bool:
    """Whether a cache could be made out of one beside it that was read from the same bytes.

    made_from: with `files` as pairs of a name and a `file_state`. Files are hashed only where a
    cache has their names, sizes and ends; to read them anew takes far longer.
    """
    contents = None
    for other in sorted(folder.parent.glob("[!.]*/")):
        manifest = read_manifest(other) or {}
        if not manifest.get("contents") or _untimed(manifest["made_from"]) != _untimed(made_from):
            continue
        contents = contents or contents_of(files)
        if manifest["contents"] == contents and is_current(other, manifest["made_from"]):
            return _copied(other, manifest, folder, made_from)
    return False


def _untimed(made_from: dict[str, Any]) -> dict[str, Any]:
    untimed = [[name, size, ends] for name, (size, _, ends) in made_from["files"]]
    return {**made_from, "files": untimed}


def _copied(other: Path, manifest: dict[str, Any], folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether the disk took a copy; the old one may be in use, and `enstack clean` lists it."""
    details = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
    try:
        with making_cache(folder, made_from) as beside:
            for name in manifest["files"]:
                shutil.copyfile(other / name, beside / name)
            write_manifest(beside, **{**details, "made_from": made_from})
    except OSError:
        return False  # it is full, or the old one was cleaned away: the files are read
    return True
