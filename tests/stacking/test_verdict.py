"""The verdict says what the one declared comparison shows, and nothing more."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.reporting.next_step import next_step
from enstack.stacking.baselines import WORDS
from enstack.stacking.primary_measure import primary_measure
from enstack.stacking.verdict import Declared, Judged, judge
from enstack.stacking.verdict_text import Verdict, in_words

TASK = OneClass(("a", "b", "clean"))


def answers(labels: np.ndarray, share_right: float, seed: int, k: int = 3) -> np.ndarray:
    """Decisions that are right for so many of the rows, each class alike."""
    random = np.random.RandomState(seed)
    right = random.uniform(size=len(labels)) < share_right
    return np.where(right, labels, (labels + 1 + random.randint(k - 1, size=len(labels))) % k)


def verdict(
    labels: np.ndarray,
    decisions: dict[str, np.ndarray],
    task: LabelTask = TASK,
    measure: str = "macro_f1",
    clusters: np.ndarray | None = None,
    **more: Any,
) -> Verdict:
    counted = primary_measure(task, labels, measure).counted_classes
    declared = Declared(measure, "stack:lr", "base:m", counted, resamples=400, seed=1, **more)
    return in_words(judge(declared, Judged(task, labels, decisions, clusters)))


@pytest.mark.parametrize(
    ("ours", "theirs", "words", "outcome", "said"),
    [
        (0.9, 0.7, 0.5, "better", "Stacking is better: logistic regression beats m, and word"),
        (0.9, 0.7, 0.9, "not shown", "beats m, but not word counts"),
        (
            0.7,
            0.9,
            0.5,
            "worse",
            "worse: logistic regression loses to m; macro-F1 −0.1",
        ),
        (0.8, 0.8, 0.95, "not shown", "against m, and it loses to word counts (−0.1"),
        (0.8, 0.8, 0.5, "not shown", "on 600 test functions; so many functions show a true"),
    ],
)
def test_stacking_is_better_only_where_word_counts_are_beaten_too(
    ours: float, theirs: float, words: float, outcome: str, said: str
) -> None:
    labels = np.repeat([0, 1, 2], 200)
    shares = {"stack:lr": ours, "base:m": theirs, WORDS: words}
    decisions = {key: answers(labels, share, n) for n, (key, share) in enumerate(shares.items())}
    found = verdict(labels, decisions)
    assert found.outcome == outcome
    assert said in found.sentence
    assert "show a true difference of 0.0" in found.sentence
    assert str(found) == found.sentence
    stored = asdict(found)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored


def test_a_difference_that_a_class_of_few_functions_carries_is_told_and_does_not_count() -> None:
    # 9 functions of "b", which the stack alone knows; of the others it knows fewer.
    labels = np.repeat([0, 1, 2], [200, 9, 200])
    stack, base = answers(labels, 0.8, 1), answers(labels, 0.82, 2)
    stack[labels == 1], base[labels == 1] = 1, 0
    stack[(stack == 1) & (labels != 1)] = 0
    found = verdict(labels, {"stack:lr": stack, "base:m": base})
    assert found.outcome == "not shown"
    assert found.all_classes.low > 0
    assert any(text.startswith("With b, of fewer than 30") for text in found.caveats)


def test_a_class_of_few_functions_that_the_stack_misses_is_told_where_the_verdict_stays() -> None:
    labels = np.repeat([0, 1, 2], [200, 9, 200])
    stack, base = answers(labels, 0.6, 1), answers(labels, 0.9, 2)
    stack[labels == 1], base[labels == 1] = 0, 1
    found = verdict(labels, {"stack:lr": stack, "base:m": base})
    assert found.outcome == "worse"
    assert found.all_classes.high < 0
    assert any(text.startswith("With b, of fewer than 30") for text in found.caveats)


@pytest.mark.parametrize("measure", ["accuracy", "mcc"])
def test_macro_f1_stands_beside_a_verdict_by_another_measure(measure: str) -> None:
    # The stack gives up the rare class for the frequent one.
    labels = np.repeat([0, 1, 2], [40, 40, 520])
    base = answers(labels, 0.8, 2)
    stack = np.where(labels == 2, 2, base)
    stack[labels == 1] = 2
    found = verdict(labels, {"stack:lr": stack, "base:m": base}, measure=measure)
    true = [f1_score(labels, made, average="macro") for made in (stack, base)]
    assert found.all_classes.value == pytest.approx(true[0] - true[1])
    assert found.difference.value != pytest.approx(found.all_classes.value, abs=0.01)
    assert not any(text.startswith("With ") for text in found.caveats)
    told = any(text.startswith("Macro-F1 points the other way") for text in found.caveats)
    assert told == (found.difference.value * found.all_classes.value < 0)


def test_a_test_set_of_one_label_is_told_and_blames_no_base_model() -> None:
    labels = np.zeros(60, dtype=np.int64)
    found = verdict(labels, {"stack:lr": answers(labels, 0.9, 1), "base:m": labels})
    assert found.collapsed == []
    assert found.caveats[0].startswith("All test functions have the same label")
    assert "stacking pays: all test functions have the same label; " in found.sentence
    assert "four times in five" not in found.sentence
    every = {"stack:lr": labels, "base:m": answers(labels, 0.7, 1), WORDS: answers(labels, 0.7, 2)}
    found = verdict(labels, every)
    assert found.difference.low > 0
    assert found.outcome == "not shown"
    assert "same label; logistic regression against m," in found.sentence


def test_a_handful_of_functions_could_have_shown_nothing() -> None:
    labels = np.array([0, 1, 2, 0, 2])
    decisions = {"stack:lr": np.array([0, 1, 2, 2, 0]), "base:m": np.array([1, 1, 0, 0, 2])}
    assert "5 functions can show no difference at all" in verdict(labels, decisions).sentence


def test_one_function_or_one_cluster_shows_nothing_however_far_models_are_apart() -> None:
    labels = np.repeat([0, 1, 2], 40)
    cluster = np.zeros(120, dtype=np.int64)
    for n, clusters in ((1, None), (2, None), (120, cluster)):
        wrong = (labels[:n] + 1) % 3
        found = verdict(
            labels[:n], {"stack:lr": labels[:n], "base:m": wrong, WORDS: wrong}, clusters=clusters
        )
        assert found.outcome == "not shown"
        nothing = f"{n} functions can show no difference at all"
        assert (nothing if found.labels_differ else "have the same label") in found.sentence


def test_a_simpler_model_that_test_has_above_a_better_stack_is_told_and_is_to_be_compared() -> None:
    labels = np.repeat([0, 1, 2], 100)
    shares = {"stack:lr": 0.8, "base:m": 0.6, WORDS: 0.5, "base:b": 0.95, "stack:rf": 0.99}
    decisions = {key: answers(labels, share, n) for n, (key, share) in enumerate(shares.items())}
    found = verdict(labels, decisions)
    assert found.outcome == "better"
    assert found.ahead is not None
    assert found.ahead.second == "base:b"
    assert found.caveats[0].startswith(
        "b is simpler and ahead of logistic regression on test (+0.1"
    )
    assert next_step(found).startswith("Compare logistic regression and b on other functions")
    decisions["base:b"] = decisions["stack:lr"]
    assert verdict(labels, decisions).ahead is None


def test_mcnemars_test_is_left_out_where_functions_depend_on_each_other() -> None:
    labels = np.repeat([0, 1, 2], 40)
    decisions = {"stack:lr": answers(labels, 0.7, 1), "base:m": answers(labels, 0.7, 2)}
    assert verdict(labels, decisions, clusters=np.arange(120)).mcnemar_p is not None
    assert verdict(labels, decisions, clusters=np.arange(120) // 2).mcnemar_p is None


def test_an_accuracy_that_points_the_other_way_is_told() -> None:
    labels = np.repeat([0, 2], [40, 400])
    stack, base = labels.copy(), labels.copy()
    base[:36] = 2  # misses most of the small class
    stack[40:80] = 0  # is wrong of more functions
    found = verdict(labels, {"stack:lr": stack, "base:m": base})
    assert found.accuracy.value < 0
    assert found.difference.value > 0
    assert found.caveats[0].startswith("Accuracy points the other way: −0.009 (")


def test_a_base_model_that_has_collapsed_is_named_beside_the_verdict() -> None:
    labels = np.repeat([0, 1, 2], 50)
    decisions = {"stack:lr": answers(labels, 0.8, 1), "base:m": np.zeros_like(labels)}
    found = verdict(labels, decisions)
    assert found.caveats[-1].startswith("m does not tell functions apart")
    found = verdict(labels, {**decisions, "base:n": np.ones_like(labels)})
    assert found.caveats[-1].startswith("m and n do not tell functions apart (their MCC")


def test_what_was_declared_after_test_was_measured_is_called_explored() -> None:
    labels = np.repeat([0, 1, 2], 50)
    decisions = {"stack:lr": answers(labels, 0.8, 1), "base:m": answers(labels, 0.8, 2)}
    found = verdict(labels, decisions, before=[{"measure": "accuracy"}])
    assert any("take it as explored" in text for text in found.caveats)


def test_flags_are_judged_as_classes_are() -> None:
    random = np.random.RandomState(0)
    task, labels = SeveralFlags(("a", "b")), random.uniform(size=(300, 2)) < 0.4
    good = labels ^ (random.uniform(size=labels.shape) < 0.05)
    poor = labels ^ (random.uniform(size=labels.shape) < 0.3)
    found = verdict(labels, {"stack:lr": good, "base:m": poor}, task)
    assert found.outcome == "better"
    assert found.difference.low > 0


def test_votes_and_stacks_that_have_collapsed_are_named_too() -> None:
    labels = np.repeat([0, 1, 2], 50)
    plain = np.zeros_like(labels)
    decisions = {"stack:lr": plain, "vote:mean": plain, "base:m": answers(labels, 0.8, 1)}
    found = verdict(labels, decisions)
    assert found.collapsed == []
    (told,) = [text for text in found.caveats if text.startswith("No better than chance")]
    assert "logistic regression and mean of the base models" in told


@pytest.mark.parametrize("near_share", [0.5, 0.9])
def test_what_functions_that_train_has_too_make_of_a_verdict_is_explored_and_told(
    near_share: float,
) -> None:
    labels = np.tile([0, 1, 2], 200)
    near = np.arange(600) < near_share * 600
    # The stack knows by heart what train has, and nothing more than the base model else.
    stack, base = answers(labels, 0.7, 1), answers(labels, 0.7, 2)
    stack[near] = labels[near]
    names = list(TASK.class_names)
    declared = Declared("macro_f1", "stack:lr", "base:m", names, resamples=400, seed=1)
    said = {"stack:lr": stack, "base:m": base, "vote:mean": base}
    found = in_words(judge(declared, Judged(TASK, labels, said, None, near)))
    apart = found.without_near_duplicates
    assert found.difference.low > 0
    assert apart is not None
    assert apart.n == (~near).sum()
    assert apart.difference.low < 0 < apart.difference.high
    assert apart.p_holm >= apart.difference.p
    assert f"On the {apart.n} test functions without a near-duplicate" in " ".join(found.caveats)
    for none in (np.ones(600, dtype=bool), np.zeros(600, dtype=bool)):
        alike = judge(declared, Judged(TASK, labels, said, None, none))
        assert alike.without_near_duplicates is None
