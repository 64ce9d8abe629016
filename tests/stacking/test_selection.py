"""The model that a run chooses: measured on rows it was not fitted on, whatever their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking import selection
from enstack.stacking.candidates import FITTED_ROWS, Candidate, candidates
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.primary_measure import PrimaryMeasure
from enstack.stacking.selection import Selection, dividing_parts, select_model

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


def measured_by(task: LabelTask) -> PrimaryMeasure:
    return PrimaryMeasure(task, "macro_f1", (True,) * task.n_classes)


def select(
    models: Sequence[BaseModelProbabilities],
    labels: np.ndarray,
    task: LabelTask,
    names: Sequence[str] = ("lr",),
    **changed: Any,
) -> Selection:
    rest: dict[str, Any] = {"baselines": {}, "seed": 1, **changed}
    return select_model(models, labels, names, measured_by(task), **rest)


@each_task
@settings(deadline=None, max_examples=15)
@given(n=st.integers(2, 30), seed=st.integers(0, 999))
def test_nothing_is_fitted_on_a_row_that_it_is_measured_on(
    task: LabelTask, n: int, seed: int
) -> None:
    predicted: dict[str, list[str]] = {}

    @dataclasses.dataclass
    class Spy:
        candidate: Candidate
        fitted_on: set[str]

        @property
        def base_models(self) -> tuple[str, ...]:
            return self.candidate.members

        def predict_proba(self, models: Any, task: LabelTask) -> np.ndarray:
            assert not self.candidate.is_fitted or not self.fitted_on & set(models[0].ids)
            predicted.setdefault(self.candidate.key, []).extend(models[0].ids)
            return np.full((len(models[0].ids), task.n_classes), 0.5, dtype=np.float32)

    def fit(candidate: Candidate, models: Any, labels: Any, **_: Any) -> Spy:
        assert not candidate.is_fitted or task.learnable(labels)
        return Spy(candidate, set(models[0].ids))

    labels, models = draw_labels(task, n, seed), [guessing("x", n, seed), guessing("y", n, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "fit_candidate", fit)
        chosen = select(models, labels, task, seed=seed)
    fitted = {key for key, candidate in chosen.candidates.items() if candidate.is_fitted}
    assert (chosen.n_parts > 0) == bool(fitted)
    # Every row once, of every candidate.
    assert {key: sorted(ids) for key, ids in predicted.items()} == {
        key: sorted(models[0].ids) for key in chosen.candidates
    }


@each_task
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 999))
def test_the_order_of_rows_does_not_matter_and_the_choice_repeats(
    task: LabelTask, seed: int
) -> None:
    labels, models = draw_labels(task, 40, seed), [guessing("x", 40, 1), guessing("y", 40, 2)]
    words = {"baseline:tfidf_lr": guessing("words", 40, 3).probabilities}
    rows = np.random.RandomState(seed).permutation(40)
    first = select(models, labels, task, baselines=words, seed=3)
    moved = select(
        [shuffled(model, rows) for model in models],
        labels[rows],
        task,
        baselines={key: values[rows] for key, values in words.items()},
        seed=3,
    )
    assert moved == first
    assert select(models, labels, task, baselines=words, seed=3) == first


def test_every_candidate_has_a_score_and_said_something_of_every_row() -> None:
    task, labels = OneClass(NAMES), draw_labels(OneClass(NAMES), 60, 5)
    models = [guessing(name, 60, seed) for seed, name in enumerate("xyz")]
    chosen = select(models, labels, task, ["lr"])
    assert list(chosen.scores) == [one.key for one in candidates("xyz", ["lr"])]
    np.testing.assert_array_equal(chosen.ids, sorted(models[0].ids))
    for key, said in chosen.decisions.items():
        assert chosen.scores[key] == pytest.approx(
            f1_score(chosen.labels, said, average="macro", labels=[0, 1, 2])
        )


@each_task
def test_a_candidate_that_copies_the_labels_wins_and_of_equal_ones_the_simplest(
    task: LabelTask,
) -> None:
    labels = draw_labels(task, 60, 5)
    exact = labels if labels.ndim == 2 else np.eye(3)[labels]
    right = dataclasses.replace(guessing("right", 60, 1), probabilities=exact.astype(np.float32))
    chosen = select([guessing("x", 60, 2), right], labels, task)
    assert (chosen.best, chosen.scores["base:right"]) == ("base:right", 1.0)
    # The guesses are tempered until they have no say. Stacks and the greedy vote are as good.
    assert (chosen.combination, chosen.scores["stack:lr@right"]) == ("vote:mean~tempered", 1.0)
    assert chosen.scores["vote:greedy"] == 1.0
    assert chosen.alternative == "base:right"


def test_what_is_declared_is_the_best_combination_against_the_best_without() -> None:
    labels, task = draw_labels(OneClass(NAMES), 90, 7), OneClass(NAMES)
    # A base model that always says the next class: a stack turns it back.
    wrong = np.eye(3, dtype=np.float32)[(labels + 1) % 3]
    model = dataclasses.replace(guessing("wrong", 90, 1), probabilities=wrong)
    half_right = np.where(np.arange(90)[:, None] % 2, np.eye(3)[labels], wrong)
    chosen = select([model], labels, task, baselines={"baseline:tfidf_lr": half_right})
    assert chosen.to_json() == {
        "measure": "macro_f1",
        "counted_classes": ["a", "b", "c"],
        "functions": 90,
        "parts": 5,
        "fitted_on_at_most": FITTED_ROWS,
        "scores": {
            "base:wrong": 0.0,
            "stack:lr": 1.0,
            "stack:lr~log": 1.0,
            "baseline:tfidf_lr": pytest.approx(0.5, abs=0.1),
        },
        "best": "stack:lr",
        "comparison": {
            "measure": "macro_f1",
            "candidate": "stack:lr",
            "against": "baseline:tfidf_lr",
            "counted_classes": ["a", "b", "c"],
            "resamples": 2000,
            "seed": 1,
        },
    }


def test_counted_words_may_be_the_alternative_but_are_never_what_is_loaded() -> None:
    labels, task = draw_labels(OneClass(NAMES), 60, 7), OneClass(NAMES)
    words = {"baseline:tfidf_lr": np.eye(3, dtype=np.float32)[labels]}
    chosen = select([guessing("x", 60, 1), guessing("y", 60, 2)], labels, task, baselines=words)
    assert chosen.scores["baseline:tfidf_lr"] == 1.0
    assert chosen.alternative == "baseline:tfidf_lr"
    assert chosen.best in chosen.candidates


@pytest.mark.parametrize(
    ("labels", "n_parts"), [([0, 0, 0, 1], 0), ([0, 0, 1, 1], 4), ([0, 1], 0), ([0, 1, 2], 3)]
)
def test_few_rows_are_divided_in_fewer_parts_or_leave_what_is_fitted_out(
    labels: list[int], n_parts: int
) -> None:
    parts = dividing_parts(np.array(labels), OneClass(NAMES), 1)
    assert (0 if parts is None else len(set(parts))) == n_parts
    chosen = select([guessing("x", len(labels), 1)], np.array(labels), OneClass(NAMES))
    assert (chosen.n_parts, "stack:lr" in chosen.scores) == (n_parts, n_parts > 0)
    # Nothing can be combined of one base model alone: there is nothing to declare.
    assert (chosen.comparison is None) == (n_parts == 0)


def test_many_rows_are_divided_in_two() -> None:
    labels = np.arange(selection.MANY_ROWS) % 3
    parts = dividing_parts(labels, OneClass(NAMES), 1)
    assert parts is not None
    assert np.bincount(parts).tolist() == [len(labels) // 2] * 2


def test_a_row_that_a_base_model_has_seen_chooses_nothing() -> None:
    model = dataclasses.replace(guessing("x", 9, 1), seen=np.arange(9) == 4)
    with pytest.raises(DataError, match=r"no base model has seen: x .* first validation/4"):
        select([model], np.arange(9) % 3, OneClass(NAMES))
