"""Disks: which storage is slow, which folder can be written to, and locks on the local one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from enstack.errors import CheckpointError, EnstackError, reason_of
from enstack.storage.links import is_ours_alone, make_folder

# What an end still does on storage that may hang is not waited for longer.
END_SECONDS = 5.0
ROOM_TO_LEAVE = 512 << 20  # bytes of the scratch disk that copies of data leave for what follows


def require_writable(folder: Path, setting: str, error_type: type[EnstackError]) -> None:
    """Make the folder that a setting names, or say in one line why it cannot be written to."""
    reason = None
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file")
        folder.mkdir(parents=True, exist_ok=True)
        # A superuser passes os.access on a folder marked read-only; the mark is still a wish.
        if not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222:
            reason = "it is read-only"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise error_type(
            f"{setting} must be a folder that can be written to; {folder}: {reason}. "
            f"Name another with {setting}=PATH."
        )


@contextlib.contextmanager
def leaving_no_empty(folder: Path) -> Iterator[None]:
    """Take folders away again that were made for a block which then failed, and wrote nothing."""
    # Not Path.exists, which raises where one may not look.
    new = [path for path in (folder, *folder.parents) if not os.path.exists(path)]  # noqa: PTH110
    try:
        yield
    except BaseException:
        # On storage that hangs, an error would never be told.
        fault_within(END_SECONDS, lambda: _remove_empty(new))
        raise


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds something, or was never made
            folder.rmdir()


def lock(path: Path, *, shared: bool = False, wait: bool = False) -> int | None:
    """An open descriptor that holds the system's lock on a file or folder; None where others do.

    The lock ends with the descriptor, so with the process at the latest. A mount that has no locks
    gives a descriptor without one. Raises FileNotFoundError for what is not there.
    """
    descriptor = os.open(path, os.O_RDONLY)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        return descriptor
    except BaseException:  # Ctrl-C while it waits
        os.close(descriptor)
        raise
    return descriptor


def held_since(path: Path) -> float | None:
    """When a process took the lock that it holds on a file, in Unix seconds; None where none does.

    By `only_one`, which writes the file once it has the lock.
    """
    try:
        since, descriptor = path.stat().st_mtime, lock(path, shared=True)
    except OSError:
        return None  # nobody ever held it here
    if descriptor is None:
        return since
    os.close(descriptor)
    return None


def is_same(path: Path, descriptor: int) -> bool:
    """Whether a path still names what a descriptor has opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def fault_within(seconds: float, work: Callable[[], None]) -> str | None:
    """Do something small on a disk that may hang or be gone; why it was not done by then, or None.

    For what nothing depends on: work that hangs is left behind, and ends with the process.
    """
    fault: str | None = "no answer"

    def attempt() -> None:
        nonlocal fault
        try:
            work()
            fault = None
        except OSError as error:
            fault = reason_of(error)

    # A daemon, or the process would wait for it in the end.
    thread = threading.Thread(target=attempt, name="small-work", daemon=True)
    thread.start()
    with contextlib.suppress(KeyboardInterrupt):  # who presses Ctrl-C will not wait for this
        thread.join(seconds)
    return fault


@contextlib.contextmanager
def only_one(path: Path, what: str, record: str = "") -> Iterator[None]:
    """Let one process at a time into the block; a dead one's lock is gone with it.

    path: a file on a local disk, where the system's own locks work. record: a text that it holds
    from then on: what the lock is of.
    """
    make_folder(path.parent)
    # The file stays when the run ends: a new one of the same name would be another lock.
    if path.is_symlink():
        path.unlink()
    if not path.exists():
        path.touch()
    descriptor = lock(path)
    if descriptor is None:
        raise CheckpointError(
            f"{what} must have one run at a time, and another process is at work in it. "
            "Wait for that one, stop it, or name another run_dir."
        )
    try:
        if is_ours_alone(path):
            path.write_text(record, encoding="utf-8", errors="surrogateescape")
        yield
    finally:
        os.close(descriptor)


# Colab's Drive is fuse.drive. A list of paths would know Colab alone.
SLOW_TYPES = ("fuse", "nfs", "cifs", "smb", "9p", "sshfs", "ceph", "lustre", "gcsfuse")


def slow_storage(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The kind of network or FUSE file system that a path lies on; None on a disk of this machine.

    mounts: the system's list of mounted file systems; where there is none, nothing counts as slow.
    """
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    target, innermost = str(path.absolute()), ("", "")
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        # The system writes a space in a path as \040. A later line hides an equal one before it.
        place = place.replace("\\040", " ").rstrip("/")
        if f"{target}/".startswith(f"{place}/") and len(place) >= len(innermost[0]):
            innermost = place, kind
    return innermost[1] if innermost[1].startswith(SLOW_TYPES) else None
