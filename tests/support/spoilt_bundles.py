"""Bundles spoilt by accident, which no digest fits, or by somebody who has written fitting ones."""

from __future__ import annotations

import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from enstack.storage.manifest import MANIFEST, manifest_bytes, read_manifest, write_manifest

__all__ = ["DAMAGES", "SEALED", "Place", "content_of", "files_of", "sealed"]

BOMB = 3 << 30  # bytes that a file of some megabytes unpacks to
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"),
    10**30, 2**31, 2**63, -(2**63), "", "x", "1", "../../x", "/etc/passwd", "\x00", "\ud800",
    "a" * 100_000, [], [[]], {}, [None], {"x": 1}, [1, "x"], ["clean"], [0.5] * 6, [1e308] * 6,
)  # fmt: skip
ODD_NAMES = (
    "../outside/new.txt", "/tmp/enstack-outside", "base_models/../../outside/x.json", "a\x00b",
    "base_models/micro/../../../outside/x.json", "C:\\x.json", "..", "", "base_models//x.json",
    "base_models/micro/modeling.py", "run.py", "base_models/micro/x.bin",
)  # fmt: skip


class Place(NamedTuple):
    """A bundle to spoil, another whole one, and a folder that is neither's."""

    bundle: Path
    other: Path
    outside: Path


Damage = Callable[[Place, random.Random], None]


def files_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def sealed(folder: Path) -> None:
    """A manifest that fits the files, as whoever means harm would write one."""
    details = {k: v for k, v in (read_manifest(folder) or {}).items() if k != "files"}
    (folder / MANIFEST).unlink()
    write_manifest(folder, **details)


def content_of(folder: Path) -> dict[str, bytes | int | None]:
    """The bytes of every file below a folder; of a huge one its size, of what is no file None."""
    return {
        path.relative_to(folder).as_posix(): _bytes_of(path)
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def _bytes_of(path: Path) -> bytes | int | None:
    if not path.is_file():
        return None
    size = path.stat().st_size
    return size if size > BOMB else path.read_bytes()


def _chosen(place: Place, chance: random.Random, *suffixes: str) -> Path:
    fitting = [path for path in files_of(place.bundle) if path.suffix in suffixes or not suffixes]
    return chance.choice(fitting)


def flipped(place: Place, chance: random.Random) -> None:
    path = _chosen(place, chance)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 20))):
        # The heads of files decide how the rest is read.
        most = len(content) if chance.random() < 0.5 else min(200, len(content))
        content[chance.randrange(most)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut_short(place: Place, chance: random.Random) -> None:
    path = _chosen(place, chance)
    os.truncate(path, chance.randrange(path.stat().st_size))


def grown(place: Place, chance: random.Random) -> None:
    path = _chosen(place, chance)
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.choice((1, 10, 10_000))))


def huge(place: Place, chance: random.Random) -> None:
    """A file of 64 GiB that takes no disk."""
    os.truncate(_chosen(place, chance), 64 << 30)


