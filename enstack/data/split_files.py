"""Which files are the splits of a data folder, by their names and those of the folders they lie in.

A folder may hold one file a split, several shards, or one table without splits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from enstack.data.opened import FORMAT_OF_ENDING, PACKED, bare_stem, format_of
from enstack.data.other_files import advice_for
from enstack.data.other_names import split_named
from enstack.data.strangers import readable
from enstack.errors import DataError

__all__ = [
    "FLAW_LINES",
    "SPLITS",
    "VDISC_NAMES",
    "WHOLE",
    "flaw_line_file",
    "paired_test_file",
    "split_files",
]

# Their order counts: a split's number is part of its subset's seed, and fingerprints follow it.
SPLITS = ("train", "validation", "test")
WHOLE = "all"  # the name of a table that comes without splits
VDISC_NAMES = {"train": "VDISC_train", "validation": "VDISC_validate", "test": "VDISC_test"}
FORMATS = ("hdf5", "jsonl", "csv", "parquet")
DEPTH = 3  # of folders: a clone of the hub, its configuration, its split
# The parts of one table: train-00000-of-00003, as the hub and Arrow write it, or a part a weakness.
SHARD = re.compile(r"(?P<name>.*?)-?(?P<number>\d+)-of-(?P<count>\d+)(?:-[0-9a-f]{6,})?", re.ASCII)
WEAKNESS = re.compile(r"cwe-?\d+", re.IGNORECASE | re.ASCII)
# The two parts of ReVeal: what is in them is told by their names.
LABELLED_BY_NAME = {"vulnerables", "non-vulnerables"}
# A choice out of the table beside it: flaws and their fixes, as PrimeVul has it.
PAIRED = re.compile(r"(?<![^\W_])paired(?![^\W_])")
# Beside the data: lines that are marked as flaws, and what `datasets` and the hub write.
FLAW_LINES = "flaw_lines"
BESIDE = {
    "dataset_dict", "dataset_info", "dataset_infos", "state", "config", "metadata", FLAW_LINES,
}  # fmt: skip

Found = dict[str, tuple[Path, ...]]


def split_files(place: Path) -> Found:
    """The files of each split, in order; under "all" those of a table that has no splits.

    place: a folder, or one file. DataError says what is missing, or what could be meant as well.
    """
    if place.is_file():
        return {WHOLE: (_known(place),)}
    if not place.is_dir():
        raise DataError(
            f"data_dir must be a folder or a file of functions, {place} is absent. Check the path "
            "(on Colab: is Drive mounted?)."
        )
    if named := _exactly_named(place):
        return named
    with readable(place):
        tables = _tables(place)
    # A choice out of a table is not taken for the table, also where a part of that is missing.
    if any(set(one) != {WHOLE} for name, one in tables.items() if not PAIRED.search(name)):
        tables = {name: one for name, one in tables.items() if not PAIRED.search(name)}
    complete = {name: one for name, one in tables.items() if set(SPLITS) <= set(one)}
    if len(complete) > 1:
        _refuse_several(place, [one["train"][0] for one in complete.values()])
    if complete:
        return {split: next(iter(complete.values()))[split] for split in SPLITS}
    return _without_splits(place, tables)


def flaw_line_file(place: Path) -> Path | None:
    """The file beside the data that marks lines as flaws; None where there is none."""
    folder = place.parent if place.is_file() else place
    files = (folder / f"{FLAW_LINES}.jsonl{packed}" for packed in ("", *PACKED))
    return next((path for path in files if path.is_file()), None)


def paired_test_file(place: Path) -> Path | None:
    """The file that lists pairs out of the test split beside it; None where there is none."""
    if not place.is_dir():
        return None
    with readable(place):
        tables = _tables(place)
    paired = [one for name, one in tables.items() if PAIRED.search(name)]
    # Where all are of pairs, they are the splits themselves.
    has_others = any(set(SPLITS) <= set(tables[name]) for name in tables if not PAIRED.search(name))
    listing = [path for one in paired for path in one.get("test", ())]
    return listing[0] if has_others and len(listing) == 1 else None


def _known(path: Path) -> Path:
    if not format_of(path):
        raise DataError(
            f"data_dir must be a folder or a file of functions ({', '.join(FORMAT_OF_ENDING)}, "
            f"text also as .gz or .zst), {path} is a file of none of these "
            f"kinds.{advice_for([path])}"
        )
    return path


def _exactly_named(folder: Path) -> Found:
    """The three files as enstack names them; empty for none."""
    present: dict[str, dict[str, Path]] = {}
    for suffix in FORMATS:
        names = VDISC_NAMES if suffix == "hdf5" else {split: split for split in SPLITS}
        files = {split: folder / f"{names[split]}.{suffix}" for split in SPLITS}
        if there := {split: path for split, path in files.items() if path.is_file()}:
            present[suffix] = there
    # None goes before another: a guess could train on the wrong one without a word.
    if len(present) > 1:
        names_there = ", ".join(path.name for files in present.values() for path in files.values())
        raise DataError(
            f"{folder} must hold one format, found {names_there}. Keep one: move the "
            "other files away, or write all three splits in it."
        )
    files = next(iter(present.values()), {})
    return {split: (path,) for split, path in files.items()} if len(files) == len(SPLITS) else {}


def _tables(folder: Path) -> dict[str, Found]:
    """Every table below a folder: by the name that its files share, their splits."""
    parts: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in _data_files(folder):
        name, split = _table_and_split(path.relative_to(folder))
        parts[name][split].append(path)
    return {
        name: {split: _in_order(paths) for split, paths in one.items()}
        for name, one in parts.items()
    }


def _data_files(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and depth > 1:
            if not _leads_back(path):
                yield from _data_files(path, depth - 1)
        elif path.is_file() and format_of(path) and not _is_beside(path):
            yield path


def _leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that it lies in: all below was seen on the way."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _is_beside(path: Path) -> bool:
    stem = bare_stem(path).lower()
    return stem in BESIDE or re.split(r"[\W_]", stem)[-1] == "metadata"


def _table_and_split(path: Path) -> tuple[str, str]:
    """The name of a file's table, with * for what tells the split, and the split."""
    *folders, stem = [*path.parts[:-1], bare_stem(path)]
    if shard := SHARD.fullmatch(stem):
        stem = shard["name"]
    elif WEAKNESS.fullmatch(stem):
        stem = "cwe-#"
    elif stem in LABELLED_BY_NAME:
        stem = "vulnerables"
    # What stands next to the split's name tells the table: primevul_train_paired is another one.
    words = re.split(r"([\W_]+)", stem)
    splits = [split_named(word) for word in words]
    if len(named := [split for split in splits if split]) == 1:
        words[splits.index(named[0])] = "*"
    else:
        named = [split for split in map(split_named, folders) if split][-1:]
        folders = ["*" if named and split_named(folder) else folder for folder in folders]
    endings = path.name[len(bare_stem(path)) :].lower()
    # In lower case: VDISC_train and vdisc_validate go together.
    table = "/".join([*folders, "".join(words)]).lower() + endings
    return table, named[0] if named else WHOLE


