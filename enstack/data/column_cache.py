"""The columns of a data file on this machine's own disk: read once, then mapped, never loaded."""

from __future__ import annotations

import hashlib
import mmap
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from enstack.data.columns import read_table
from enstack.data.readings import Reading, Source
from enstack.data.same_bytes import contents_of, taken_over
from enstack.data.table import Table
from enstack.data.texts import read_sources
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.storage.caches import is_usable, making_cache
from enstack.storage.disks import ROOM_TO_LEAVE
from enstack.storage.files import file_state, sha256_json
from enstack.storage.json_text import json_text, parsed_json
from enstack.storage.links import make_folder
from enstack.storage.manifest import read_manifest, write_manifest

FORMAT = 4  # raise when the files of a folder change their meaning
MIB = 2**20
GROUPS = "groups.feather"
FLAW_LINES = "flaw_lines.feather"
HASH_ROWS = 65536  # part of what digests mean


class Texts(NamedTuple):
    """The functions of a file that have any text.

    sources: large_string (n,); rows: int64 (n,), where each lies in the file; decoded_as:
    uint8 (n,) and flaw_lines, as in TextBatch; mapped: the file behind the sources, if there is;
    digest: `digest_of` the sources, where it is known.
    """

    sources: pa.Array
    rows: np.ndarray
    decoded_as: np.ndarray
    mapped: mmap.mmap | None = None
    digest: str | None = None
    flaw_lines: pa.Array | None = None


@dataclass(frozen=True)
class Columns:
    """All columns of one split: labels of every row, texts of those that have one."""

    table: Table
    texts: Texts


def read_columns(source: Source, cache_dir: Path | None = None) -> Columns:
    """The columns of a split, from their copy in cache_dir, which is made first if need be.

    Without a cache_dir, or without room in it, texts come into memory. Raises DataError for files
    that can't be used.
    """
    if cache_dir is None:
        return _loaded(source)
    folder, made_from = _place(source, cache_dir)
    path = source.paths[0]
    # Its content is read in full: training on texts that have rotted would go unnoticed.
    if not is_usable(folder, made_from) and not taken_over(folder, made_from, source.files):
        if not _has_room(source, cache_dir):
            return _loaded(source)
        try:
            _store(source, folder, made_from)
        except OSError as error:
            reason = error.strerror or str(error)
            # A cache is a help and no need: a disk that is full half-way stops no run.
            say(f"⚠️  {path.name} can't be kept in {cache_dir} ({reason}): it is read into memory.")
            return _loaded(source)
    return _opened(path, folder)


def is_cached(source: Source, cache_dir: Path) -> bool:
    """Whether a copy of the columns of a split, as its files are now, was once finished."""
    try:
        folder, made_from = _place(source, cache_dir)
    except OSError:
        return False  # whoever reads it next says what is wrong
    # Not hashed here: whoever reads the columns does that, and makes them anew where they rotted.
    return (read_manifest(folder) or {}).get("made_from") == made_from


def release(mapped: mmap.mmap | None) -> None:
    """Give back the memory of what was read through a map; it is read anew when asked for.

    The system would do so when memory is short, but until then counts it as the program's.
    """
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def batches_of(sources: pa.Array, size: int, mapped: mmap.mmap | None = None) -> Iterator[pa.Array]:
    """The texts in order, so many at a time; what was read through a map is given back."""
    for start in range(0, len(sources), size):
        yield sources.slice(start, size)
        release(mapped)


def digest_of(sources: pa.Array, mapped: mmap.mmap | None = None) -> str:
    """Sha256 over texts (n,) in their order and their lengths, as hex."""
    digest = hashlib.sha256()
    for batch in batches_of(sources, HASH_ROWS, mapped):
        # Lengths too: end to end, "ab" and "c" are the bytes of "a" and "bc".
        lengths = pc.binary_length(batch).to_numpy(zero_copy_only=False)
        # The byte order is named: digests are stored, and compared on other machines.
        digest.update(lengths.astype("<i8").tobytes())
        digest.update(text_bytes(batch))
    return digest.hexdigest()


