from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.data.labels import CWE_CLASSES
from enstack.data.made_up import MADE_UP_NOTE, MARK
from enstack.errors import ConfigError
from enstack.inputs import read_run_data
from enstack.progress.screen import shown_on
from enstack.toy.fake_vdisc import LEXER, LONGEST, SHORTEST, split_sizes, write_fake_vdisc
from tests.support.command_line import enstack_here, refused

COMMENT = re.compile(r"/\*.*?\*/|//.*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_vdisc(tmp_path_factory.mktemp("fake"), 12_000)


@pytest.fixture(scope="module")
def sources(folder: Path) -> list[str]:
    return [text.decode("ascii") for text in _columns(folder / "VDISC_train.hdf5")[0]]


def _columns(path: Path) -> tuple[list[bytes], np.ndarray]:
    with h5py.File(path) as file:
        return list(file["functionSource"][:]), np.column_stack([file[n][:] for n in CWE_CLASSES])


def _all(folder: Path) -> list[tuple[bytes, tuple[bool, ...]]]:
    """Every function with its flags, in the order of the splits."""
    found = []
    for name in ("train", "validate", "test"):
        texts, flags = _columns(folder / f"VDISC_{name}.hdf5")
        found += list(zip(texts, map(tuple, flags.tolist()), strict=True))
    return found


def test_functions_are_divided_as_vdisc_divides_them() -> None:
    real = {"train": 1_019_471, "validation": 127_476, "test": 127_419}
    assert split_sizes(1_274_366) == real
    assert split_sizes(100_000) == {"train": 79_998, "validation": 10_003, "test": 9_999}
    with pytest.raises(ConfigError, match="3 are too few: ask for 10 or more"):
        split_sizes(3)
    assert min(split_sizes(10).values()) == 1


def test_the_files_have_the_keys_and_types_of_vdisc(folder: Path) -> None:
    for name in ("train", "validate", "test"):
        with h5py.File(folder / f"VDISC_{name}.hdf5") as file:
            assert set(file) == {"functionSource", *CWE_CLASSES}
            assert all(file[key].dtype == bool for key in CWE_CLASSES)
            assert h5py.check_string_dtype(file["functionSource"].dtype).encoding == "utf-8"
            assert h5py.check_string_dtype(file["functionSource"].dtype).length is None


@pytest.mark.parametrize("write_rows", [1, 700, 5000])
def test_a_seed_gives_the_same_functions_however_many_are_written_at_once(
    tmp_path: Path, write_rows: int
) -> None:
    written = write_fake_vdisc(tmp_path / "a", 3000, seed=7, write_rows=write_rows)
    assert _all(written) == _all(write_fake_vdisc(tmp_path / "b", 3000, seed=7))


def test_another_seed_gives_other_functions(tmp_path: Path) -> None:
    one, two = (_all(write_fake_vdisc(tmp_path / str(seed), 300, seed=seed)) for seed in (1, 2))
    assert not {text for text, _ in one} & {text for text, _ in two}


def test_flags_are_as_frequent_as_in_vdisc(folder: Path) -> None:
    flags = np.array([flags for _, flags in _all(folder)])
    vulnerable = flags.any(axis=1)
    assert vulnerable.mean() == pytest.approx(82_411 / 1_274_366, abs=0.01)
    assert flags.sum() / vulnerable.sum() == pytest.approx(1.48, abs=0.1)
    totals = np.array([24_157, 47_660, 2_625, 12_094, 35_028]) / 82_411
    assert np.abs(flags.sum(axis=0) / vulnerable.sum() - totals).max() < 0.08


def test_lengths_lie_near_those_of_vdisc(sources: list[str]) -> None:
    lengths = [len(LEXER.findall(COMMENT.sub("", source))) for source in sources[:3000]]
    assert min(lengths) >= SHORTEST
    assert np.quantile(lengths, 0.99) <= LONGEST
    # A byte-level BPE of 8,000 makes 1.5 tokens of one: measured, docs/decisions.md.
    assert 1.5 * np.quantile(lengths, [0.25, 0.5]) == pytest.approx([174, 318], rel=0.1)


def test_functions_look_like_those_of_vdisc(sources: list[str]) -> None:
    named = np.mean([bool(re.match(r"\w+\(", source)) for source in sources])
    assert 0.99 < named < 1
    assert np.mean([bool(COMMENT.search(source)) for source in sources]) == pytest.approx(
        0.51, abs=0.03
    )
    for source in sources[:500]:
        assert source.count("{") == source.count("}")
        assert not re.search(r"\{[a-zA-Z]\}", source)  # every gap was filled


def test_some_functions_are_near_duplicates_and_hardly_any_is_another(sources: list[str]) -> None:
    sets = [set(LEXER.findall(source)) for source in sources[:800]]
    best = np.zeros(len(sets))
    for (i, one), (j, two) in combinations(enumerate(sets), 2):
        if 0.69 < len(one) / len(two) < 1.45:
            jaccard = len(one & two) / len(one | two)
            best[[i, j]] = np.maximum(best[[i, j]], jaccard)
    assert 0.002 < (best >= 0.9).mean() < 0.05
    assert 0.01 < (best >= 0.7).mean() < 0.12
    assert len(set(sources)) > 0.999 * len(sources)


def test_the_stand_in_can_be_read_and_is_what_the_command_writes(
    folder: Path, tmp_path: Path
) -> None:
    assert enstack_here("toy", tmp_path / "fake", "--vdisc", 12000).returncode == 0
    data = read_data(tmp_path / "fake", label_mode="cwe_or_clean")
    assert data.fingerprint == read_data(folder, label_mode="cwe_or_clean").fingerprint
    assert sum(len(split) for split in data.splits.values()) == 12_000


def test_without_a_size_the_command_writes_the_toy_data(tmp_path: Path) -> None:
    assert enstack_here("toy", tmp_path / "toy").returncode == 0
    assert len(read_data(tmp_path / "toy", label_mode="binary").splits["train"]) == 600


def shown_bar(bar: object) -> bool:
    return True


@pytest.mark.parametrize("size", [[], ["--vdisc", "60"]])
def test_whoever_reads_a_folder_of_made_up_functions_is_told(
    tmp_path: Path, size: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """On the console, in the panel, and in what a report and an audit are made of."""
    assert enstack_here("toy", tmp_path / "toy", *size).returncode == 0
    told: list[str] = []
    shown = SimpleNamespace(warn=told.append, open=shown_bar, redraw=shown_bar, close=shown_bar)
    config = RunConfig(
        data_dir=str(tmp_path / "toy"), label_mode="binary", local_dir=str(tmp_path / "local")
    )
    with shown_on(shown):  # type: ignore[arg-type]
        assert MADE_UP_NOTE in read_run_data(config).notes
    assert told == [f"   · {MADE_UP_NOTE}"]
    assert MADE_UP_NOTE in capsys.readouterr().out
    (tmp_path / "toy" / MARK).unlink()
    assert MADE_UP_NOTE not in read_run_data(config).notes


@pytest.mark.parametrize("size", [[], ["--vdisc", "20"]])
def test_made_up_functions_never_take_the_place_of_data(tmp_path: Path, size: list[str]) -> None:
    (tmp_path / "VDISC_test.hdf5").write_text("an hour's download")
    done = enstack_here("toy", tmp_path, *size)
    refused(done, 2, "holds VDISC_test.hdf5. Name another folder")
    assert [path.name for path in tmp_path.iterdir()] == ["VDISC_test.hdf5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made", "--vdisc", "3"], "ask for 10 or more"),
        (["made", "--vdisc", "-5"], "ask for 10 or more"),
        (["file/made", "--vdisc", "20"], "file/made: Not a directory"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "file").write_text("")
    done = enstack_here("toy", tmp_path / arguments[0], *arguments[1:])
    refused(done, 2, message)
    assert done.stderr.count("\n") == 1


def test_a_stopped_writing_leaves_no_file_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enstack.toy.fake_vdisc._text", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_fake_vdisc(tmp_path, 100)
    assert list(tmp_path.glob("VDISC_*")) == []
