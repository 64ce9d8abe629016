"""What the scratch disk keeps that no run needs: listed with sizes, removed on request.

Caches can always be made again. A checkpoint on the scratch disk is needed until run_dir holds the
same one, whole. What a running process holds stays, and so does whatever has a name that is not
exactly one of ours.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from enstack.checkpoints.slots import (
    BESIDE,
    BEST,
    LAST,
    OURS,
    clear,
    first_problem,
    saved_number,
)
from enstack.config import TINY_MODELS
from enstack.progress.say import say
from enstack.storage.disks import is_same, lock
from enstack.storage.folders import leftovers, remove_leftover, remove_own
from enstack.storage.links import below, is_folder, names_in, occupied, places, remove
from enstack.storage.manifest import MANIFEST, read_manifest

SHORT, LONG = "[0-9a-f]{16}", "[0-9a-f]{64}"
# By the folder that they lie in: the names of caches, and what they are.
CACHES = {
    "staged": (SHORT, "a copy of the data"),
    "columns": (SHORT, "columns of a data file"),
    "tokens": (LONG, "tokens of a split"),
    "near_duplicates": (rf"{LONG}|{LONG}\.json", "near-duplicates"),
    "divisions": (LONG, "how a table is divided"),
    "profiles": (LONG, "what scans know of a model"),
    "scores": (rf"{LONG}\.scores", "scores of scanned functions"),
    "lines": (rf"{LONG}\.lines", "lines of what scans have found"),
    "flawfinder": ("functions", "functions that Flawfinder was to read"),
    "toy": ("data", "the toy data"),
    "toy/models": ("|".join(TINY_MODELS), "a tiny model"),
}
FILES = (".json", ".scores", ".lines")  # of caches that are files; others are folders
CHECKPOINTS = "checkpoints"
MIB = 2**20


@dataclass(frozen=True)
class Entry:
    """Something on the scratch disk: where, what it is, its bytes, and why it is kept, if it is."""

    path: Path
    what: str
    size: int
    kept_because: str | None = None


@dataclass(frozen=True)
class Cleaning:
    """What a scratch disk keeps: what no run needs, and what stays with the reason."""

    local_dir: Path
    removable: list[Entry] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes that no run needs."""
        return sum(entry.size for entry in self.removable)

    def remove(self) -> int:
        """Remove what is listed and still needed by nobody; returns the bytes."""
        return sum(entry.size for entry in self.removable if _removed(entry.path))

    def text(self) -> str:
        """All of it for the console, a line each."""
        if not self.local_dir.is_dir():
            return f"{self.local_dir} does not exist: there is nothing to remove."
        if not self.removable and not self.kept:
            return f"{self.local_dir} holds nothing of enstack's."
        lines = [f"No run needs, in {self.local_dir}:"] if self.removable else []
        lines += [self._line(entry) for entry in self.removable]
        lines += [f"Kept in {self.local_dir}:"] if self.kept else []
        lines += [self._line(entry) for entry in self.kept]
        return "\n".join(lines)

    def _line(self, entry: Entry) -> str:
        name = entry.path.relative_to(self.local_dir).as_posix()
        shown = name if len(name) <= 40 else f"{name[:36]}..."
        reason = f": {entry.kept_because}" if entry.kept_because else ""
        return f"  {entry.size / MIB:10,.1f} MiB  {shown}  {entry.what}{reason}"


def look(local_dir: Path) -> Cleaning:
    """What a scratch disk keeps; changes nothing."""
    found = Cleaning(local_dir)
    for entry in (*_caches(local_dir), *_leftovers(local_dir), *_scratch(local_dir)):
        (found.removable if entry.kept_because is None else found.kept).append(entry)
    return found


def _removed(path: Path) -> bool:
    if path.parent.name == CHECKPOINTS:
        return _remove_scratch(path)
    if path in leftovers(path.parent):
        return remove_leftover(path)
    return _remove_cache(path)


def _caches(local_dir: Path) -> Iterator[Entry]:
    for place, (names, what) in CACHES.items():
        for path in _named(local_dir / place, names):
            in_use = "a running process uses it" if _is_held(path) else _unclear(path)
            yield from _entry(path, what, in_use)


def _leftovers(local_dir: Path) -> Iterator[Entry]:
    for place in CACHES:
        folder = local_dir / place
        for path in leftovers(folder) if _is_own_folder(local_dir, folder) else ():
            held = "a running process fills it" if _is_held(path) else None
            yield from _entry(path, "left half-made by a process that was killed", held)


def _scratch(local_dir: Path) -> Iterator[Entry]:
    for path in _named(local_dir / CHECKPOINTS, SHORT):
        with _run_lock(path) as reason:
            kept = reason or _not_copied(path) or _only_others(path)
        yield from _entry(path, "checkpoints on their way to run_dir", kept)


def _entry(path: Path, what: str, kept_because: str | None) -> Iterator[Entry]:
    """An entry of it, unless another process has removed it meanwhile."""
    size = _size(path)
    if occupied(path):
        yield Entry(path, what, size, kept_because)