def text_bytes(sources: pa.Array) -> memoryview:
    """The bytes of all texts (n,) end to end, without a copy."""
    # large_string throughout: offsets of Arrow's plain strings have 32 bits, and end at 2 GiB.
    _, offset_buffer, data = sources.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)
    first, last = offsets[sources.offset], offsets[sources.offset + len(sources)]
    return memoryview(data if data is not None else b"")[first:last]


def _place(source: Source, cache_dir: Path) -> tuple[Path, dict[str, Any]]:
    # By names and not places: what was read of a staged copy is known of its source too. What was
    # asked and not what was found, so that nothing is opened to find the copy.
    made_from: dict[str, Any] = {
        "format": FORMAT,
        "files": [[path.name, file_state(path)] for path in source.files],
        "asked": asdict(source.asked),
    }
    if source.flaw_file is not None:
        made_from["split"] = source.split  # the file marks lines of other splits too
    # 16 digits make a short name; the manifest holds all of made_from, and that is compared.
    return cache_dir / "columns" / sha256_json(made_from)[:16], made_from


def _has_room(source: Source, cache_dir: Path) -> bool:
    """Whether the disk can take the texts; compressed ones may still prove too large for it."""
    make_folder(cache_dir)
    needed = sum(path.stat().st_size for path in source.files)
    free = shutil.disk_usage(cache_dir).free
    if free >= needed + ROOM_TO_LEAVE:
        return True
    say(
        f"⚠️  {source.paths[0].name} is read into memory: its texts need {needed / MIB:,.0f} MiB on "
        f"{cache_dir} and {ROOM_TO_LEAVE // MIB} MiB beside it, {free / MIB:,.0f} MiB are free. "
        "Make room there, or name another local_dir."
    )
    return False


def _batches(source: Source, reading: Reading) -> Iterator[tuple[int, Texts]]:
    """All texts but blank ones, a batch at a time, after the number of rows that were read."""
    first = 0
    for sources, decoded_as, flaw_lines in read_sources(source, reading):
        # Trimmed only to tell which are blank: a text that stays is left as it was.
        blank = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(sources)), 0)
        taken = np.flatnonzero(~blank.to_numpy(zero_copy_only=False))
        # Rows count from the start of the file, left-out ones included: ids are made of them.
        rows = pa.array(taken)
        marked = None if flaw_lines is None else flaw_lines.take(rows)
        texts = Texts(sources.take(rows), first + taken, decoded_as[taken], flaw_lines=marked)
        yield len(sources), texts
        first += len(sources)


def _loaded(source: Source) -> Columns:
    table = read_table(source)
    # Joining holds the texts twice for a moment, 2.3 GB for VDISC: hence the mapped copy.
    batches = [texts for _, texts in _batches(source, table.reading)]
    return Columns(
        table,
        Texts(
            pa.concat_arrays([batch.sources for batch in batches]),
            np.concatenate([batch.rows for batch in batches]),
            np.concatenate([batch.decoded_as for batch in batches]),
            flaw_lines=_together([batch.flaw_lines for batch in batches]),
        ),
    )


def _together(flaw_lines: Sequence[pa.Array | None]) -> pa.Array | None:
    """The marked lines of all batches; None where nothing marks lines."""
    parts = [part for part in flaw_lines if part is not None]
    return pa.concat_arrays(parts) if parts else None


