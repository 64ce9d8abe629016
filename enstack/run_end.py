"""How a run ends: recorded where run_dir takes it, and at a session's end told what is left."""

from __future__ import annotations

import functools
from typing import Any

from enstack.planning.status import status_of
from enstack.planning.status_text import what_is_left
from enstack.progress.say import say
from enstack.progress.session_end import is_ending
from enstack.run_folder import RunFolder
from enstack.storage.disks import END_SECONDS, fault_within


def log_end(run: RunFolder, event: str, **details: Any) -> None:
    """Record how a run ended; what can't be written is said."""
    fault = fault_within(END_SECONDS, functools.partial(run.log, event, **details))
    if fault is not None:
        say(f"⚠️  {run.events_file} can't be written ({fault}): the end of this run is not in it.")
    if event == "run_stopped" and is_ending():
        fault_within(END_SECONDS, functools.partial(_say_what_is_left, run))


def _say_what_is_left(run: RunFolder) -> None:
    # A session may end while its data is read, before the run has begun.
    if run.config_file.exists():
        say(what_is_left(status_of(run), at_its_end=True))
