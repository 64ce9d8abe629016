"""Temperatures: the best by log-loss, as scikit-learn's, and no answer changes by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn import calibration
from sklearn.metrics import log_loss

from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.metrics.temperature import (
    fit_temperature,
    log_loss_parts,
    tempered,
    useful_temperature,
)

TASKS = [OneClass(tuple("abcd")), OneClass(("clean", "vulnerable")), SeveralFlags(tuple("abcde"))]


def drawn(
    task: LabelTask, n: int, sharpness: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels that come as the probabilities say, which are then made surer by `sharpness`."""
    random, k = np.random.RandomState(seed), task.n_classes
    scores = random.normal(size=(n, k))
    if task.has_thresholds:
        return random.random_sample((n, k)) < expit(scores), expit(scores * sharpness)
    gumbel = -np.log(-np.log(random.random_sample((n, k))))
    return (scores + gumbel).argmax(axis=1), softmax(scores * sharpness, axis=1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sharpness", [0.2, 1.0, 3.0])
def test_the_temperature_is_by_how_much_the_model_is_too_sure(task: LabelTask, sharpness: float):
    labels, probabilities = drawn(task, 20_000, sharpness)
    assert fit_temperature(labels, probabilities, task) == pytest.approx(sharpness, rel=0.06)


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), sharpness=st.sampled_from([0.3, 4.0]))
def test_no_other_temperature_has_a_lower_log_loss(
    task: LabelTask, n: int, seed: int, sharpness: float
):
    labels, probabilities = drawn(task, n, sharpness, seed)
    best = fit_temperature(labels, probabilities, task)
    found = task.log_loss(labels, tempered(probabilities, best, task))
    choices = task.choices(probabilities)
    if (choices.argmax(axis=1) == task.taken(labels)).all():
        assert best == 1  # surer would be better without end
        return
    others = np.exp(np.linspace(np.log(0.01), np.log(100), 60))
    assert all(
        found <= task.log_loss(labels, tempered(probabilities, other, task)) + 1e-9
        for other in others
    )


@pytest.mark.parametrize("n_classes", [3, 4, 6])
def test_the_temperature_equals_that_of_scikit_learn(n_classes: int):
    # Colab's 1.6 has none: there, equal results are held by the test of the lowest log-loss.
    scaling = getattr(calibration, "_TemperatureScaling", None)
    if scaling is None:
        pytest.skip("scikit-learn has temperature scaling from 1.8 on")
    task = OneClass(tuple(map(str, range(n_classes))))
    labels, probabilities = drawn(task, 5000, 2.5, n_classes)
    fitted = scaling().fit(probabilities, labels)
    found = fit_temperature(labels, probabilities, task)
    assert found == pytest.approx(1 / float(fitted.beta_), rel=1e-6)
    np.testing.assert_allclose(
        tempered(probabilities, found, task), fitted.predict(probabilities), atol=1e-7
    )


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    temperature=st.floats(0.01, 100),
    dtype=st.sampled_from([np.float32, np.float64]),
    close=st.booleans(),
)
def test_no_temperature_changes_the_highest_class_or_the_order_of_flags(
    task: LabelTask, seed: int, temperature: float, dtype: Any, close: bool
):
    random = np.random.RandomState(seed)
    # Neighbours of float32, ties, zeros and ones: whatever a model may say.
    near = 0.25 + random.randint(0, 4, (30, task.n_classes)) * 2.0**-26
    spread = softmax(random.normal(size=near.shape) * 30, axis=1)
    probabilities = (near if close else spread).astype(dtype)
    found = tempered(probabilities, temperature, task)
    assert found.dtype == dtype
    if task.has_thresholds:
        order = np.argsort(probabilities.ravel(), kind="stable")
        # Two that are alike but for the last bits of float64 may be rounded past each other.
        assert (np.diff(found.ravel()[order]) >= -1e-15).all()
    else:
        np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_flags_are_tempered_each_by_itself_by_its_log_odds():
    task = SeveralFlags(("a", "b"))
    said = np.array([[0.9, 0.2], [0.6, 0.6]])
    np.testing.assert_allclose(tempered(said, 2.0, task), expit(logit(said) / 2))


def test_where_rows_cannot_tell_nothing_is_changed():
    task = OneClass(("a", "b"))
    all_right = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert fit_temperature(np.array([0, 1]), all_right, task) == 1
    nothing_told = np.full((2, 2), 0.5)
    assert fit_temperature(np.array([0, 1]), nothing_told, task) == 1
    assert fit_temperature(np.array([], dtype=int), np.empty((0, 2)), task) == 1


def test_a_model_that_is_wrong_more_often_than_not_is_told_to_say_nothing():
    task = OneClass(("a", "b"))
    said = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert fit_temperature(np.array([1, 1, 0]), said, task) == 100


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"one row per label"):
        fit_temperature(np.array([0]), np.full((2, 2), 0.5), OneClass(("a", "b")))


@pytest.mark.parametrize("task", TASKS)
def test_log_loss_is_what_a_temperature_mends_and_what_it_cannot(task: LabelTask):
    honest, sure = (drawn(task, 20_000, sharpness) for sharpness in (1.0, 3.0))
    parts = {
        name: log_loss_parts(*rows, task) for name, rows in (("honest", honest), ("sure", sure))
    }
    for (labels, probabilities), found in zip((honest, sure), parts.values(), strict=True):
        assert found["log_loss"] == pytest.approx(
            log_loss(task.taken(labels), task.choices(probabilities)), rel=1e-6
        )
        assert found["refinement"] + found["calibration"] == pytest.approx(found["log_loss"])
    # One tells the rows apart as well as the other; only what it says of itself is wrong.
    assert parts["honest"]["refinement"] == pytest.approx(parts["sure"]["refinement"], rel=1e-3)
    assert parts["honest"]["calibration"] == pytest.approx(0, abs=1e-3)
    assert parts["sure"]["calibration"] > 0.1


def test_a_temperature_is_used_only_where_it_helps_rows_that_it_is_not_fitted_on() -> None:
    random, task = np.random.RandomState(0), OneClass(("a", "b", "c"))
    used, helped = {1.0: 0, 3.0: 0}, []
    for _ in range(40):
        true = softmax(2 * random.normal(size=(60, 3)), axis=1)
        labels = np.array([random.choice(3, p=row) for row in true])
        for sure in used:
            said = softmax(sure * np.log(true), axis=1)
            found = useful_temperature(labels, said, task)
            used[sure] += found != 1
            assert found in (1, fit_temperature(labels, said, task))
            helped.append(task.log_loss(labels, tempered(said, found, task)))
    assert used[1.0] < 20, "what is calibrated already is left as it is more often than not"
    assert used[3.0] == 40
    assert np.isfinite(helped).all()