def _store(source: Source, folder: Path, made_from: dict[str, Any]) -> None:
    """Write a folder with the columns of a split, as bytes and arrays that can be mapped."""
    table = read_table(source)
    lengths, rows, decoded_as, flaw_lines = [], [], [], []
    with making_cache(folder, made_from) as beside:
        with (
            (beside / "texts.bin").open("wb") as file,
            Bar(table.n_rows, f"Reading {source.paths[0].name}") as bar,
        ):
            for n_read, batch in _batches(source, table.reading):
                file.write(text_bytes(batch.sources))
                lengths.append(pc.binary_length(batch.sources).to_numpy(zero_copy_only=False))
                rows.append(batch.rows)
                decoded_as.append(batch.decoded_as)
                flaw_lines.append(batch.flaw_lines)
                bar.advance(n_read)
        np.save(beside / "offsets.npy", np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64))
        np.save(beside / "rows.npy", np.concatenate(rows))
        np.save(beside / "decoded_as.npy", np.concatenate(decoded_as))
        if (marked := _together(flaw_lines)) is not None:
            feather.write_feather(pa.table({"flaw_lines": marked}), str(beside / FLAW_LINES))
        _store_labels(table, beside)
        # Stored, so that no later start takes it anew; over the finished file, for its parts are of
        # HASH_ROWS rows, whatever batches the reader gave.
        digest = digest_of(*_mapped(beside))
        of_table = {
            "n_rows": table.n_rows,
            "both": table.both,
            "starts": table.starts,
            "reading": table.reading.to_json(),
            "contents": contents_of(source.files),
        }
        write_manifest(beside, made_from=made_from, digest=digest, **of_table)


def _store_labels(table: Table, folder: Path) -> None:
    if table.flags is not None:
        np.save(folder / "flags.npy", table.flags)
    else:
        # As JSON: numpy would store objects as a pickle, and no pickle is ever read.
        labels = table.labels.tolist() if table.labels is not None else []
        (folder / "labels.json").write_text(json_text(labels, default=_label_text))
    columns = (
        {}
        if table.groups is None
        else dict(zip(table.groups.column_names, table.groups.columns, strict=True))
    )
    if table.cwes is not None:
        columns["cwe"] = table.cwes
    if columns:
        feather.write_feather(pa.table(columns), str(folder / GROUPS))


def _label_text(label: Any) -> str:
    return label.decode("latin-1") if isinstance(label, bytes) else str(label)


def _opened(path: Path, folder: Path) -> Columns:
    manifest = read_manifest(folder) or {}
    flags, labels = None, None
    if (folder / "flags.npy").exists():
        flags = np.load(folder / "flags.npy")
    else:
        listed = parsed_json((folder / "labels.json").read_text())
        # Filled and not converted: labels that are lists would become an array of two dimensions.
        labels = np.empty(len(listed), dtype=object)
        labels[:] = listed
    groups = feather.read_table(str(folder / GROUPS)) if (folder / GROUPS).exists() else None
    cwes = None
    if groups is not None and "cwe" in groups.column_names:
        cwes = groups["cwe"].combine_chunks()
        groups = groups.drop_columns(["cwe"]) if groups.num_columns > 1 else None
    table = Table(
        path,
        manifest["n_rows"],
        flags,
        labels,
        manifest["both"],
        cwes,
        groups,
        Reading.from_json(manifest["reading"]),
        tuple((name, start) for name, start in manifest["starts"]),
    )
    sources, mapped = _mapped(folder)
    rows, decoded_as = (np.load(folder / f"{name}.npy") for name in ("rows", "decoded_as"))
    marked = None
    if (folder / FLAW_LINES).exists():
        marked = feather.read_table(str(folder / FLAW_LINES))["flaw_lines"].combine_chunks()
    return Columns(table, Texts(sources, rows, decoded_as, mapped, manifest["digest"], marked))


def _mapped(folder: Path) -> tuple[pa.Array, mmap.mmap | None]:
    offsets = np.load(folder / "offsets.npy")
    if offsets[-1] == 0:
        return pa.array([], type=pa.large_string()), None  # an empty file can't be mapped
    # The map keeps a descriptor of its own, so the file may be closed.
    with (folder / "texts.bin").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(mapped)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers), mapped
