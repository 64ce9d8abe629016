"""Whether a process of this machine is at work in a run folder, and since when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.config import lock_file
from enstack.run_folder import RunFolder
from enstack.storage.disks import held_since
from enstack.storage.files import timestamp

__all__ = ["at_work_since"]


def at_work_since(run: RunFolder, settings: dict[str, Any]) -> str | None:
    """When the process began that is at work there, as events are dated; None where none is.

    settings: of the run, for its scratch disk. What another machine does is not seen.
    """
    local_dir = settings.get("local_dir")
    if not isinstance(local_dir, str):
        return None
    since = held_since(lock_file(Path(local_dir), run.path))
    return None if since is None else timestamp(since)
