"""The stored mistakes of a run's chosen model, for readers."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from enstack.reporting.stored_files import read_object, unusable
from enstack.stacking.wrong_functions import WrongFunctions

__all__ = ["read_wrong_functions"]


def read_wrong_functions(path: Path) -> WrongFunctions | None:
    """stacking/wrong_functions.json; None where a run is older than it.

    Raises CheckpointError for a file that is damaged.
    """
    if not path.is_file():
        return None
    try:
        return TypeAdapter(WrongFunctions).validate_python(read_object(path))
    except ValidationError as error:
        raise unusable(path, error) from error
