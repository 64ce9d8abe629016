"""Links are never followed: what is removed, cut or written is a name of ours, not what it names.

A link, symbolic or hard, that lies in run_dir or local_dir leads to bytes that belong to somebody
else: a backup made with `cp -al`, another run, a shared disk. It may be read. It is removed and
replaced as a link; bytes that have another name too are never changed in place. A folder that
enstack writes into must be no link: `require_no_links` says so before anything is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from enstack.errors import EnstackError

ATTEMPTS = 5  # to remove a folder in which others remove at the same time


def occupied(path: Path) -> bool:
    """Whether a name is taken: by a file, a folder, or a link that may lead nowhere."""
    return _status(path) is not None


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, and no link to one."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _status(path: Path) -> os.stat_result | None:
    # Not os.path.lexists: a Drive that answers with an error does not say that nothing is there.
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def names_in(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing where it is no folder, or is gone by now."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def below(folder: Path) -> list[Path]:
    """All files and folders below a folder, sorted; what vanishes meanwhile is left out.

    No link is entered, and no folder that nobody may read; another fault of the disk is an OSError.
    """

    def told(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise error

    walked = os.walk(folder, onerror=told)
    return sorted(Path(place, name) for place, *both in walked for names in both for name in names)


def remove(path: Path) -> None:
    """Remove whatever stands at a path, on a disk that gives the room back at once.

    A folder goes with all below it; links go as links. What others remove meanwhile is gone too.
    """
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(path) if is_folder(path) else path.unlink()
        if not occupied(path):
            return
    shutil.rmtree(path)  # it says what stays


def empty(path: Path) -> None:
    """Remove the same; files are cut to nothing first, for Drive's trash counts their size."""
    for file in below(path) if is_folder(path) else [path]:
        with contextlib.suppress(FileNotFoundError):  # another process removes it too
            if is_ours_alone(file):
                os.truncate(file, 0)
    remove(path)


def is_ours_alone(path: Path) -> bool:
    """Whether a file's bytes have this name alone: changed in place, they change nowhere else.

    False for links of both kinds, and for what is no file.
    """
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1


def detach(path: Path) -> None:
    """Take a link away from a name that is about to be written in place; no folder is taken."""
    require_file_place(path)
    if occupied(path) and not is_ours_alone(path):
        remove(path)


def require_file_place(path: Path) -> None:
    """Raise OSError, with the name in the way, where a folder, or a file above, is in a file's."""
    if is_folder(path):
        reason = f"a folder stands where the file {path.name} belongs, move it away"
        raise IsADirectoryError(errno.EISDIR, reason, str(path))
    require_folder_place(path.parent)


def require_folder_place(path: Path) -> None:
    """Raise OSError, with the name in the way, where a folder can't stand for a file's sake."""
    taken = next((place for place in (path, *path.parents) if occupied(place)), None)
    # Links of both kinds may be replaced: what they lead to has another name.
    if taken is not None and is_ours_alone(taken):
        reason = f"a file stands where the folder {taken.name} belongs, move it away"
        raise NotADirectoryError(errno.ENOTDIR, reason, str(taken))


def make_folder(path: Path) -> None:
    """Make a folder and those above it; an OSError names a file that stands where one belongs."""
    require_folder_place(path)
    path.mkdir(parents=True, exist_ok=True)


def require_no_links(
    root: Path, folders: Iterable[str], setting: str, error_type: type[EnstackError]
) -> None:
    """Raise where a folder that is written into is a link; root itself, as a shortcut, may be one.

    folders: relative to root, with `*` for every name in a folder.
    """
    for pattern in folders:
        for path in places(root, pattern):
            if path.is_symlink():
                raise error_type(
                    f"{setting} must hold folders of its own, for nothing outside of it is ever "
                    f"written; {path} is a link to {os.readlink(path)}. Remove the link, move the "  # noqa: PTH115
                    f"folder itself there if the run needs it, or name another {setting}."
                )


def places(root: Path, pattern: str) -> Iterator[Path]:
    """Every path below a folder that fits a pattern, without going through a link.

    pattern: relative to it, with `*` for every name in a folder.
    """
    first, _, rest = pattern.partition("/")
    names = os.listdir(root) if first == "*" and root.is_dir() else [first]  # noqa: PTH208
    for path in (root / name for name in sorted(names) if name != "*"):
        if not rest:
            yield path
        elif is_folder(path):
            yield from places(path, rest)
