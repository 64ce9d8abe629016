"""What stands in two splits: found, dropped from train, and told."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enstack.data.functions import Functions, VulnerabilityData
from enstack.duplicates.contamination import (
    drop_from_train,
    duplicates_of_test,
    split_of_each,
    train_rows_to_keep,
)
from enstack.errors import DataError
from tests.support.similar_texts import TEXTS, brute_force, components, edited


def made(texts: list[str], sizes: tuple[int, int, int]) -> VulnerabilityData:
    """Data of these texts, dealt to the splits in their order; the labels alternate."""
    splits, start = {}, 0
    for name, size in zip(("train", "validation", "test"), sizes, strict=True):
        ids = np.array([f"{name}/{row}" for row in range(size)])
        sources = pa.array(texts[start : start + size], type=pa.large_string())
        splits[name] = Functions(ids, sources, np.arange(size) % 2)
        start += size
    return VulnerabilityData(splits, ("clean", "vulnerable"), "binary", "made up")


@settings(deadline=None, derandomize=True)
@given(TEXTS, st.sampled_from([0.6, 0.7, 0.9, 1.0]), st.data())
def test_rows_of_train_that_stay_are_like_none_of_another_split(
    edits: list[list[tuple[int, str]]], threshold: float, draw: st.DataObject
) -> None:
    texts = [edited(each) for each in edits]
    n_train = draw.draw(st.integers(1, len(texts)))
    n_test = draw.draw(st.integers(0, len(texts) - n_train))
    data = made(texts, (n_train, len(texts) - n_train - n_test, n_test))
    alike = brute_force(texts, threshold)
    elsewhere = alike[:n_train, n_train:].any(axis=1)
    if 2 * elsewhere.sum() > n_train:
        with pytest.raises(DataError, match=f"would drop {elsewhere.sum()} of its {n_train} "):
            train_rows_to_keep(data, threshold)
    else:
        assert train_rows_to_keep(data, threshold).tolist() == np.flatnonzero(~elsewhere).tolist()
    of_test = alike[len(texts) - n_test :, :n_train].any(axis=1)
    of_each = duplicates_of_test(data, threshold)
    assert of_each.near_train.tolist() == of_test.tolist()
    expected = components(alike[len(texts) - n_test :, len(texts) - n_test :])
    assert of_each.clusters.tolist() == expected.tolist()


def test_what_is_dropped_is_told_with_its_reason_and_count() -> None:
    texts = [f"f{n}(int a) {{ return a + {n}; }}" for n in range(6)]
    data = made([*texts, texts[0], "other(void) { }"], (6, 1, 1))
    left = drop_from_train(data, train_rows_to_keep(data, 0.9), 0.9)
    assert left.splits["train"].ids.tolist() == [f"train/{n}" for n in range(1, 6)]
    assert left.splits["test"] is data.splits["test"]
    assert left.fingerprint != data.fingerprint
    reason = "near-duplicate of validation or test, Jaccard >= 0.9"
    assert left.summary()["dropped"]["train"][reason] == 1
    assert "1 of 6 functions in validation or test too" in left.notes[-1]
    assert reason not in data.summary()["dropped"].get("train", {})


def test_train_of_one_class_is_refused() -> None:
    texts = ["f(int a) { return a; }", "g(char b) { while (b) b--; }"]
    data = made([*texts, texts[0]], (2, 1, 0))
    with pytest.raises(DataError, match=r"at least two classes.*1 of its 2 functions are left"):
        drop_from_train(data, train_rows_to_keep(data, 0.7), 0.7)


@pytest.mark.parametrize("n_near", [3, 4])
def test_dropping_more_than_half_of_train_is_refused_and_the_advice_works(n_near: int) -> None:
    def lines(name: str, number: int) -> str:
        return f"{name}() {{ " + " ".join(f"x{n}_{number} += {n};" for n in range(9)) + " }"

    texts = [lines("f", number) for number in range(6)]
    # Two stand in test as they are, some more under another name: these are near alone.
    others = [*texts[:2], *(lines("g", number) for number in range(2, n_near))]
    data = made([*texts, *others], (6, 0, n_near))
    if n_near == 3:  # half of train is left
        assert train_rows_to_keep(data, 0.7).tolist() == [3, 4, 5]
        return
    with pytest.raises(DataError, match="would drop 4 of its 6 functions") as caught:
        train_rows_to_keep(data, 0.7)
    value, n_dropped = re.findall(
        r"use drop_near_duplicates=(\S+), which drops (\d+)", str(caught.value)
    )[0]
    assert float(value) > 0.7
    assert n_dropped == "2"
    assert train_rows_to_keep(data, float(value)).tolist() == [2, 3, 4, 5]


def test_a_test_split_that_is_train_itself_leaves_0_as_the_only_advice() -> None:
    texts = [f"f{n}(int a) {{ return a + {n}; }}" for n in range(4)]
    with pytest.raises(DataError, match=r"drop 4 of its 4 .* or use 0, which drops none"):
        train_rows_to_keep(made(texts * 2, (4, 0, 4)), 0.9)


def test_functions_are_counted_split_after_split() -> None:
    assert split_of_each(made(["a"] * 6, (3, 1, 2))).tolist() == [0, 0, 0, 1, 2, 2]


def test_test_functions_that_only_a_function_of_train_links_are_no_cluster() -> None:
    tokens = [f"t{place}" for place in range(60)]
    between, one, other = (" ".join(each) for each in (tokens, tokens[3:], tokens[:-3]))
    data = made([between, one, other], (1, 0, 2))
    of_each = duplicates_of_test(data, 0.9)
    assert of_each.near_train.tolist() == [True, True]
    assert of_each.clusters.tolist() == [0, 1]