def _in_order(paths: list[Path]) -> tuple[Path, ...]:
    """The shards of a split by their numbers; DataError where one is missing."""
    shards = {path: SHARD.fullmatch(bare_stem(path)) for path in paths}
    numbers = [int(shard["number"]) for shard in shards.values() if shard]
    counts = {int(shard["count"]) for shard in shards.values() if shard}
    if not numbers:
        return tuple(paths)
    if len(counts) > 1 or sorted(numbers) != list(range(max(counts))):
        found = ", ".join(path.name for path in paths[:6])
        raise DataError(
            f"{paths[0].parent} must hold every shard of one table, found {found}: "
            f"{len(numbers)} of {max(counts)}. Download the missing ones, or move the others away."
        )
    return tuple(sorted(paths, key=lambda path: int(shards[path]["number"])))  # type: ignore[index]


def _without_splits(folder: Path, tables: Mapping[str, Found]) -> Found:
    """The one table below a folder, where none has all three splits."""
    # The hub puts a data set without splits under train.
    alone = {
        name: one.get(WHOLE) or one["train"]
        for name, one in tables.items()
        if set(one) == {WHOLE}
        or (set(one) == {"train"} and SHARD.fullmatch(bare_stem(one["train"][0])))
    }
    partial = {name: one for name, one in tables.items() if name not in alone}
    if partial or not alone:
        raise DataError(_missing_files(folder, partial))
    if len(alone) > 1:
        _refuse_several(folder, [paths[0] for paths in alone.values()])
    return {WHOLE: next(iter(alone.values()))}


