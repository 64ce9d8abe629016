"""The model that a run chooses: measured on rows it was not fitted on, whatever their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking import selection
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.selection import dividing_parts, select_model

NAMES = ("a", "b", "c")
each_task = pytest.mark.parametrize("task", [OneClass(NAMES), SeveralFlags(NAMES)])


def draw_labels(task: LabelTask, n: int, seed: int) -> np.ndarray:
    random = np.random.RandomState(seed)
    if isinstance(task, SeveralFlags):
        return random.random_sample((n, 3)) < 0.4
    return random.randint(3, size=n)


def guessing(name: str, n: int, seed: int) -> BaseModelProbabilities:
    shares = np.random.RandomState(seed).dirichlet(np.ones(3), n).astype(np.float32)
    ids = np.array([f"validation/{row}" for row in range(n)])
    return BaseModelProbabilities(name, ids, shares, np.zeros(n, dtype=bool))


def shuffled(model: BaseModelProbabilities, rows: np.ndarray) -> BaseModelProbabilities:
    return dataclasses.replace(
        model, ids=model.ids[rows], probabilities=model.probabilities[rows], seen=model.seen[rows]
    )


@each_task
@settings(deadline=None, max_examples=15)
@given(n=st.integers(2, 30), seed=st.integers(0, 999))
def test_no_stack_is_fitted_on_a_row_that_it_is_measured_on(
    task: LabelTask, n: int, seed: int
) -> None:
    predicted: list[str] = []

    @dataclasses.dataclass
    class Spy:
        fitted_on: set[str]

        def predict_proba(self, models: Any, n_classes: int) -> np.ndarray:
            assert not self.fitted_on & set(models[0].ids)
            predicted.extend(models[0].ids)
            return np.full((len(models[0].ids), n_classes), 0.5, dtype=np.float32)

    def fit(names: Sequence[str], models: Any, labels: Any, **_: Any) -> dict[str, Spy]:
        assert task.learnable(labels)
        return {name: Spy(set(models[0].ids)) for name in names}

    labels, models = draw_labels(task, n, seed), [guessing("x", n, seed)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "fit_meta_classifiers", fit)
        chosen = select_model(models, labels, task, ["lr"], seed=seed)
    assert ("stack:lr" in chosen.scores) == (chosen.n_parts > 0)
    assert sorted(predicted) == (sorted(models[0].ids) if chosen.n_parts else [])


@each_task
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999))
def test_the_order_of_rows_does_not_matter_and_the_choice_repeats(
    task: LabelTask, seed: int
) -> None:
    labels, models = draw_labels(task, 40, seed), [guessing("x", 40, 1), guessing("y", 40, 2)]
    rows = np.random.RandomState(seed).permutation(40)
    first = select_model(models, labels, task, ["lr"], seed=3)
    moved = [shuffled(model, rows) for model in models]
    assert select_model(moved, labels[rows], task, ["lr"], seed=3) == first
    assert select_model(models, labels, task, ["lr"], seed=3) == first
    assert list(first.scores) == ["base:x", "base:y", "vote:mean", "stack:lr"]


@each_task
def test_a_candidate_that_copies_the_labels_wins_and_of_equal_ones_the_simplest(
    task: LabelTask,
) -> None:
    labels = draw_labels(task, 60, 5)
    exact = labels if labels.ndim == 2 else np.eye(3)[labels]
    right = dataclasses.replace(guessing("right", 60, 1), probabilities=exact.astype(np.float32))
    chosen = select_model([guessing("x", 60, 2), right], labels, task, ["lr", "rf"], seed=1)
    assert (chosen.best, chosen.scores["base:right"]) == ("base:right", 1.0)
    assert chosen.scores["stack:lr"] == 1.0


def test_a_stack_that_knows_more_than_its_members_wins() -> None:
    labels, task = draw_labels(OneClass(NAMES), 90, 7), OneClass(NAMES)
    # A base model that always says the next class: a stack turns it back.
    wrong = np.eye(3, dtype=np.float32)[(labels + 1) % 3]
    model = dataclasses.replace(guessing("wrong", 90, 1), probabilities=wrong)
    chosen = select_model([model], labels, task, ["lr"], seed=1)
    assert chosen.to_json() == {
        "measure": "macro_f1",
        "functions": 90,
        "parts": 5,
        "scores": {"base:wrong": 0.0, "stack:lr": 1.0},
        "best": "stack:lr",
    }


@pytest.mark.parametrize(
    ("labels", "n_parts"), [([0, 0, 0, 1], 0), ([0, 0, 1, 1], 4), ([0, 1], 0), ([0, 1, 2], 3)]
)
def test_few_rows_are_divided_in_fewer_parts_or_leave_stacks_out(
    labels: list[int], n_parts: int
) -> None:
    parts = dividing_parts(np.array(labels), OneClass(NAMES), 1)
    assert (0 if parts is None else len(set(parts))) == n_parts
    model = guessing("x", len(labels), 1)
    chosen = select_model([model], np.array(labels), OneClass(NAMES), ["lr"], seed=1)
    assert (chosen.n_parts, "stack:lr" in chosen.scores) == (n_parts, n_parts > 0)


def test_a_row_that_a_base_model_has_seen_chooses_nothing() -> None:
    model = dataclasses.replace(guessing("x", 9, 1), seen=np.arange(9) == 4)
    with pytest.raises(DataError, match=r"no base model has seen: x .* first validation/4"):
        select_model([model], np.arange(9) % 3, OneClass(NAMES), ["lr"], seed=1)
