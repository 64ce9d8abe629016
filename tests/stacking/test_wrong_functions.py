"""The surest mistakes: truly wrong, the surest first, of many labels, and never the whole data."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.data.functions import Functions
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.wrong_functions import WrongFunctions, surest_mistakes

NAMES = ("CWE-119", "CWE-120", "clean")


def functions(labels: np.ndarray, code: str = "int f(void);") -> Functions:
    ids = np.array([f"test/{row}" for row in range(len(labels))])
    return Functions(ids, pa.array([code] * len(labels), type=pa.large_string()), labels)


def of_classes(labels: list[int], probabilities: np.ndarray, code: str = "x") -> WrongFunctions:
    task = OneClass(NAMES)
    asked = functions(np.array(labels), code)
    return surest_mistakes("base:a", asked, task, probabilities, task.decide(probabilities))


@given(n=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
def test_mistakes_of_classes_are_the_surest_and_at_most_three_of_a_label(n: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    labels, probabilities = rng.randint(3, size=n), rng.dirichlet(np.ones(3), size=n)
    found = of_classes(labels.tolist(), probabilities)
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(said != labels)
    assert (found.n, found.n_wrong) == (n, len(wrong))
    assert len(found.functions) == min(10, len(wrong))
    rows = [int(one.id.partition("/")[2]) for one in found.functions]
    assert set(rows) <= {*wrong}
    assert [one.confidence for one in found.functions] == sorted(sure[rows], reverse=True)
    assert [(one.label, one.said) for one in found.functions] == [
        (NAMES[labels[row]], NAMES[said[row]]) for row in rows
    ]
    shown, there = Counter(labels[rows]), Counter(labels[wrong])
    # Beyond three of a label only where no other label has more to show.
    if max(shown.values(), default=0) > 3:
        assert all(shown[label] >= min(3, n_there) for label, n_there in there.items())
    for label, n_shown in shown.items():
        surest = sorted(sure[wrong[labels[wrong] == label]], reverse=True)[:n_shown]
        assert sorted(sure[[row for row in rows if labels[row] == label]], reverse=True) == surest


def test_a_mistake_of_flags_is_the_worst_that_was_said_of_a_function() -> None:
    task = SeveralFlags(("CWE-119", "CWE-120"))
    labels = np.array([[True, False], [False, False], [True, True]])
    probabilities = np.array([[0.1, 0.2], [0.6, 0.7], [0.9, 0.9]])
    decisions = task.decide(probabilities, np.array([0.5, 0.5]))
    found = surest_mistakes("vote:mean", functions(labels), task, probabilities, decisions)
    assert [(one.id, one.confidence) for one in found.functions] == [
        ("test/0", pytest.approx(0.9)),
        ("test/1", pytest.approx(0.7)),
    ]
    assert found.functions[0].said == task.label_name(decisions[0])
    assert (found.n, found.n_wrong) == (3, 2)


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("a\n" * 60, "a\n" * 60),  # what is cut says nothing
        ("a\n" * 60 + "\n \n", "a\n" * 60 + "\n \n"),
        ("a\n" * 61, "a\n" * 59 + "a"),
        ("x" * 5000, "x" * 4000),
        ("short\r\n\u202e</pre>", "short\r\n\u202e</pre>"),
        ("", ""),
    ],
)
def test_of_long_code_the_beginning_is_kept_and_its_length_told(code: str, kept: str) -> None:
    (found,) = of_classes([0], np.array([[0.1, 0.9, 0.0]]), code).functions
    assert (found.code, found.characters) == (kept, len(code))


def test_a_model_without_mistakes_shows_none() -> None:
    found = of_classes([0, 1], np.array([[0.9, 0.1, 0.0], [0.0, 1.0, 0.0]]))
    assert (found.n_wrong, found.functions) == (0, [])
