"""A base model that is far better on test than before is told; honest ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enstack.metrics.one_class import OneClass
from enstack.reporting.findings import load_results
from enstack.reporting.verdict import verdict_text
from enstack.stacking.baselines import WORDS
from enstack.stacking.leaps import Leap, leaps
from tests.support.report_runs import write_full_run
from tests.support.verdicts import difference, verdict_of, write_verdict

TASK = OneClass(("a", "b", "c"))
Side = tuple[np.ndarray, dict[str, np.ndarray]]


def side(n: int, shares: dict[str, float], random: np.random.RandomState) -> Side:
    labels = random.randint(3, size=n)
    right = {key: random.random_sample(n) < share for key, share in shares.items()}
    return labels, {
        key: np.where(is_right, labels, (labels + 1) % 3) for key, is_right in right.items()
    }


@pytest.mark.parametrize("n", [(150, 150), (300, 700), (2000, 4000)])
def test_a_model_that_knows_tests_labels_is_told_and_no_other(n: tuple[int, int]) -> None:
    random = np.random.RandomState(1)
    before = side(n[0], {"base:honest": 0.6, "base:oracle": 0.6, WORDS: 0.6}, random)
    test = side(n[1], {"base:honest": 0.6, "base:oracle": 1.0, WORDS: 0.6}, random)
    (found,) = leaps(TASK, before, test)
    assert found.title == "oracle"
    assert found.on_test == 1
    assert found.before == pytest.approx(0.6, abs=0.2)
    assert found.words_on_test == pytest.approx(0.6, abs=0.2)
    assert found.standard_errors > 4


def test_honest_models_are_hardly_ever_told_even_where_test_is_easier() -> None:
    random, told = np.random.RandomState(2), 0
    for _ in range(1000):
        before = side(200, {"base:m": 0.6, WORDS: 0.5}, random)
        test = side(300, {"base:m": 0.9, WORDS: 0.8}, random)
        told += len(leaps(TASK, before, test))
    assert told <= 1


def test_rows_that_are_copies_of_each_other_count_as_fewer() -> None:
    random = np.random.RandomState(3)
    before = side(100, {"base:m": 0.6, WORDS: 0.6}, random)
    labels, decisions = side(10, {"base:m": 1.0, WORDS: 0.6}, random)
    copies = np.repeat(np.arange(10), 30)
    test = labels[copies], {key: made[copies] for key, made in decisions.items()}
    assert leaps(TASK, before, test)
    assert leaps(TASK, before, test, copies) == []


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
    assert "oracle is right of 100.0% of the test functions, and of 60.0% of those" in alert.text