def _refuse_several(folder: Path, firsts: list[Path]) -> None:
    names = " or ".join(str(path.relative_to(folder)) for path in firsts[:4])
    more = f" or {len(firsts) - 4:,} more" if len(firsts) > 4 else ""
    raise DataError(
        f"{folder} must hold one table, found several that could be meant: {names}{more}. Move the "
        "others away, or name as data_dir the one file that is meant, or a folder with it alone."
    )


def _missing_files(folder: Path, partial: Mapping[str, Found]) -> str:
    splits = {split: paths for one in partial.values() for split, paths in one.items()}
    if not splits:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        there = [path.name for path in paths]
        found = f"found {', '.join(there[:5])}" if there else "it is empty"
        more = f" and {len(there) - 5} more" if len(there) > 5 else ""
        return (
            f"{folder} must hold functions: VDISC_train.hdf5, VDISC_validate.hdf5, "
            "VDISC_test.hdf5, or train, validation, test as .jsonl, .json, .csv, .parquet or "
            f".arrow, or one such file; {found}{more}."
            f"{_deeper(folder) or advice_for(_below(paths))}"
        )
    files = sorted(
        str(path.relative_to(folder))
        for one in partial.values()
        for paths in one.values()
        for path in paths
    )
    missing = [_name_of(split, splits) for split in SPLITS if split not in splits]
    # Each split is there, but under names that do not go together.
    rule = f"missing {', '.join(missing)}" if missing else "under names that go together"
    return (
        f"{folder} must hold all three splits, {rule} (found {', '.join(files[:8])}"
        f"{f' and {len(files) - 8:,} more' if len(files) > 8 else ''})."
        f"{_advice(missing, files)}{_dangling(folder)}"
    )


def _deeper(folder: Path) -> str:
    """Where files of functions lie that are too deep to be looked for; empty for none."""
    path = next(_data_files(folder, DEPTH + 2), None)
    where = "" if path is None else str(path.parent.relative_to(folder))
    return f" What lies in {where} is too deep: name that folder as data_dir." if where else ""


def _dangling(folder: Path) -> str:
    links = [path.name for path in sorted(folder.iterdir()) if format_of(path)]
    dangling = [name for name in links if not (folder / name).exists()]
    return f" {dangling[0]} is a link to a file that is absent." if dangling else ""


def _below(paths: list[Path]) -> Iterator[Path]:
    """Some files, and those of folders among them: a folder for each label has its files there."""
    for path in paths:
        yield from sorted(path.iterdir()) if path.is_dir() else (path,)


def _name_of(split: str, splits: Found) -> str:
    """What a missing split's file is called, where the others have the names that enstack asks."""
    there = {path for paths in splits.values() for path in paths}
    for names in (VDISC_NAMES, dict(zip(SPLITS, SPLITS, strict=True))):
        if all(bare_stem(path) in names.values() for path in there):
            return names[split] + min(there).name.removeprefix(bare_stem(min(there)))
    return split


def _advice(missing: list[str], files: list[str]) -> str:
    if not missing:
        return " Name and pack them alike, as in a_train.csv, a_valid.csv, a_test.csv."
    if len(files) == 1:
        these = "it" if len(missing) == 1 else "them"
        return f" Add {these}, or, for a table without splits, name this file as data_dir."
    return (
        " Add it, under a name like the others', or write all functions into one file, which is "
        "then divided."
    )
