"""A base model that is far better on test than before is told; honest ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.reporting.findings import load_results
from enstack.reporting.verdict import verdict_text
from enstack.stacking.leaps import Leap, Rows, leaps
from tests.support.leaks import rows_with_leak
from tests.support.report_runs import write_full_run
from tests.support.verdicts import difference, verdict_of, write_verdict

SIZES = (430, 729)  # of Juliet


def told(skill: float, leak: float, n: int = 20, sizes: tuple[int, int] = SIZES) -> float:
    """In which share of pairs of sets the model with the leak is told; never another one."""
    random, found = np.random.RandomState(1), 0
    for _ in range(n):
        before = rows_with_leak(sizes[0], random, skill=skill)
        titles = [
            leap.title
            for leap in leaps(before, rows_with_leak(sizes[1], random, skill=skill, leak=leak))
        ]
        assert titles in ([], ["asked"])
        found += len(titles)
    return found / n


@pytest.mark.parametrize("sizes", [(150, 300), (2000, 4000)])
def test_a_model_that_knows_tests_labels_is_told_and_no_other(sizes: tuple[int, int]) -> None:
    assert told(1.0, 1.0, 2, sizes) == 1
    random = np.random.RandomState(1)
    before = rows_with_leak(sizes[0], random)
    (found,) = leaps(before, rows_with_leak(sizes[1], random, leak=1.0))
    assert found.on_test == 1
    assert found.before == pytest.approx(0.46, abs=0.12)
    assert found.words_on_test == pytest.approx(found.words_before, abs=0.12)
    assert found.standard_errors > 4


def test_a_quarter_of_the_labels_of_a_small_test_split_is_told_and_a_tenth_is_not() -> None:
    assert told(1.0, 0.25) > 0.8
    assert told(1.0, 0.1) < 0.2


def test_honest_models_are_hardly_ever_told_even_where_test_is_easier() -> None:
    random, found = np.random.RandomState(2), 0
    for _ in range(200):
        before = rows_with_leak(200, random)
        found += len(leaps(before, rows_with_leak(300, random, easier=1.0)))
    assert found == 0


def test_one_base_model_beside_word_counts_is_told_too() -> None:
    random = np.random.RandomState(3)
    before = rows_with_leak(400, random, honest=())
    assert leaps(before, rows_with_leak(700, random, honest=(), leak=0.5))
    assert leaps(before, rows_with_leak(700, random, honest=())) == []


def test_rows_that_are_copies_of_each_other_count_as_fewer() -> None:
    random = np.random.RandomState(3)
    before, few = rows_with_leak(100, random), rows_with_leak(10, random, leak=1.0)
    copies = np.repeat(np.arange(10), 30)
    test = Rows(
        few.task,
        few.labels[copies],
        {key: values[copies] for key, values in few.probabilities.items()},
        {key: made[copies] for key, made in few.decisions.items()},
    )
    assert leaps(before, test)
    assert leaps(before, test, asked=["none of them"]) == []
    assert leaps(before, test, copies) == []


@pytest.mark.parametrize("task", [OneClass(("a", "b")), SeveralFlags(("a", "b"))])
def test_what_is_given_to_the_truth_is_a_probability_of_each_row(task: LabelTask) -> None:
    labels = np.array([[True, False], [False, False]]) if task.has_thresholds else np.array([0, 1])
    said = np.array([[0.9, 0.1], [0.4, 0.6]])
    rows = Rows(task, labels, {"base:m": said}, {})
    expected = [0.9, 0.5] if task.has_thresholds else [0.9, 0.6]
    np.testing.assert_allclose(rows.given_to_truth("base:m"), expected)


def test_the_console_and_the_reports_alerts_tell_of_it(tmp_path: Path) -> None:
    leap = Leap("oracle", 0.6, 1.0, 0.5, 0.51, 8.2)
    found = verdict_of(difference(0.1, 0.05), leaps=[leap])
    write_verdict(write_full_run(tmp_path / "run"), found)
    assert found.outcome == "not shown", "nothing rests on labels that were seen"
    assert "oracle may have seen the labels of test" in found.sentence
    worse = verdict_of(difference(-0.1, 0.05), leaps=[leap])
    assert (worse.outcome, worse.sentence[:9]) == ("not shown", "Not shown")
    told = "oracle is far better on test than on the functions that stacks are fitted on"
    assert told in " ".join(verdict_text(found).split())
    (alert,) = [
        one for one in load_results(tmp_path / "run").alerts if one.kind == "better_on_test"
    ]
    assert "oracle is right of 100.0 % of the test functions, and of 60.0 % of those" in alert.text
