"""Paths of scanned files for other programs: text whatever bytes a name has, and relative URIs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from enstack.scanning.ignored import Ignored
from enstack.scanning.source_text import STDIN

__all__ = ["absolute", "is_below", "relative_uri", "root_of", "shown_path"]


def shown_path(path: Path) -> str:
    """A path as text that can be encoded: bytes of a name that are no UTF-8 stand as in Python."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def absolute(path: Path) -> Path:
    """A path from the top; links in it stay, as it is to be the one that was scanned."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def is_below(path: Path, named: Sequence[Path]) -> bool:
    """Whether a path, from the top, is one of those that were named, or lies below one."""
    return any(path.is_relative_to(absolute(one)) for one in named)


def root_of(paths: Sequence[Path]) -> Path:
    """The folder that URIs are relative to, whatever files the paths that were named hold.

    The repository around the current folder, or else that folder, where all lies below it; else
    the nearest folder above all of them.
    """
    here, places = Path.cwd(), [absolute(path) for path in paths if path != STDIN]
    for root in (Ignored(here).top, here):
        if all(place.is_relative_to(root) for place in places):
            return root
    common = Path(os.path.commonpath(places))
    return common if common.is_dir() else common.parent


def relative_uri(path: Path, root: Path) -> str:
    """A file's percent-encoded path below a root, never empty; standard input is "stdin"."""
    if path == STDIN:
        return "stdin"
    return quote(os.fsencode(absolute(path).relative_to(root).as_posix()))
