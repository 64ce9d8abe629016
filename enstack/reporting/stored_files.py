"""Files that a report is made of, read or refused in one line that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from enstack.errors import CheckpointError, reason_of
from enstack.storage.json_text import parsed_json
from enstack.storage.links import require_file_place

__all__ = ["read_object", "read_text", "unusable"]


def unusable(path: Path, reason: object) -> CheckpointError:
    """The error for a file that a report can't use: one line, whatever the cause said."""
    if isinstance(reason, ValidationError):
        reason = _first_of(reason)
    # Some causes have several lines, as numpy's when a header is too long.
    in_one_line = " ".join(str(reason).split())
    return CheckpointError(f"The report can't use {path}: {in_one_line}. Run the pipeline again.")


def _first_of(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    first, *others = error.errors()
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}{f', and {len(others)} more' if others else ''}"


def read_text(path: Path) -> str:
    """A whole text file; CheckpointError where it is missing, or no text."""
    try:
        require_file_place(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise unusable(path, "it is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise unusable(path, reason_of(error)) from error


def read_object(path: Path) -> dict[str, Any]:
    """One JSON object; CheckpointError for anything else."""
    try:
        value = parsed_json(read_text(path))
    except ValueError as error:
        raise unusable(path, f"it is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise unusable(path, "it must hold one JSON object")
    return value
