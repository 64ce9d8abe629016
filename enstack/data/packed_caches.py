"""Caches that one machine has made, packed into a run folder and brought to another's disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError, reason_of
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.storage.caches import held_caches
from enstack.storage.files import CHUNK_BYTES
from enstack.storage.folders import folder_beside
from enstack.storage.links import remove
from enstack.storage.manifest import HashedFolder, is_current, read_manifest

__all__ = ["bring_caches", "pack_caches"]

# What takes time to make. A staged copy of the data is as long on its way as the data itself.
KINDS = ("columns", "divisions", "near_duplicates", "tokens")
MIB = 2**20


def pack_caches(local_dir: Path, into: Path) -> int:
    """Copy the caches that this process holds into a folder, verified; returns their bytes.

    What an earlier preparation has put there, and no cache of now is, goes.
    """
    held = {
        folder.relative_to(local_dir)
        for folder in held_caches()
        if folder.is_relative_to(local_dir) and folder.parent.name in KINDS
    }
    for place in _packed(into):
        if place.relative_to(into) not in held:
            remove(place)
    return _copy_all([(local_dir / place, into / place) for place in sorted(held)], "Packing")


def bring_caches(packed: Path, local_dir: Path) -> None:
    """Copy to the scratch disk what was packed and is not there; what is damaged is said.

    The work that needs a cache verifies it, and makes anew what does not fit.
    """
    lacking = [
        (place, target)
        for place in _packed(packed)
        if not (target := local_dir / place.relative_to(packed)).is_dir()
    ]
    if not lacking:
        return
    size = _copy_all(lacking, f"Bringing what {packed} has")
    if size:
        say(f"📦 Prepared before: {size / MIB:,.1f} MiB of caches brought from {packed}")


def _packed(folder: Path) -> list[Path]:
    """Every cache of a folder, but for what is being filled beside them."""
    return sorted(place for kind in KINDS for place in folder.glob(f"{kind}/[!.]*/"))


def _copy_all(pairs: Iterable[tuple[Path, Path]], title: str) -> int:
    """Copy folders with a bar; returns the bytes of those that could be."""
    manifests = [(source, target, read_manifest(source)) for source, target in pairs]
    sizes = [_size(manifest) for *_, manifest in manifests]
    moved = 0
    with Bar(max(1, sum(sizes) // MIB), title, unit="MiB") as bar:
        for (source, target, manifest), size in zip(manifests, sizes, strict=True):
            try:
                _copy(source, target, manifest)
            # Whatever it is, it costs time and no more: the cache is made where it is needed.
            except (OSError, CheckpointError) as error:
                say(f"⚠️  {source} can't be used ({reason_of(error)}): it is made anew when needed.")
                continue
            moved += size
            bar.advance(min(moved // MIB, bar.total) - bar.done)
    return moved


def _size(manifest: dict[str, Any] | None) -> int:
    return sum(int(entry["bytes"]) for entry in manifest["files"].values()) if manifest else 0


def _copy(source: Path, target: Path, manifest: dict[str, Any] | None) -> None:
    """Copy beside, hashed on the way; a CheckpointError where it is not what was written."""
    if manifest is None:
        raise CheckpointError("its manifest is missing or damaged")
    made_from = manifest.get("made_from", {})
    if is_current(target, made_from):
        return
    details = {name: value for name, value in manifest.items() if name != "files"}
    with folder_beside(target, made_from) as beside:
        new = HashedFolder(beside)
        for name, entry in manifest["files"].items():
            with (source / name).open("rb") as content, new.file(name) as file:
                while chunk := content.read(CHUNK_BYTES):
                    file.write(chunk)
            if file.manifest_entry() != entry:
                raise CheckpointError(f"{name} has other content than was written")
        new.finish(**details)
