"""Which processes a launcher such as torchrun has started, and how they become one group."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from enstack.errors import ConfigError

# torch takes seconds to load, and a run of one process may do without.
if TYPE_CHECKING:
    from enstack.parallel.group import Processes

__all__ = ["is_launched", "launched_processes", "open_group"]

MEET = timedelta(minutes=5)  # in which all processes must have started
# Of an act of all. Heartbeats tell who is lost; the first process may read data for hours.
NEVER = timedelta(days=30)
ANSWER = timedelta(seconds=20)  # of the store, after which it counts as gone
NAMED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what every launcher says
SIOCGIFADDR = 0x8915  # Linux: the address of a network interface


def launched_processes() -> int:
    """How many processes a launcher has started, this one among them; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1


def is_launched() -> bool:
    """Whether a launcher has started this process, alone or with others."""
    return all(name in os.environ for name in NAMED)


@contextlib.contextmanager
def open_group() -> Iterator[Processes]:
    """The group of all processes that were launched, while the block runs.

    Raises ConfigError where they do not find each other, or are more than this machine's GPUs.
    """
    import torch
    from torch import distributed
    from torch.distributed import PrefixStore, TCPStore, rendezvous  # type: ignore[attr-defined]

    from enstack.parallel.group import Processes
    from enstack.parallel.heartbeat import Heartbeat

    _take_device()
    _choose_interface()
    try:
        store, rank, size = next(rendezvous("env://", timeout=MEET))
        names = _names(PrefixStore("names", store), rank, size)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=PrefixStore("group", store),
            rank=rank,
            world_size=size,
            timeout=NEVER,
        )
        # A connection of its own: one that waits for an answer keeps all others waiting.
        beats = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), timeout=ANSWER)
    except RuntimeError as error:
        raise ConfigError(
            f"The {launched_processes()} processes of a run must find each other at "
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} within {MEET}; they did not "
            f"({str(error).splitlines()[0]}). Start as many, all with the same address."
        ) from error
    heartbeat = Heartbeat(PrefixStore("beats", beats), rank, names)
    heartbeat.start()
    processes = Processes(distributed.group.WORLD, heartbeat)
    try:
        yield processes
    finally:
        heartbeat.end()
        if processes.broken:
            # Nor does Python clear it away: torch would wait there for what never comes.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(distributed.group.WORLD))
        else:
            distributed.destroy_process_group()


def _names(store: Any, rank: int, size: int) -> list[str]:
    """What each process is called in a message; waits until all are there."""
    store.set(str(rank), f"{socket.gethostname()}, pid {os.getpid()}")
    return [store.get(str(other)).decode() for other in range(size)]


def _take_device() -> None:
    """Compute on the GPU that is this process's own, where there are any."""
    import torch

    gpus, wanted = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if gpus and wanted >= gpus:
        processes = os.environ.get("LOCAL_WORLD_SIZE", str(wanted + 1))
        raise ConfigError(
            f"Each process of a machine needs a GPU of its own: {processes} were started, and this "
            f"machine has {gpus}. Use torchrun --nproc-per-node {gpus}, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to train on the CPU."
        )
    if gpus:
        torch.cuda.set_device(wanted)


def _choose_interface() -> None:
    """Talk over the network that leads to the first process, unless one is named.

    gloo alone takes the address of the machine's own name, which is 127.0.1.1 on many of them.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ:
        return
    # Where anything of this is not to be had, gloo's own choice stands.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system only tells from which address it would.
        probe.connect((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                asked = struct.pack("256s", name.encode())
                if fcntl.ioctl(probe, SIOCGIFADDR, asked)[20:24] == own:
                    os.environ["GLOO_SOCKET_IFNAME"] = name
