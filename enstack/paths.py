"""A path as a user names it: one that the system knows, or an error in words."""

from __future__ import annotations

import os
from pathlib import Path

from enstack.errors import CheckpointError, ConfigError

__all__ = ["named_folder"]


def named_folder(path: str | Path) -> Path:
    """A path as the system knows it; what can't be one, or can't be looked at, is told in words."""
    # Here: the front door loads this file, and the settings need pydantic.
    from enstack.config.names import home_expanded

    if not isinstance(path, str | Path):
        raise ConfigError(f"A path must be text or a pathlib.Path, found {path!r:.80}.")
    if not str(path).strip():
        # pathlib takes it for the current folder; in a script it is a variable without a value.
        raise ConfigError(f"A path must name something, found {path!r}; . is the current folder.")
    folder = home_expanded(path)
    try:
        os.stat(folder)  # noqa: PTH116 - exists() would answer no
    except (FileNotFoundError, NotADirectoryError):
        return folder  # whoever asks says what is missing
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{str(folder)!r:.80} can't be read: {reason}.") from None
    return folder
