"""Near copies of a model are told as that; models that were trained apart are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.near_copies import near_copy_of

TASK, FLAGS = OneClass(("a", "b", "c")), SeveralFlags(("a", "b", "c"))
RANDOM = np.random.RandomState(0)
LOGITS = 2 * RANDOM.normal(size=(400, 3))
SAID = softmax(LOGITS, axis=1)


def normed(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


def noise(values: np.ndarray, size: float) -> np.ndarray:
    return np.random.RandomState(1).uniform(0, size, values.shape) + values


COPIES: dict[str, Callable[[], np.ndarray]] = {
    "the same": lambda: SAID,
    "noise of 1e-4": lambda: normed(noise(SAID, 1e-4)),
    "noise of 1e-2": lambda: normed(noise(SAID, 1e-2)),
    "two digits": lambda: normed(SAID.round(2)),
    "half precision": lambda: SAID.astype(np.float16).astype(np.float64),
    "cooler": lambda: normed(SAID**1.5),
    "hotter": lambda: normed(SAID**0.5),
    "mixed with chance": lambda: 0.8 * SAID + 0.2 / 3,
}


@pytest.mark.parametrize("changed", COPIES)
def test_a_copy_that_was_changed_a_little_is_told(changed: str) -> None:
    other = softmax(2 * np.random.RandomState(5).normal(size=(400, 3)), axis=1)
    found = near_copy_of(COPIES[changed](), {"other": other, "m": SAID}, TASK)
    assert found is not None
    assert found.name == "m"


def test_a_copy_of_flags_is_told_and_another_model_is_not() -> None:
    said = expit(LOGITS)
    found = near_copy_of(noise(said, 1e-2).clip(0, 1), {"m": said}, FLAGS)
    assert found is not None
    other = expit(LOGITS + 0.3 * RANDOM.normal(size=LOGITS.shape))
    assert near_copy_of(other, {"m": said}, FLAGS) is None


@pytest.mark.parametrize("apart", [0.5, 5.0])
def test_models_of_other_seeds_are_none_though_they_are_right_of_nearly_all(apart: float) -> None:
    features, labels = make_classification(
        600, 20, n_informative=10, n_classes=3, class_sep=apart, random_state=0
    )
    said = {}
    for seed in (0, 1):
        net = MLPClassifier((16,), max_iter=40, random_state=seed, tol=1.0, n_iter_no_change=99)
        with np.errstate(all="ignore"), pytest.warns(match="."):
            said[seed] = net.fit(features[:300], labels[:300]).predict_proba(features[300:])
    assert near_copy_of(said[0], {"m": said[1]}, TASK) is None


def test_of_few_functions_answers_that_are_alike_make_no_copy() -> None:
    few = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]])
    apart = np.array([[0.05, -0.05, 0], [0.03, -0.03, 0]])
    assert near_copy_of(few + apart, {"m": few}, TASK) is None


def test_a_linear_model_that_learned_from_a_tenth_less_is_another_one() -> None:
    features, labels = make_classification(
        1200, 20, n_informative=10, n_classes=3, random_state=0, flip_y=0.1
    )
    first, second = (
        SGDClassifier(loss="log_loss", random_state=0)
        .fit(features[start:600], labels[start:600])
        .predict_proba(features[600:])
        for start in (0, 60)
    )
    assert near_copy_of(first, {"m": second}, TASK) is None
