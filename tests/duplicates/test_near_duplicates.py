"""Near-duplicates: what is found is what a comparison of all pairs finds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enstack.duplicates import minhash as signatures
from enstack.duplicates import near_duplicates as duplicates
from enstack.duplicates.near_duplicates import NearDuplicates, find_near_duplicates
from tests.support.similar_texts import TEXTS, brute_force, edited


def text_array(texts: list[str]) -> pa.Array:
    return pa.array(texts, type=pa.large_string())


@settings(deadline=None, derandomize=True)  # a pair at .7 is missed once in 6,000 times
@given(TEXTS, st.integers(0, 14), st.sampled_from([None, 0.7, 0.8, 0.9, 1.0]))
def test_what_is_found_is_what_a_comparison_of_all_pairs_finds(
    edits: list[list[tuple[int, str]]], cut: int, threshold: float | None
) -> None:
    texts = [edited(each) for each in edits]
    found = find_near_duplicates([text_array(texts[:cut]), text_array(texts[cut:])], 0.7)
    categories = np.arange(len(texts)) % 3
    alike = brute_force(texts, threshold)
    expected = np.stack([alike[:, categories == number].sum(axis=1) for number in range(3)], axis=1)
    np.testing.assert_array_equal(found.neighbours(categories, 3, threshold), expected)


@pytest.mark.parametrize("threshold", [0.55, 0.65, 0.7])
def test_thousands_of_random_copies_lose_no_pair_in_a_thousand(threshold: float) -> None:
    random = np.random.RandomState(5)
    texts = []
    for number in range(300):
        tokens = [f"f{number}x{place}" for place in range(60)]
        for _ in range(4):
            places = random.choice(60, size=random.randint(1, 5), replace=False)
            copy = [
                f"new{random.randint(10**6)}" if p in places else t for p, t in enumerate(tokens)
            ]
            texts.append(" ".join(copy))
    found = find_near_duplicates([text_array(texts)], threshold)
    n_found = found.neighbours(np.zeros(len(texts), int), 1, threshold).sum()
    n_true = sum(brute_force(texts[at : at + 4], threshold).sum() for at in range(0, len(texts), 4))
    assert n_true > 300
    assert 0.999 * n_true <= n_found <= n_true


def test_layout_and_comments_make_no_other_function() -> None:
    texts = ["f(int a) { return a + 1; } // one", "f(int a)\n{\n  return a+1; /* 1 */\n}"]
    found = find_near_duplicates([text_array(texts)], 0.7)
    everyone = np.zeros(2, dtype=int)
    assert found.neighbours(everyone, 1, 1.0).tolist() == [[1], [1]]
    assert found.neighbours(everyone, 1, None).tolist() == [[0], [0]]


def test_functions_shorter_than_a_gram_are_alike_when_they_are_equal() -> None:
    found = find_near_duplicates([text_array(["f()", "f ( )", "g()", "// nothing", " "])], 0.7)
    near = found.neighbours(np.zeros(5, dtype=int), 1, 0.7)
    assert near[:, 0].tolist() == [1, 1, 0, 0, 0]


def test_functions_of_comments_alone_are_alike_when_their_texts_are() -> None:
    found = find_near_duplicates([text_array(["// one", "/* two */", "// one", "f()"])], 0.7)
    everyone = np.zeros(4, dtype=int)
    for threshold in (None, 0.7, 1.0):
        assert found.neighbours(everyone, 1, threshold)[:, 0].tolist() == [1, 0, 1, 0]


def test_processes_find_what_one_process_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [edited([(n % 30, "abc"[n % 3]), (n % 7, "a")]) for n in range(200)]
    alone = find_near_duplicates([text_array(texts)], 0.7)
    monkeypatch.setattr(duplicates, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(duplicates, "FUNCTIONS_PER_JOB", 50)
    monkeypatch.setattr(duplicates, "PAIRS_PER_JOB", 500)
    monkeypatch.setattr(duplicates.joblib, "cpu_count", lambda: 2)
    together = find_near_duplicates([text_array(texts)], 0.7)
    for name in ("texts", "tokens", "pairs", "jaccard", "lengths"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))


def crowd(monkeypatch: pytest.MonkeyPatch, limit: int) -> NearDuplicates:
    monkeypatch.setattr(signatures, "MIN_PAIRS", limit)
    monkeypatch.setattr(signatures, "PAIRS_PER_FUNCTION", 1)
    texts = [edited([(29, f"end{n}")]) for n in range(100)]
    return find_near_duplicates([text_array(texts)], 0.7)


def test_a_crowd_is_told_and_bounds_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = crowd(monkeypatch, 200)
    assert found.n_crowded == 100
    assert 100 <= len(found.pairs) < 100 * 99 // 2
    everyone = found.neighbours(np.zeros(100, dtype=int), 1, 0.7)
    assert everyone.min() > 0
    assert len(crowd(monkeypatch, 10_000).pairs) == 100 * 99 // 2
    assert crowd(monkeypatch, 10_000).n_crowded == 0
