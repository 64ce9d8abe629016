"""Paths of scanned files for other programs: text whatever bytes a name has, and relative URIs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from enstack.scanning.source_text import STDIN

__all__ = ["relative_uri", "root_of", "shown_path"]


def shown_path(path: Path) -> str:
    """A path as text that can be encoded: bytes of a name that are no UTF-8 stand as in Python."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def root_of(paths: Sequence[Path]) -> Path:
    """The folder that URIs are relative to: the current one where all lies below it.

    Else the nearest folder above all of the paths, which are files that were read.
    """
    here, places = Path.cwd(), [_absolute(path) for path in paths if path != STDIN]
    if all(place.is_relative_to(here) for place in places):
        return here
    common = Path(os.path.commonpath(places))
    return common if common not in places else common.parent


def relative_uri(path: Path, root: Path) -> str:
    """A file's percent-encoded path below a root, never empty; standard input is "stdin"."""
    if path == STDIN:
        return "stdin"
    return quote(os.fsencode(_absolute(path).relative_to(root).as_posix()))


def _absolute(path: Path) -> Path:
    # Not resolved: that would follow links, and the path is to be the one that was scanned.
    return Path(os.path.abspath(path))  # noqa: PTH100