def swapped(place: Place, chance: random.Random) -> None:
    one, two = chance.sample(files_of(place.bundle), 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def deleted(place: Place, chance: random.Random) -> None:
    _chosen(place, chance).unlink()


def of_another(place: Place, chance: random.Random) -> None:
    """A file of another bundle in the place of its own."""
    path = _chosen(place, chance)
    theirs = [one for one in files_of(place.other) if one.suffix == path.suffix]
    shutil.copyfile(chance.choice(theirs or files_of(place.other)), path)


def linked(place: Place, chance: random.Random) -> None:
    """A link to a file outside with the same bytes or others, a folder, nothing, or itself."""
    path = _chosen(place, chance)
    same = place.outside / "same"
    same.write_bytes(path.read_bytes())
    path.unlink()
    targets = (same, place.outside / "note.txt", place.outside, place.outside / "none", path)
    path.symlink_to(chance.choice(targets))


def no_file(place: Place, chance: random.Random) -> None:
    """A folder or a pipe where a file belongs."""
    path = _chosen(place, chance)
    path.unlink()
    chance.choice((os.mkfifo, os.mkdir))(path)


def other_value(place: Place, chance: random.Random) -> None:
    """A value of a JSON file that is none of its kind, one more, or one less."""
    path = _chosen(place, chance, ".json")
    stored = json.loads(path.read_text())
    for _ in range(chance.choice((1, 1, 1, 3))):
        _change(stored, chance)
    path.write_text(json.dumps(stored))


def _change(value: Any, chance: random.Random) -> None:
    """Change one value somewhere below, often near the top."""
    while isinstance(value, dict | list) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = chance.choice(keys)
        below = value[key]
        if isinstance(below, dict | list) and below and chance.random() < 0.7:
            value = below
            continue
        what = chance.random()
        if what < 0.15:
            del value[key]
        elif what < 0.3 and isinstance(value, dict):
            value[chance.choice(("x", "auto_map", "files", "name"))] = chance.choice(ODD_VALUES)
        elif what < 0.4 and isinstance(value, list):
            value.append(chance.choice((below, *ODD_VALUES)))
        elif isinstance(below, int | float) and what < 0.7:
            value[key] = chance.choice((below + 1, -below, below * 1000, below / 3, str(below)))
        else:
            value[key] = chance.choice(ODD_VALUES)
        return


def other_manifest(place: Place, chance: random.Random) -> None:
    """Names that lead elsewhere, entries of other kinds, other editions, in a fitting manifest."""
    manifest: dict[str, Any] = read_manifest(place.bundle) or {}
    what = chance.random()
    if what < 0.4:
        entry = chance.choice((next(iter(manifest["files"].values())), *ODD_VALUES))
        manifest["files"][chance.choice(ODD_NAMES)] = entry
    elif what < 0.5:
        manifest["edition"] = chance.choice(ODD_VALUES)
    else:
        _change(manifest, chance)
    (place.bundle / MANIFEST).write_bytes(manifest_bytes(manifest))


def other_arrays(place: Place, chance: random.Random) -> None:
    """An array of another type, shape or content in an .npz file."""
    path = _chosen(place, chance, ".npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    name = chance.choice(list(arrays))
    array = arrays[name]
    changed: tuple[Any, ...] = (
        array[:0], array[:1], np.concatenate([array, array]), array[None], np.zeros(()),
        np.zeros(array.shape, "U5"), np.full(array.shape, np.nan), np.full(array.shape, 1e300),
        np.zeros(array.shape, np.int8), np.full(array.shape, -1), array.astype("S"),
        np.zeros(array.shape, complex), np.full(array.shape, 2**62), array[::-1],
    )  # fmt: skip
    arrays[name] = chance.choice(changed)
    if chance.random() < 0.2:
        arrays.pop(name)
    np.savez(path, **arrays)


def bomb(place: Place, chance: random.Random) -> None:
    """A part of an archive, an array or a text that unpacks to gigabytes, or is nested deeply."""
    path = _chosen(place, chance)
    if path.suffix in (".npz", ".skops"):
        members = _members(path)
        name = chance.choice(list(members))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other, content in members.items():
                if other != name:
                    archive.writestr(other, content)
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(members[name])
                for _ in range(BOMB >> 24):
                    file.write(bytes(1 << 24))
    elif path.suffix == ".safetensors":
        header = json.dumps(
            {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
        )
        size = chance.choice((len(header), 1 << 62, 1 << 31))
        path.write_bytes(size.to_bytes(8, "little") + header.encode())
    else:
        opened, closed = chance.choice((("[", "]"), ('{"a":', "}")))
        path.write_text(opened * 200_000 + "1" + closed * 200_000)


def archive_names(place: Place, chance: random.Random) -> None:
    """Parts of an archive under names that lead out of it, twice, or as links."""
    path = _chosen(place, chance, ".npz", ".skops")
    members = _members(path)
    name = chance.choice(list(members))
    with zipfile.ZipFile(path, "w") as archive:
        for other, content in members.items():
            renamed = chance.choice(ODD_NAMES[:6]) if other == name else other
            info = zipfile.ZipInfo(renamed or "x")
            if other == name and chance.random() < 0.3:
                info.external_attr = 0o120777 << 16
            archive.writestr(info, content)


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def other_schema(place: Place, chance: random.Random) -> None:
    """A value of the JSON by which skops builds an estimator."""
    path = _chosen(place, chance, ".skops")
    members = _members(path)
    schema = json.loads(members["schema.json"])
    for _ in range(chance.choice((1, 1, 3))):
        _change(schema, chance)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


DAMAGES: tuple[Damage, ...] = (
    flipped, cut_short, grown, huge, swapped, deleted, of_another, linked, no_file, other_value,
)  # fmt: skip
# With digests that fit what is there then.
SEALED: tuple[Damage, ...] = (
    flipped, cut_short, grown, swapped, deleted, of_another, linked, other_value, other_value,
    other_value, other_value, other_manifest, other_arrays, bomb, archive_names, other_schema,
)  # fmt: skip
