"""Several processes of a run as threads of this one: real collectives, no start of seconds each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch import distributed

from enstack.parallel.group import Processes
from enstack.parallel.heartbeat import Heartbeat
from enstack.training.follower import follow, release

PATIENCE = timedelta(seconds=60)  # a test that hangs fails


def in_threads(size: int, work: Callable[[Processes], Any]) -> list[Any]:
    """What `work` returns in each of `size` processes, by rank; the first error is raised."""
    store = distributed.HashStore()
    found: list[Any] = [None] * size
    groups: dict[int, Any] = {}
    connected = threading.Barrier(size, timeout=PATIENCE.total_seconds())
    errors: list[BaseException] = []

    def act(rank: int) -> None:
        try:
            pg = distributed.ProcessGroupGloo(
                distributed.PrefixStore("group", store), rank, size, PATIENCE
            )
            # Kept to the end: whoever is done first must not end a connection of the others.
            groups[rank] = pg
            connected.wait()
            beats = distributed.PrefixStore("beats", store)
            # Not started: nothing here lasts for seconds.
            names = [f"thread {number}" for number in range(size)]
            found[rank] = work(Processes(pg, Heartbeat(beats, rank, names)))
        except BaseException as error:  # to be raised where the test runs
            errors.append(error)

    threads = [threading.Thread(target=act, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def led(size: int, work: Callable[[Processes], Any]) -> Any:
    """What `work` returns in the first of `size` processes, which the others follow."""

    def lead_or_follow(group: Processes) -> Any:
        if group.rank:
            return follow(group)
        try:
            return work(group)
        finally:
            release(group)

    return in_threads(size, lead_or_follow)[0]
