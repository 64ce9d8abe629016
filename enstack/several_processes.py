"""A run in as many processes as torchrun has started: the first leads, the others follow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from enstack.console import put_sentences
from enstack.errors import LostProcess
from enstack.parallel.launch import launched_processes, open_group
from enstack.progress.stopping import passing_stops_on, stop_for_another

# torch takes seconds to load, and a run of one process may do without.
if TYPE_CHECKING:
    from enstack.parallel.group import Processes

__all__ = ["in_processes"]

_opened = False


@contextlib.contextmanager
def in_processes() -> Iterator[None]:
    """Do the block's work in all processes that were launched; the block runs in the first alone.

    The others compute what it asks for, and end where it ends: SystemExit is raised in them. A
    signal that one of them gets stops the first. Without a launcher nothing is done. Raises
    LostProcess where one of them is gone.
    """
    global _opened
    if launched_processes() == 1 or _opened:
        yield
        return
    _opened = True
    with open_group() as group:
        if group.rank:
            _follow(group)
        yield from _lead(group)


def _lead(group: Processes) -> Iterator[None]:
    from enstack.parallel.group import acting_in
    from enstack.training.follower import release

    group.heartbeat.on_stop = stop_for_another
    try:
        with acting_in(group):
            yield
    finally:
        # Where the first fails amid an act of all, the others see its connection end.
        if not group.broken:
            with contextlib.suppress(LostProcess):
                release(group)


def _follow(group: Processes) -> None:
    """Follow to the end, and end: with status 0, or that of the error that is told."""
    from enstack.training.follower import follow

    try:
        with passing_stops_on(group.heartbeat.ask_for_stop):
            follow(group)
    except LostProcess as lost:
        put_sentences(f"enstack: process {group.rank}: {lost}", sys.stderr)
        # At once: torch would wait for the others when Python ends.
        os._exit(lost.exit_status)
    # Whatever it is: the first process tells it, for this one does not speak.
    except Exception as error:
        group.broken = True
        group.heartbeat.tell_fault(f"{type(error).__name__}: {error}")
        raise
    sys.exit(0)
