"""What a run chooses from: which combinations there are, and what each is made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.config import META_CLASSIFIERS
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.metrics.temperature import fit_temperature, tempered
from enstack.stacking.candidates import (
    FITTED_ROWS,
    candidates,
    fit_candidate,
    members_of,
    shown,
    spread_rows,
    subsets,
)
from enstack.stacking.meta_features import BaseModelProbabilities, mean_vote
from enstack.stacking.primary_measure import PrimaryMeasure, primary_measure
from enstack.stacking.stack import MetaClassifier, fit_meta_classifier
from enstack.stacking.votes import MOST_PICKS, Vote, greedy_picks

NAMES = ("a", "b", "c")
each_task = pytest.mark.parametrize("task", [OneClass(NAMES), SeveralFlags(NAMES)])


def draw_labels(task: LabelTask, n: int) -> np.ndarray:
    random = np.random.RandomState(4)
    return random.random_sample((n, 3)) < 0.4 if task.has_thresholds else random.randint(3, size=n)


def saying(name: str, labels: np.ndarray, seed: int, skill: float = 2) -> BaseModelProbabilities:
    has = labels if labels.ndim == 2 else np.eye(3)[labels]
    scores = np.exp(np.random.RandomState(seed).normal(size=has.shape) + skill * has)
    shares = scores / (1 + scores) if labels.ndim == 2 else scores / scores.sum(1, keepdims=True)
    ids = np.array([f"validation/{row}" for row in range(len(labels))])
    return BaseModelProbabilities(
        name, ids, shares.astype(np.float32), np.zeros(len(labels), dtype=bool)
    )


def macro_f1(task: LabelTask) -> PrimaryMeasure:
    return PrimaryMeasure(task, "macro_f1", (True,) * 3)


def test_three_base_models_give_every_subset_in_every_way() -> None:
    keys = [one.key for one in candidates(["x", "y", "z"], META_CLASSIFIERS)]
    # The simplest first: of equal scores the first one wins.
    assert keys[:6] == ["base:x", "base:y", "base:z", "vote:mean", "vote:mean@x+y", "vote:mean@x+z"]
    assert keys[6:13] == [
        "vote:mean@y+z",
        *("vote:mean~tempered", "vote:mean~tempered@x+y", "vote:mean~tempered@x+z"),
        "vote:mean~tempered@y+z",
        *("vote:greedy", "vote:greedy~tempered"),
    ]
    members = ["@x", "@y", "@z", "@x+y", "@x+z", "@y+z", ""]
    assert keys[13:] == [
        f"stack:{name}{form}{of}"
        for of in members
        for form in ("", "~log")
        for name in (("lr", "svm") if form else META_CLASSIFIERS)
    ]


def test_one_base_model_has_no_votes_and_one_subset() -> None:
    keys = [one.key for one in candidates(["x"], ["lr", "rf"])]
    assert keys == ["base:x", "stack:lr", "stack:rf", "stack:lr~log"]


# A forest's trees have rows that they were not fitted on, between two that they were.
@pytest.mark.parametrize(("name", "apart"), [("rf", 0.05), ("xgboost", 1e-6)])
def test_trees_on_logarithms_would_be_the_same_model_once_more(name: str, apart: float) -> None:
    task, labels = OneClass(NAMES), draw_labels(OneClass(NAMES), 90)
    models = [saying("x", labels, 1), saying("y", labels, 2)]
    both: list[np.ndarray] = []
    for form in ("probabilities", "log_probabilities"):
        fitted = fit_meta_classifier(name, models, labels, task=task, seed=1, form=form)
        both.append(fitted.predict_proba(models, task))
    np.testing.assert_allclose(both[0], both[1], atol=apart, rtol=0)


@given(n=st.integers(1, 40))
def test_the_subsets_are_all_of_few_and_stay_bounded_with_many(n: int) -> None:
    names = [f"m{number}" for number in range(n)]
    found = subsets(names)
    assert len(set(found)) == len(found) <= max(22, n + 1)
    assert {(name,) for name in names} <= set(found)
    assert found[-1] == tuple(names)
    if n <= 3:
        assert len(found) == 2**n - 1
    if n <= 6:
        assert len([one for one in found if len(one) == 2]) == n * (n - 1) // 2


def test_the_leaderboard_shows_what_is_made_of_all_base_models_and_the_chosen_one() -> None:
    chosen = "stack:svm~log@x+y"
    keys = [one.key for one in shown(["x", "y", "z"], ["lr", "svm"], chosen)]
    assert keys == ["vote:mean", "vote:greedy", chosen, "stack:lr", "stack:svm"]
    assert [one.key for one in shown(["x"], ["lr"], None)] == ["stack:lr"]


@each_task
def test_every_candidate_can_be_fitted_and_gives_what_its_key_says(task: LabelTask) -> None:
    labels = draw_labels(task, 80)
    models = [saying(name, labels, seed, seed) for seed, name in enumerate("xyz")]
    measure = macro_f1(task)
    for candidate in candidates("xyz", ["lr"]):
        fitted = fit_candidate(
            candidate, models, labels, task, seed=1, score=measure.of_probabilities
        )
        assert isinstance(fitted, MetaClassifier if candidate.kind == "stack" else Vote)
        assert {*fitted.base_models} <= {*candidate.members}
        found = fitted.predict_proba(members_of(models, fitted.base_models), task)
        assert (found.shape, found.dtype) == ((80, 3), np.float32)
        if candidate.way == "mean" and not candidate.form:
            expected = mean_vote(members_of(models, candidate.members))
            np.testing.assert_array_equal(found, expected)
        if candidate.key == "vote:mean~tempered@x+y":
            both = [
                tempered(one.probabilities, fit_temperature(labels, one.probabilities, task), task)
                for one in models[:2]
            ]
            np.testing.assert_allclose(found, np.mean(both, axis=0), atol=1e-6)


def test_a_stack_on_logarithms_sees_them_and_of_flags_the_log_odds() -> None:
    for task, form in (
        (OneClass(NAMES), np.log),
        (SeveralFlags(NAMES), lambda p: np.log(p / (1 - p))),
    ):
        labels = draw_labels(task, 60)
        models, measure = [saying("x", labels, 1)], macro_f1(task)
        one = next(each for each in candidates("x", ["lr"]) if each.form == "log")
        fitted = fit_candidate(one, models, labels, task, seed=1, score=measure.of_probabilities)
        assert isinstance(fitted, MetaClassifier)
        said = fitted.estimator.predict_proba(form(models[0].probabilities.astype(np.float64)))
        np.testing.assert_allclose(fitted.predict_proba(models, task), said, atol=1e-6)
        # Softmax in half precision gives 0 and 1 themselves.
        sure = dataclasses.replace(
            models[0],
            probabilities=np.eye(3, dtype=np.float32)[
                labels.argmax(-1) if labels.ndim == 2 else labels
            ],
        )
        assert np.isfinite(fitted.predict_proba([sure], task)).all()


def brute_force(said: dict[str, np.ndarray], score: object) -> float:
    """The best score of any vote of up to four picks, by trying them all."""
    import itertools

    return max(
        score(np.mean([said[name] for name in picks], axis=0))  # type: ignore[operator]
        for size in range(1, 5)
        for picks in itertools.combinations_with_replacement(said, size)
    )


@each_task
def test_the_greedy_vote_is_no_worse_than_any_member_and_as_small_as_its_score_allows(
    task: LabelTask,
) -> None:
    labels, measure = draw_labels(task, 120), macro_f1(task)
    said = {name: saying(name, labels, seed).probabilities for seed, name in enumerate("xyz")}

    def score(probabilities: np.ndarray) -> float:
        return measure.of_probabilities(labels, probabilities)

    picks = greedy_picks(said, score)
    assert 1 <= sum(picks.values()) <= MOST_PICKS
    mean = sum(times * said[name].astype(np.float64) for name, times in picks.items())
    found = score(mean / sum(picks.values()))
    assert found >= max(map(score, said.values()))
    # Greedy, not exhaustive: within a hair of what all small votes together reach.
    assert found >= brute_force(said, score) - 0.02


def test_of_equal_votes_the_one_with_fewer_members_is_taken_and_of_equal_members_the_first() -> (
    None
):
    labels = np.arange(30) % 3
    right = np.eye(3, dtype=np.float32)[labels]
    measure = macro_f1(OneClass(NAMES))
    picks = greedy_picks(
        {"x": right[::-1], "y": right, "z": right},
        lambda said: measure.of_probabilities(labels, said),
    )
    assert picks == {"y": 1}


def test_a_vote_that_is_worth_more_than_its_members_is_found_with_its_weights() -> None:
    # Two that err on different rows, and one that always errs: together the two are right.
    labels = np.arange(60) % 3
    right, wrong = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    first, half = np.arange(60) < 20, np.arange(60)[:, None] < 20
    said = {
        "x": np.where(half, 0.6 * wrong + 0.4 * right, right),
        "y": np.where(half, right, 0.55 * wrong + 0.45 * right),
        "z": wrong,
    }
    measure = macro_f1(OneClass(NAMES))
    picks = greedy_picks(said, lambda one: measure.of_probabilities(labels, one))
    assert picks == {"x": 1, "y": 1}
    assert first.any()


@given(
    groups=st.lists(st.integers(0, 4), min_size=1, max_size=200),
    most=st.integers(5, 60),
    seed=st.integers(0, 99),
)
def test_a_choice_of_rows_has_every_group_in_proportion_and_repeats(
    groups: list[int], most: int, seed: int
) -> None:
    array = np.array(groups)
    rows = spread_rows(array, most, seed)
    np.testing.assert_array_equal(rows, spread_rows(array, most, seed))
    assert len(set(rows.tolist())) == len(rows) == min(most, len(array))
    assert np.all(np.diff(rows) > 0)
    assert set(array[rows]) == set(groups)
    for group in set(groups):
        share = (array == group).mean() * len(rows)
        assert abs((array[rows] == group).sum() - share) <= 5


def test_slow_meta_classifiers_are_fitted_on_some_of_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, labels = OneClass(NAMES), draw_labels(OneClass(NAMES), 200)
    models, fitted_on = [saying("x", labels, 1)], []
    monkeypatch.setitem(FITTED_ROWS, "svm", 50)
    monkeypatch.setattr(
        "enstack.stacking.candidates.fit_meta_classifier",
        lambda name, models, labels, **_: fitted_on.append((name, len(labels))),
    )
    for candidate in candidates("x", ["lr", "svm"])[1:3]:
        fit_candidate(candidate, models, labels, task, seed=1, score=lambda *_: 0.0)
    assert fitted_on == [("lr", 200), ("svm", 50)]


def test_macro_f1_is_over_the_classes_that_test_has_enough_of() -> None:
    task = OneClass(NAMES)
    test = np.repeat([0, 1, 2], [40, 30, 29])
    assert primary_measure(task, test, "macro_f1").counted_classes == ["a", "b"]
    # The F1 of a single class is won by a model that gives it to everything.
    assert primary_measure(task, np.repeat([0, 1], [99, 29]), "macro_f1").counted_classes == [
        *NAMES
    ]
    labels, said = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    measure = primary_measure(task, test, "macro_f1")
    assert measure.name == "macro_f1_30", "what leaves classes out has a name of its own"
    assert primary_measure(task, test[:-29], "macro_f1").name == "macro_f1_30"
    assert primary_measure(task, np.repeat([0, 1, 2], 30), "macro_f1").name == "macro_f1"
    assert measure.of_decisions(labels, said) == pytest.approx((0.5 + 0.8) / 2)
    assert primary_measure(task, test, "accuracy").of_decisions(labels, said) == 0.6
    assert primary_measure(task, test, "mcc").of_decisions(labels, said) == pytest.approx(
        task.mcc(labels, said)
    )
