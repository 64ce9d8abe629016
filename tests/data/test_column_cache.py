"""The copy of a data file's columns: the same data, read once, checked, no memory for texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enstack.data import column_cache as stored
from enstack.data.functions import read_data
from enstack.data.readings import Source, sources_of
from enstack.data.texts import AS_LATIN_1
from enstack.toy.fake_vdisc import write_fake_vdisc
from tests.support.data_files import (
    FLAGS,
    SOURCES,
    flag_rows,
    label_rows,
    write_all_hdf5,
    write_rows,
)

ODD = [SOURCES[0], "", b"f() { puts('caf\xe9'); }", " \n", "g() { /* ünï */ }", SOURCES[5]]


def refuse_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Any:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(stored, "read_sources", refused)
    monkeypatch.setattr(stored, "read_table", refused)


@pytest.mark.parametrize("label_mode", ["cwe", "cwe_or_clean", "binary"])
@pytest.mark.parametrize("subset", ["all", 2])
def test_stored_columns_give_the_same_data_and_notes(
    tmp_path: Path, label_mode: str, subset: Any
) -> None:
    folder = write_all_hdf5(tmp_path, sources=ODD)
    wanted = {"label_mode": label_mode, "subset": subset}
    plain = read_data(folder, **wanted)
    for _ in range(2):
        kept = read_data(folder, **wanted, cache_dir=tmp_path / "cache")
        assert kept.summary() == plain.summary()
        for split, functions in kept.splits.items():
            assert functions.sources.equals(plain.splits[split].sources)
            assert functions.ids.tolist() == plain.splits[split].ids.tolist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("labels", [[0, 2.0, 2], ["CWE-119", "CWE-120", "cwe_120"], None])
def test_tables_of_any_kind_are_stored_with_their_labels(
    tmp_path: Path, suffix: str, labels: Any
) -> None:
    if suffix == "parquet" and labels:
        labels = [str(label) for label in labels]
    folder = write_rows(tmp_path, suffix, label_rows(labels) if labels else flag_rows())
    plain = read_data(folder)
    for _ in range(2):
        kept = read_data(folder, cache_dir=tmp_path / "cache")
        assert kept.summary() == plain.summary()


def test_a_second_read_opens_no_data_file_whatever_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_all_hdf5(tmp_path)
    read_data(folder, cache_dir=tmp_path / "cache")
    refuse_reading(monkeypatch)
    for label_mode in ("cwe", "cwe_or_clean", "binary"):
        read_data(folder, label_mode=label_mode, subset=4, seed=3, cache_dir=tmp_path / "cache")
    monkeypatch.delattr(
        "enstack.data.vulnerability_data.digest_of"
    )  # nor are all texts hashed once more
    assert read_data(folder, label_mode="binary", cache_dir=tmp_path / "cache").fingerprint


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    folder = write_all_hdf5(tmp_path)
    before = read_data(folder, cache_dir=tmp_path / "cache").fingerprint
    write_all_hdf5(tmp_path, sources=[*SOURCES[:4], "other() { return 1; }", SOURCES[5]])
    after = read_data(folder, cache_dir=tmp_path / "cache").fingerprint
    assert after != before
    assert after == read_data(folder).fingerprint


def test_files_that_were_fetched_anew_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = write_all_hdf5(tmp_path), tmp_path / "cache"
    before = read_data(folder, cache_dir=cache)
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    with monkeypatch.context() as patched:
        refuse_reading(patched)
        again = read_data(folder, cache_dir=cache)
    assert again.fingerprint == before.fingerprint
    for split, functions in before.splits.items():
        assert again.splits[split].sources.equals(functions.sources)


def test_another_byte_in_the_midst_of_a_file_of_the_same_size_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a file of a few bytes both ends would be all of it.
    monkeypatch.setattr("enstack.storage.files.digest_of_ends", lambda _: "the same ends")
    folder, cache = write_all_hdf5(tmp_path), tmp_path / "cache"
    before = read_data(folder, cache_dir=cache).fingerprint
    other = SOURCES[4].translate(str.maketrans("abcdefgh", "bcdefgha"))
    write_all_hdf5(tmp_path, sources=[*SOURCES[:4], other, SOURCES[5]])
    after = read_data(folder, cache_dir=cache).fingerprint
    assert after != before
    assert after == read_data(folder).fingerprint


@pytest.mark.parametrize("name", ["texts.bin", "flags.npy", "rows.npy", "offsets.npy"])
def test_a_rotted_copy_is_made_again(tmp_path: Path, name: str) -> None:
    folder = write_all_hdf5(tmp_path)
    before = read_data(folder, cache_dir=tmp_path / "cache").fingerprint
    for path in (tmp_path / "cache").rglob(name):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    assert read_data(folder, cache_dir=tmp_path / "cache").fingerprint == before


def test_a_stopped_copy_is_begun_again_and_finished_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = write_all_hdf5(tmp_path), tmp_path / "cache"
    whole, read = stored.read_sources, []

    def stopped(source: Source, reading: Any) -> Any:
        (path,) = source.paths
        read.append(path.name)
        if "validate" in path.name and len(read) == 2:
            raise KeyboardInterrupt
        return whole(source, reading)

    monkeypatch.setattr(stored, "read_sources", stopped)
    with pytest.raises(KeyboardInterrupt):
        read_data(folder, cache_dir=cache)
    assert [stored.is_cached(source, cache) for source in sources_of(folder).values()] == [
        True,
        False,
        False,
    ]
    read_data(folder, cache_dir=cache)
    assert read[2:] == ["VDISC_validate.hdf5", "VDISC_test.hdf5"]


def test_without_room_texts_come_into_memory_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_all_hdf5(tmp_path)
    monkeypatch.setattr(stored, "ROOM_TO_LEAVE", 2**60)
    kept = read_data(folder, cache_dir=tmp_path / "cache")
    assert kept.summary() == read_data(folder).summary()
    assert "VDISC_train.hdf5 is read into memory" in capsys.readouterr().out


def test_blank_texts_alone_are_refused_from_a_copy_too(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path, sources=[" "] * 6)
    for _ in range(2):
        with pytest.raises(Exception, match="all 5 texts are blank"):
            read_data(tmp_path, cache_dir=tmp_path / "cache")


MEASURE = """
import json, sys
from pathlib import Path
from enstack.data.functions import read_data

