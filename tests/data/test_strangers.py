"""Files that are no data, or hold it otherwise: each is named for what it is, with what to do."""

from __future__ import annotations

import errno
import gzip
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from enstack.data.columns import read_table
from enstack.data.formats import reader_of
from enstack.data.functions import read_data, read_tables
from enstack.data.strangers import readable
from enstack.errors import DataError
from tests.support.data_files import (
    FLAGS,
    SOURCES,
    flag_rows,
    label_rows,
    write_all_hdf5,
    write_rows,
)

TABLES = ("csv", "jsonl")


def refused(folder: Path, named: str, *, damaged: bool = False) -> str:
    """What is said of a folder that can't be read; to copy it again only where that helps."""
    with pytest.raises(DataError, match=named) as caught:
        read_data(folder)
    assert ("again" in str(caught.value)) is damaged
    return str(caught.value)


@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named_and_the_advice_works(
    tmp_path: Path, suffix: str, encoding: str
) -> None:
    rows = [{**row, "func": f"{row['func']} /* größe */"} for row in flag_rows()]
    plain = read_data(write_rows(tmp_path, suffix, rows)).fingerprint
    train = tmp_path / f"train.{suffix}"
    train.write_bytes(train.read_bytes().decode().encode(encoding))
    told = refused(tmp_path, "train.* must be UTF-8, it is UTF-")
    subprocess.run(told.split("`")[1], shell=True, cwd=tmp_path, check=True)
    assert read_data(tmp_path).fingerprint == plain


@pytest.mark.parametrize("suffix", TABLES)
def test_a_utf_8_byte_order_mark_does_no_harm(tmp_path: Path, suffix: str) -> None:
    plain = read_data(write_rows(tmp_path, suffix, flag_rows())).fingerprint
    train = tmp_path / f"train.{suffix}"
    train.write_bytes(b"\xef\xbb\xbf" + train.read_bytes())
    assert read_data(tmp_path).fingerprint == plain


@pytest.mark.parametrize("suffix", [*TABLES, "parquet"])
def test_an_archive_or_another_format_under_the_name_is_named(tmp_path: Path, suffix: str) -> None:
    write_rows(tmp_path, suffix, flag_rows())
    train = tmp_path / f"train.{suffix}"
    train.write_bytes(gzip.compress(train.read_bytes()))
    refused(tmp_path, f"train.{suffix} must be {suffix}, it is a gzip archive. Unpack it")
    with h5py.File(train, "w"):
        pass
    refused(tmp_path, "it is an HDF5 file. Give it the ending .hdf5")


@pytest.mark.parametrize("suffix", TABLES)
def test_a_file_of_nul_bytes_is_a_copy_that_failed(tmp_path: Path, suffix: str) -> None:
    write_rows(tmp_path, suffix, flag_rows())
    (tmp_path / f"train.{suffix}").write_bytes(bytes(9000))
    refused(tmp_path, "begins with 4,096 NUL bytes, as a copy that failed leaves", damaged=True)


# JSON lines


@pytest.mark.parametrize(
    ("change", "named", "damaged"),
    [
        (lambda lines: ["[" + "\n".join(lines) + "]"], "after 1 rows, ',' must follow", False),
        (lambda lines: ["[" + ",".join(lines)], "after 6 rows, .* it was cut short", True),
        (lambda lines: [f"[{','.join(lines)},"], "after 6 rows, .*broken", True),
        (lambda lines: [f"[{','.join(lines)}] {{}}"], "after 6 rows, more stands after", False),
        (lambda lines: ["[[1, 2]]"], "after 0 rows, an item .* must be one object", False),
        (lambda lines: [lines[0].join("[]").replace(":", "", 1)], "after 0 rows, its JSON", True),
        (lambda lines: ["\r".join(lines)], "line 1 .* ends its lines with a bare CR", False),
        (lambda lines: [*lines, "\0" * 20], "line 7 .* it holds NUL bytes", True),
        (lambda lines: [lines[0], "{,}", *lines[1:]], "line 2 .* Mend or remove that line", False),
        (lambda lines: [*lines[:5], lines[5][:-9]], "line 6 .* It is the last line, and was", True),
        (lambda lines: ["{", *lines[0][1:].split(", ")], "line 1 .* goes on in the next", False),
        (lambda lines: [*lines, "[" * 100_000], "line 7 must be one JSON object", False),
        (lambda lines: [*lines, f'{{"label": {"9" * 5000}}}'], "line 7 .*too many digits", False),
        (lambda lines: [*lines, '{"func": "a", "func": "b"}'], "line 7 .* has func twice", False),
        (lambda lines: [lines[0].replace("{", '{"CWE-119": 1, ', 1)], "line 1 .* twice", False),
    ],
)  # fmt: skip
def test_what_is_at_fault_with_json_lines_is_named_with_its_line(
    tmp_path: Path, change: Any, named: str, damaged: bool
) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    train = tmp_path / "train.jsonl"
    changed = "\n".join(change(train.read_text().splitlines()))
    # Whole lines all end in one; only a file that was cut short lacks it.
    train.write_text(changed if "last line" in named else changed + "\n")
    refused(tmp_path, f"train.jsonl: {named}", damaged=damaged)


def test_an_array_under_the_name_of_json_lines_is_read(tmp_path: Path) -> None:
    plain = read_data(write_rows(tmp_path, "jsonl", flag_rows())).fingerprint
    train = tmp_path / "train.jsonl"
    train.write_text("[" + ",\n".join(train.read_text().splitlines()) + "]\n")
    assert read_data(tmp_path).fingerprint == plain


