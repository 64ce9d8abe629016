"""What figures can't tell is said as the data have it, and how sure a verdict is in plain words."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from enstack.reporting.how_sure import how_sure
from enstack.reporting.limits import limits_of
from enstack.reporting.seeds import Seeds, SeedVerdict
from enstack.stacking.leaps import Leap
from tests.support.verdicts import difference, verdict_of
from tests.support.vietnamese import english_left

SEEN, DATED, REPAIRED = "never seen", "written later", "a flaw from its repair"
FIVE_FLAGS = {"0": {"test": 7}}


def told(groups: Any, flag_counts: Any = FIVE_FLAGS) -> str:
    limits = limits_of({"groups": groups, "flag_counts": flag_counts}, several_seeds=False)
    assert english_left("".join(f"<li>{html.escape(limit)}</li>" for limit in limits)) == []
    return " ".join(limits)


def counts(test: int, train_too: int) -> dict[str, int]:
    return {"test": test, "train_too": train_too}


def test_of_data_without_groups_it_is_said_what_nobody_can_measure() -> None:
    assert all(unknown in told({}) for unknown in (SEEN, DATED, REPAIRED, "Draper VDISC's do not"))


def test_nothing_is_called_unmeasurable_that_the_data_name() -> None:
    named = told({"project": counts(12, 3), "commit": counts(40, 0), "date": counts(9, 9)})
    assert not any(unknown in named for unknown in (SEEN, DATED, REPAIRED))
    assert "Of the 12 projects of test 3 stand in train too" in named
    assert "commits of test" not in named, "none of them stands in train"
    assert "Only where test was divided off by them" in named


def test_where_test_was_divided_off_by_date_nothing_is_said_against_it() -> None:
    data = {"groups": {"date": counts(9, 0)}, "flag_counts": {}, "division": {"by": "date"}}
    assert "The data name dates" not in " ".join(limits_of(data, several_seeds=False))


@pytest.mark.parametrize(
    ("kind", "unknown"), [("project", SEEN), ("date", DATED), ("commit", REPAIRED)]
)
def test_what_is_missing_alone_is_said_alone(kind: str, unknown: str) -> None:
    others = {other: counts(2, 1) for other in ("project", "commit", "date") if other != kind}
    named = told(others)
    assert [one for one in (SEEN, DATED, REPAIRED) if one in named] == [unknown]


def test_projects_that_train_does_not_have_are_said_to_be_new() -> None:
    assert "No project of test stands in train" in told({"project": counts(4, 0)})


def test_commits_on_both_sides_are_counted() -> None:
    assert "Of the 1,040 commits of test 17 stand in train too" in told(
        {"commit": counts(1040, 17)}
    )


def test_of_a_run_that_did_not_record_groups_nothing_is_said_of_them() -> None:
    assert "The data name" not in told(None)


def test_static_analysers_are_named_where_labels_are_flags_alone() -> None:
    assert "static analysers gave them" in told({})
    assert "static analysers" not in told({}, flag_counts={})
    assert "Labels are taken as the data have them" in told({}, flag_counts={})


NONE_SHOWN = "That no difference is shown does not mean that there is none."


@pytest.mark.parametrize(
    ("main", "more", "said"),
    [
        ((0.05, 0.03), {}, "The whole interval lies above 0"),
        ((-0.05, 0.03), {}, "The whole interval lies below 0"),
        ((0.01, 0.04), {}, NONE_SHOWN),
        ((0.01, 0.04), {"smallest_shown": 1.0, "n": 9}, "Not at all"),
        ((0.0, 0.0), {"smallest_shown": None}, "Other test functions may tell the two apart."),
    ],
)
def test_how_sure_a_verdict_is_adds_to_its_sentence_and_repeats_no_figure_of_it(
    main: tuple[float, float], more: dict[str, Any], said: str
) -> None:
    verdict = verdict_of(difference(*main), **more)
    sure = how_sure(verdict)
    assert sure is not None
    assert said in sure
    assert sure.endswith("Another seed may come out otherwise.")
    assert {*re.findall(r"[\d.]*\d", sure)} <= {"0"}
    assert english_left(f"<p>{html.escape(sure)}</p>") == []


def test_where_several_seeds_were_run_their_own_comparisons_are_counted() -> None:
    told = [SeedVerdict(seed, how, "") for seed, how in enumerate(["better", "worse", "worse"])]
    sure = how_sure(verdict_of(difference(0.01, 0.04)), Seeds([0, 1, 2], "", told, []))
    counted = "Each of 3 seeds had a comparison of its own: 1 better, 0 not shown, 2 worse."
    assert sure is not None
    assert sure.endswith(counted)
    assert english_left(f"<p>{counted}</p>") == []


def test_nothing_is_sure_beside_a_leak_or_without_two_labels() -> None:
    leap = Leap("tiny-a", 0.6, 0.9, 0.7, 0.71, 5.5)
    assert how_sure(None) is None
    assert how_sure(verdict_of(difference(0.1, 0.05), leaps=[leap])) is None
    assert how_sure(verdict_of(difference(0.1, 0.05), labels_differ=False)) is None