def _named(place: Path, names: str) -> list[Path]:
    """What lies in a place under one of our names, and is no link."""
    if not _is_own_folder(place.parent, place):
        return []
    found = [path for path in names_in(place) if re.fullmatch(names, path.name)]
    return [path for path in found if is_folder(path) or path.suffix in FILES]


def _is_own_folder(local_dir: Path, place: Path) -> bool:
    """Whether a folder and the one above it are no links: what those lead to is somebody else's."""
    return is_folder(place) and (is_folder(place.parent) or place.parent == local_dir)


def _is_held(path: Path) -> bool:
    try:
        descriptor = lock(path)
    except FileNotFoundError:
        return False  # gone meanwhile
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _unclear(path: Path) -> str | None:
    """Why it can't be told what in a cache is a user's; None where its manifest tells."""
    if not is_folder(path) or read_manifest(path) is not None or not below(path):
        return None
    return "without a whole manifest, a user's files in it can't be told from its own"


def _remove_cache(path: Path) -> bool:
    """Remove a cache that nobody holds; what a user has put into it stays."""
    try:
        descriptor = lock(path)
    except FileNotFoundError:
        return False  # another one was faster
    if descriptor is None:
        return False
    try:
        # Another process may have put a new one in its place, before it was locked.
        if not is_same(path, descriptor) or _unclear(path):
            return False
        _give_up(path) if is_folder(path) else remove(path)
    finally:
        os.close(descriptor)
    return True


def _remove_scratch(path: Path) -> bool:
    # The run's lock is held meanwhile, and all is judged anew: a run may have begun since.
    with _run_lock(path) as reason:
        if reason or _not_copied(path):
            return False
        for place in _model_places(path):
            clear(place)
        _give_up(path)
    return True


def _give_up(folder: Path) -> None:
    if remove_own(folder):
        say(f"⚠️  {folder} holds more than enstack wrote: that stays.")


@contextlib.contextmanager
def _run_lock(scratch: Path) -> Iterator[str | None]:
    """Hold the lock of the run whose checkpoints these are, or say why they are to be kept."""
    record = scratch.parents[1] / "locks" / scratch.name
    try:
        descriptor = lock(record) if record.is_file() and not record.is_symlink() else None
    except FileNotFoundError:
        descriptor = None  # gone meanwhile
    if not record.is_file():
        yield "its run folder is not known"
    elif descriptor is None:
        yield "a run is at work in it"
    else:
        try:
            yield None
        finally:
            os.close(descriptor)


def _not_copied(scratch: Path) -> str | None:
    """Why a run may still need these checkpoints: what of them its run folder lacks; or None."""
    record = scratch.parents[1] / "locks" / scratch.name
    told = record.read_text(encoding="utf-8", errors="surrogateescape").strip()
    if not told:
        return "its run folder is not known: an older program saved them"
    run_dir = Path(told)
    folders = sorted({path.parent.parent for path in below(scratch) if path.name == MANIFEST})
    if folders and not run_dir.is_dir():
        return f"its run folder {run_dir} is not there"
    for folder in folders:
        for path in _needed(folder):
            copies = run_dir / folder.relative_to(scratch)
            if not _has_copy(path, copies):
                return f"{path.relative_to(scratch)} is not in {run_dir}, or not whole there"
    return None


def _only_others(scratch: Path) -> str | None:
    """That all which is left in a place of checkpoints is a user's, where it is."""
    ours = any(OURS.fullmatch(p.name) for place in _model_places(scratch) for p in names_in(place))
    if ours or not any(not is_folder(path) for path in below(scratch)):
        return None
    return "all that is left in it was not written by enstack"


def _model_places(scratch: Path) -> list[Path]:
    """Where the trainings of a run save: each base model's place, and those of its folds."""
    patterns = ("base_models/*/folds/*", "base_models/*")
    return [path for each in patterns for path in places(scratch, each) if is_folder(path)]


def _needed(folder: Path) -> list[Path]:
    """The newest checkpoint in a base model's place, its best model, and what can't be told."""
    saved = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    unclear = [path for path in saved if read_manifest(path) is None]
    trained = [path for path in saved if saved_number(path)]
    newest = sorted(trained, key=saved_number)[-1:]
    best = next((folder / n for n in (BEST, BESIDE[BEST]) if (folder / n) in saved), None)
    # A checkpoint that lost its manifest alone may be the newest one there is.
    bare = [folder / name for name in (LAST, BEST) if is_folder(folder / name)]
    return [*unclear, *newest, *([best] if best else []), *(p for p in bare if p not in saved)]


def _has_copy(path: Path, folder: Path) -> bool:
    """Whether a folder in run_dir holds the same files, whole."""
    files = (read_manifest(path) or {}).get("files")
    if files is None:
        return False
    same = [p.parent for p in folder.glob(f"*/{MANIFEST}")]
    return any(
        (read_manifest(p) or {}).get("files") == files and first_problem(p) is None for p in same
    )


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count as nothing."""
    size = 0
    for file in below(path) if is_folder(path) else [path]:
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            status = file.lstat()
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size
