"""The stored verdict of a run, for readers: read, and printed on the console."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from enstack.console import wrapped_lines
from enstack.reporting.stored_files import read_object, unusable
from enstack.stacking.verdict_text import Verdict

__all__ = ["read_verdict", "verdict_text"]


def read_verdict(path: Path) -> Verdict | None:
    """stacking/verdict.json; None where nothing was combined, or a run is older than verdicts.

    Raises CheckpointError for a file that is damaged.
    """
    if not path.is_file():
        return None
    try:
        return TypeAdapter(Verdict).validate_python(read_object(path))
    except ValidationError as error:
        raise unusable(path, error) from error


def verdict_text(verdict: Verdict) -> str:
    """The sentence, and what must be read beside it, in lines that fit the terminal."""
    # 80 where there is none, unless COLUMNS says otherwise.
    width = max(shutil.get_terminal_size().columns - 1, 40)
    said = wrapped_lines(f"⚖️  {verdict.sentence}", width, later="    ")
    for caveat in verdict.caveats:
        said += wrapped_lines(caveat, width, first="    · ", later=" " * 6)
    return "\n".join(said)