def anonymous_and_mapped():
    lines = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssFile")) * 1024

folder, cache = map(Path, sys.argv[1:])
small = read_data(folder, label_mode="binary", subset=2, cache_dir=cache)
before, peak = anonymous_and_mapped(), 0
train = read_data(folder, label_mode="binary", cache_dir=cache).splits["train"]
for sources in train.batches(500):
    sources.to_pylist()
    peak = max(peak, anonymous_and_mapped())
print(json.dumps([peak - before, sum(map(len, train.sources.to_pylist()))]))
"""


def test_reading_through_all_texts_needs_a_part_of_their_memory(tmp_path: Path) -> None:
    folder = write_fake_vdisc(tmp_path / "fake", 40_000)
    read_data(folder, label_mode="binary", cache_dir=tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, n_bytes = json.loads(done.stdout)
    assert n_bytes > 25_000_000
    assert grown < n_bytes / 2


def test_flags_keep_their_rows(tmp_path: Path) -> None:
    write_all_hdf5(tmp_path, sources=ODD)
    columns = stored.read_columns(Source((tmp_path / "VDISC_train.hdf5",)), tmp_path / "cache")
    assert columns.table.flags is not None
    assert np.array_equal(columns.table.flags, FLAGS)
    assert columns.texts.rows.tolist() == [0, 2, 4, 5]
    assert columns.texts.decoded_as.tolist() == [0, AS_LATIN_1, 0, 0]
