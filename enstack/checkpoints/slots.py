"""Checkpoints in one place: written beside, verified, installed, rotated."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError
from enstack.progress.say import say
from enstack.storage.files import CHUNK_BYTES, Moved, ignore, sha256_json, sync
from enstack.storage.folders import Remove, remove_own
from enstack.storage.links import (
    is_folder,
    is_ours_alone,
    make_folder,
    names_in,
    occupied,
    remove,
    require_folder_place,
)
from enstack.storage.manifest import HashedFolder, folder_problems, read_manifest

LAST, PREVIOUS, BEST = "last_checkpoint", "previous_checkpoint", "best_model"
# Never under a name that a search takes for a checkpoint.
BESIDE = {LAST: ".saving", BEST: ".saving_best"}
DISCARDED = ".discarded"
# No other name is ours: `previous_checkpoint (1)` is a copy that Drive or a user has made.
KEPT = re.compile(rf"{LAST}|{PREVIOUS}(_([2-9]|[1-9][0-9]+))?")
HISTORY = "history.jsonl"  # written after a checkpoint: where it lies, one was saved
OURS = re.compile(
    rf"{KEPT.pattern}|{BEST}|{'|'.join(map(re.escape, [*BESIDE.values(), DISCARDED]))}"
    rf"|(\.{HISTORY}(\.[0-9a-f]{{16}})?\.writing|{HISTORY})|damaged_(checkpoint|{BEST})_[0-9]+"
)
KEPT_ON_SCRATCH = 2  # run_dir has the others
STATE_FILE, WEIGHTS_FILE = "training_state.pth", "model.safetensors"
SEEN_FILE = "seen_ids.npz"
# What a save may write, for folders whose manifest does not tell: tokenizers have many files.
WRITTEN = {STATE_FILE, WEIGHTS_FILE, SEEN_FILE, "config.json", "tokenizer.json"} | {
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
    "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "spm.model", "sentencepiece.bpe.model",
}  # fmt: skip

WriteFiles = Callable[[HashedFolder], None]


def slots(keep: int) -> list[str]:
    """Folder names of the checkpoints that are kept, newest first."""
    older = [f"{PREVIOUS}_{number}" for number in range(2, keep)]
    return [LAST, PREVIOUS, *older][:keep]


def write(
    folder: Path,
    name: str,
    write_files: WriteFiles,
    *,
    remove: Remove = remove,
    moved: Moved = ignore,
    **details: Any,
) -> None:
    """Write a checkpoint or best model beside the one in place, and verify it.

    name: LAST or BEST. details: what its manifest says beside the files; a checkpoint's has
    `saved`, which counts the saves of a run, so that the newest can be told without a clock.
    remove: how the remains of an earlier attempt go. moved: told of the bytes that are read back.
    """
    # Not `folder_beside`: what a kill leaves whole here is installed by the next start, and while
    # one is written the one in place stays, for only `install` gives anything up.
    beside = folder / BESIDE[name]
    discard(beside, remove)
    make_folder(folder)
    beside.mkdir()
    new = HashedFolder(beside)
    write_files(new)
    new.finish(moved, **details)


def install(folder: Path, name: str, *, keep: int, remove: Remove = remove) -> None:
    """Put what `write` left beside into its place; only now is anything older given up."""
    for path in (folder / BEST, *_kept_in(folder)):
        require_folder_place(path)  # a file is none of ours
    if name == BEST:
        # Between this and the rename the new one lies beside alone, where the next start finds it.
        discard(folder / BEST, remove)
    else:
        _rotate(folder, slots(keep), remove)
    (folder / BESIDE[name]).rename(folder / name)
    # The disk may keep a rename back as it does bytes.
    sync(folder)


def _rotate(folder: Path, names: list[str], remove: Remove) -> None:
    """Make room for a new newest checkpoint: every one moves down a slot, the oldest goes."""
    for path in _kept_in(folder):
        if path.name not in names:
            discard(path, remove)  # of a run that kept more
    if not occupied(folder / LAST):
        return  # a rotation was interrupted when there was room already
    discard(folder / names[-1], remove)
    # From the oldest on: each moves into a slot that has just become free.
    for newer, older in reversed(list(itertools.pairwise(names))):
        if occupied(folder / newer):
            (folder / newer).rename(folder / older)


def discard(folder: Path, remove: Remove = remove) -> None:
    """Remove a folder, first renamed: what a kill leaves of it is not taken for a checkpoint.

    What a user has put into it is kept beside, and named.
    """
    doomed = folder.with_name(DISCARDED)
    _give_up(doomed, remove, "checkpoint")
    if occupied(folder):
        folder.rename(doomed)
        _give_up(doomed, remove, folder.name.lstrip("."))


def _give_up(doomed: Path, remove: Remove, was: str) -> None:
    if remove_own(doomed, WRITTEN, remove):
        aside = _unoccupied(doomed.with_name(f"kept_from_{was}"))
        doomed.rename(aside)
        say(f"⚠️  {was} in {aside.parent} held more than enstack wrote: kept as {aside.name}.")


def clear(folder: Path) -> None:
    """Remove all that a training has put into a folder, and the folder if nothing else is in it."""
    for path in names_in(folder):
        if OURS.fullmatch(path.name) and not _is_strangers(path):
            remove(path) if HISTORY in path.name else discard(path)
    with contextlib.suppress(OSError):  # a user's own files stay, and so the folder does
        folder.rmdir()


def _is_strangers(path: Path) -> bool:
    """Whether a folder has the name of a file of ours, or a file that of a folder."""
    if HISTORY in path.name:
        return is_folder(path)
    return occupied(path) and is_ours_alone(path)  # gone, where what was discarded before lay


class OpenCheckpoint:
    """A finished checkpoint or best model, held open: a rotation can't take its files away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> OpenCheckpoint:
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise CheckpointError(f"{self.folder} has no manifest that can be read.")
        self.listed: dict[str, dict[str, Any]] = manifest.pop("files")
        self.details: dict[str, Any] = manifest
        with contextlib.ExitStack() as opened:
            try:
                self._files = {
                    name: opened.enter_context((self.folder / name).open("rb"))
                    for name in self.listed
                }
            except FileNotFoundError as error:
                raise CheckpointError(f"{error.filename} is missing.") from error
            # All are open: from here on __exit__ closes them, before it was this block.
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def copy(self, new: HashedFolder, moved: Moved = ignore) -> None:
        """Copy its files; a CheckpointError where one no longer is what was written."""
        for name, source in self._files.items():
            # Hashed on its way, so that a source on slow storage is read once.
            with new.file(name) as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    moved(len(chunk))
            if target.manifest_entry() != self.listed[name]:
                raise CheckpointError(f"{self.folder / name} has other content than was written.")