def test_a_key_twice_in_what_is_not_read_does_no_harm(tmp_path: Path) -> None:
    write_rows(tmp_path, "jsonl", flag_rows())
    train = tmp_path / "train.jsonl"
    train.write_text(train.read_text().replace('{"func"', '{"id": 1, "id": 2, "func"'))
    assert len(read_data(tmp_path).splits["train"]) == 5


# HDF5 and parquet


def replaced(folder: Path, make: Any) -> Path:
    """A folder whose train file has another CWE-119, as `make` puts it there."""
    write_all_hdf5(folder)
    with h5py.File(folder / "VDISC_train.hdf5", "a") as file:
        del file["CWE-119"]
        make(file)
    return folder


def external_link(file: h5py.File) -> None:
    file["CWE-119"] = h5py.ExternalLink("/etc/passwd", "/CWE-119")


def soft_link(file: h5py.File) -> None:
    file["elsewhere"] = h5py.ExternalLink("VDISC_test.hdf5", "/")
    file["CWE-119"] = h5py.SoftLink("/elsewhere/CWE-119")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("CWE-119", (6,), np.uint8, external=[("/etc/passwd", 0, 6)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((6,), bool)
    layout[:] = h5py.VirtualSource("VDISC_test.hdf5", "CWE-119", (6,))
    file.create_virtual_dataset("CWE-119", layout)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (external_link, "CWE-119 is a link"),
        (soft_link, "CWE-119 is a link"),
        (external_storage, "CWE-119 keeps its values in other files"),
        (virtual, "CWE-119 keeps its values in other files"),
    ],
)
def test_hdf5_that_leads_to_other_files_is_refused_by_name(
    tmp_path: Path, make: Any, named: str
) -> None:
    refused(replaced(tmp_path, make), f"VDISC_train.hdf5: {named}")


def test_a_link_among_other_keys_is_not_opened(tmp_path: Path) -> None:
    def make(file: h5py.File) -> None:
        file["CWE-119"] = FLAGS[:, 0]
        file["notes"] = h5py.ExternalLink("/nowhere", "/")

    assert len(read_data(replaced(tmp_path, make)).splits["train"]) == 5


def test_rows_that_were_declared_and_never_written_are_refused_at_once(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path)
    path = tmp_path / "VDISC_train.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("functionSource", "CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other"):
            kind = h5py.string_dtype() if name == "functionSource" else bool
            file.create_dataset(name, (10**12,), kind, chunks=(1024,))
    refused(tmp_path, "functionSource has 1,000,000,000,000 rows and no value")


def test_a_filter_that_is_not_there_is_named(tmp_path: Path) -> None:
    def make(file: h5py.File) -> None:
        file.create_dataset("CWE-119", data=FLAGS[:, 0], compression="lzf")

    with mock.patch("h5py.h5z.filter_avail", return_value=False):
        refused(replaced(tmp_path, make), "CWE-119 is packed with lzf, which h5py lacks here")


def test_a_link_to_a_data_file_is_read_as_the_file(tmp_path: Path) -> None:
    # As the hub's own cache lays out a folder: every file is a link out of it.
    blobs = write_all_hdf5(tmp_path)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for path in blobs.glob("*.hdf5"):
        (snapshot / path.name).symlink_to(path)
    assert read_data(snapshot).fingerprint == read_data(blobs).fingerprint


def test_what_a_library_can_not_do_is_no_damage(tmp_path: Path) -> None:
    write_rows(tmp_path, "parquet", label_rows(["CWE-119", "CWE-120"]))
    with mock.patch.object(
        pq.ParquetFile, "iter_batches", side_effect=pa.ArrowNotImplementedError("codec lzo")
    ):
        refused(tmp_path, "train.parquet holds what can't be read here: codec lzo")


@pytest.mark.parametrize(
    ("fault", "named", "damaged"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "can't be opened or read .Perm",
            False,
        ),
        (OSError(errno.EIO, "Input/output error"), "Input/output error.*Drive is connected", False),
        (MemoryError("Unable to allocate 8 TiB"), "needs more memory than there is", False),
        (OSError("truncated file: eof = 96"), "truncated or damaged: truncated file", True),
    ],
)
def test_a_fault_of_the_system_is_told_as_one(
    tmp_path: Path, fault: BaseException, named: str, damaged: bool
) -> None:
    with pytest.raises(DataError, match=named) as caught, readable(tmp_path / "train.csv"):
        raise fault
    assert ("again" in str(caught.value)) is damaged


def test_bytes_beyond_the_head_are_no_reason_to_refuse_a_text_with_nul(tmp_path: Path) -> None:
    rows = [{**row, "func": f"{row['func']} \0"} for row in label_rows(["CWE-119", "CWE-120"] * 3)]
    path = write_rows(tmp_path, "csv", rows) / "train.csv"
    (batch,) = reader_of(path).batches(path, ("func",))
    assert batch["func"].tolist() == [f"{source} \0" for source in SOURCES]


@pytest.mark.parametrize("cached", [False, True])
def test_a_file_that_grows_while_it_is_read_is_told(tmp_path: Path, cached: bool) -> None:
    path = tmp_path / "data" / "a.jsonl"
    path.parent.mkdir()
    path.write_text("".join(f'{{"func": "f() {{ {n}; }}", "label": {n % 2}}}\n' for n in range(9)))
    plain = path.read_text()

    def grown(table: Any) -> Any:
        path.write_text(plain * 2)
        return table

    with (
        mock.patch(
            "enstack.data.column_cache.read_table", lambda source: grown(read_table(source))
        ),
        pytest.raises(
            DataError, match=r"a.jsonl changed while it was read. Wait until it is whole"
        ),
    ):
        read_tables(path, cache_dir=tmp_path / "cache" if cached else None)
