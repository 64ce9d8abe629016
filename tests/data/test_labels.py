"""What flags become: label modes, rules for several flags, and the counts of what they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.data.labels import CWE_CLASSES
from enstack.data.subsets import choose, stratified_parts
from enstack.errors import ConfigError, DataError
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.toy.fake_vdisc import write_fake_vdisc
from tests.support.data_files import write_hdf5

FLAGS = SeveralFlags(CWE_CLASSES)
some_flags = st_numpy.arrays(bool, st.tuples(st.integers(1, 40), st.just(5)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_vdisc(tmp_path_factory.mktemp("fake"), 4000)


def labelled(data: VulnerabilityData, split: str = "train") -> dict[str, Any]:
    functions = data.splits[split]
    return dict(zip(functions.ids.tolist(), functions.labels.tolist(), strict=True))


@pytest.fixture(scope="module")
def flags(folder: Path) -> dict[str, list[bool]]:
    """Of every train function, as label mode multilabel has them."""
    return labelled(read_data(folder, label_mode="multilabel"))


@pytest.mark.parametrize("label_mode", ["cwe", "cwe_or_clean"])
def test_strict_single_drops_the_functions_with_several_flags_and_changes_no_other(
    folder: Path, flags: dict[str, list[bool]], label_mode: str
) -> None:
    by_priority = labelled(read_data(folder, label_mode=label_mode))
    strict = read_data(folder, label_mode=label_mode, label_rule="strict_single")
    several = {name for name, own in flags.items() if sum(own) > 1}
    assert several
    assert labelled(strict) == {k: v for k, v in by_priority.items() if k not in several}
    assert strict.dropped["train"]["several flags"] == len(several)
    assert strict.summary()["flags_become"]["several flags"] == "dropped"
    assert "label_rule=strict_single" in strict.label_rule
    assert any(f"{len(several):,} functions with several flags, dropped" in n for n in strict.notes)


def test_the_priority_takes_the_first_flag(folder: Path, flags: dict[str, list[bool]]) -> None:
    found = labelled(read_data(folder, label_mode="cwe"))
    assert found == {name: own.index(True) for name, own in flags.items() if any(own)}


def test_multilabel_keeps_every_function_and_every_flag(folder: Path) -> None:
    import h5py

    data = read_data(folder, label_mode="multilabel")
    train = data.splits["train"]
    with h5py.File(folder / "VDISC_train.hdf5") as file:
        written = np.column_stack([file[name][:] for name in CWE_CLASSES])
    assert train.labels.dtype == bool
    np.testing.assert_array_equal(train.labels, written)
    counts = data.summary()["counts"]["train"]
    assert list(counts.values()) == written.sum(axis=0).tolist()


@pytest.mark.parametrize("label_mode", ["cwe", "cwe_or_clean", "binary", "multilabel"])
def test_the_functions_of_the_files_are_counted_by_their_flags(
    folder: Path, flags: dict[str, list[bool]], label_mode: str
) -> None:
    summary = read_data(folder, label_mode=label_mode).summary()
    n_flags = [sum(own) for own in flags.values()]
    counted = {kind: found["train"] for kind, found in summary["flag_counts"].items()}
    assert counted == {
        "no flag": n_flags.count(0),
        "one flag": n_flags.count(1),
        "several flags": sum(n > 1 for n in n_flags),
    }
    assert summary["flags_become"].keys() == counted.keys()


def test_a_label_column_becomes_one_flag_or_none(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        lines = [
            {"func": f"f{n}() {{}}", "label": label}
            for n, label in enumerate(["CWE-476", "clean", "CWE-119"])
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    train = read_data(tmp_path, label_mode="multilabel").splits["train"]
    expected = np.zeros((3, 5), dtype=bool)
    expected[0, CWE_CLASSES.index("CWE-476")] = expected[2, 0] = True
    np.testing.assert_array_equal(train.labels, expected)


@pytest.mark.parametrize("label_mode", ["binary", "multilabel"])
def test_strict_single_is_refused_where_several_flags_are_no_question(
    label_mode: str,
) -> None:
    with pytest.raises(ConfigError, match="label_rule=strict_single must go with label_mode=cwe"):
        RunConfig(label_mode=label_mode, label_rule="strict_single")


def test_under_strict_single_a_file_without_any_single_flag_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    for split in ("train", "validation", "test"):
        write_hdf5(tmp_path, split, [b"f() {}"] * 3, np.ones((3, 5), dtype=bool))
    with pytest.raises(DataError, match="none of its 3 functions has exactly one flag"):
        read_data(tmp_path, label_rule="strict_single")


def test_flags_that_no_function_or_every_function_has_are_refused(tmp_path: Path) -> None:
    alike = np.zeros((4, 5), dtype=bool)
    alike[:, 2] = True
    with pytest.raises(
        DataError, match="with and without a flag, all of its 4 functions are alike"
    ):
        FLAGS.require_two_sides(alike, "The training split", "Choose.")
    alike[0, 4] = True
    FLAGS.require_two_sides(alike, "The training split", "Choose.")


@given(some_flags)
def test_functions_are_of_one_stratum_just_if_all_their_flags_are_equal(flags: np.ndarray) -> None:
    same_stratum = FLAGS.strata(flags)[:, None] == FLAGS.strata(flags)[None]
    same_flags = (flags[:, None] == flags[None]).all(axis=2)
    np.testing.assert_array_equal(same_stratum, same_flags)


def test_a_number_draws_every_combination_of_flags_in_proportion() -> None:
    kinds = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=bool)
    flags = np.repeat(kinds, [50, 30, 20], axis=0)
    drawn = flags[choose(FLAGS.strata(flags), 50, "train", [1])]
    assert [int((drawn == kind).all(axis=1).sum()) for kind in kinds] == [25, 15, 10]


@given(some_flags, st.integers(2, 5), st.integers(0, 9))
def test_parts_have_every_combination_of_flags_as_evenly_as_can_be(
    flags: np.ndarray, n_parts: int, seed: int
) -> None:
    parts = stratified_parts(FLAGS.strata(flags), n_parts, seed)
    for group in [
        np.ones(len(flags), dtype=bool),
        *(FLAGS.strata(flags) == s for s in FLAGS.strata(flags)),
    ]:
        sizes = np.bincount(parts[group], minlength=n_parts)
        assert sizes.max() - sizes.min() <= 1


def test_a_label_is_named_by_its_class_or_by_all_its_flags() -> None:
    assert OneClass(CWE_CLASSES).label_name(np.int64(2)) == "CWE-469"
    assert FLAGS.label_name(np.array([1, 0, 0, 1, 0], bool)) == "CWE-119 and CWE-476"
    assert FLAGS.label_name(np.zeros(5, bool)) == "no flag"