def first_problem(
    folder: Path, moved: Moved = ignore, *, agrees_with: dict[str, Any] | None = None
) -> str | None:
    """The first fault that keeps a folder from being whole and of these inputs, or None."""
    return next(iter(folder_problems(folder, moved, agrees_with=agrees_with)), None)


def saved_number(folder: Path) -> int:
    """How many saves the run had made with this one."""
    return int((read_manifest(folder) or {}).get("saved", 0))


def checkpoint_digest(folder: Path) -> str | None:
    """A digest of all files of a checkpoint, as its manifest lists them; None without one."""
    manifest = read_manifest(folder)
    return None if manifest is None else sha256_json(manifest["files"])


def checkpoints_in(folder: Path) -> list[Path]:
    """Every checkpoint in a base model's folder, those of a run that kept more included.

    Raises NotADirectoryError where a file, which is nobody's checkpoint, has the name of one.
    """
    for path in _kept_in(folder):
        require_folder_place(path)
    return [path for path in _kept_in(folder) if path.is_dir()]


def _kept_in(folder: Path) -> list[Path]:
    """Whatever stands where a checkpoint may, newest first as far as names tell."""
    return [path for path in names_in(folder) if KEPT.fullmatch(path.name)]


def finish_interrupted_save(folder: Path, keep: int, remove: Remove) -> None:
    """A save that was killed after its manifest was written is whole: put it in its place."""
    beside = folder / BESIDE[LAST]
    if is_folder(beside) and not folder_problems(beside):
        if saved_number(beside) > saved_number(folder / LAST):
            install(folder, LAST, keep=keep, remove=remove)
        else:
            discard(beside, remove)
    # Where a best model stands, the one beside it is of an epoch that is trained again.
    best = folder / BESIDE[BEST]
    if is_folder(best) and not occupied(folder / BEST) and not folder_problems(best):
        best.rename(folder / BEST)


def keep_aside(path: Path, reason: str, then: str) -> str:
    """Put a damaged checkpoint out of the way; returns the line that says so."""
    kind = BEST if path.name == BEST else "checkpoint"
    aside = _unoccupied(path.with_name(f"damaged_{kind}"))
    path.rename(aside)
    return (
        f"⚠️  {path.name} is damaged ({reason}); it is kept as {aside.name} in {aside.parent}, "
        f"and {then}."
    )


def _unoccupied(path: Path) -> Path:
    """The first of `path_1`, `path_2` and so on that is not taken."""
    numbered = (path.with_name(f"{path.name}_{number}") for number in itertools.count(1))
    return next(place for place in numbered if not occupied(place))
