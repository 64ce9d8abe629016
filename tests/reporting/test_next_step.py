"""What a verdict asks for is said in plain words."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from enstack.reporting.next_step import next_step
from enstack.run_folder import RunFolder
from enstack.stacking.costs import Cost
from enstack.stacking.leaps import Leap
from enstack.stacking.verdict_text import Verdict
from tests.support.pages import english
from tests.support.verdicts import difference, verdict_of
from tests.support.vietnamese import english_left

WORDS = "TF-IDF + logistic regression"


def told(verdict: Verdict) -> str:
    """What a verdict on real functions asks for, where nobody recorded costs."""
    return str(next_step(verdict))


@pytest.mark.parametrize(
    ("main", "words", "asked"),
    [
        ((0.05, 0.03), (0.2, 0.1), "Use logistic regression, if its cost"),
        ((0.05, 0.03), (-0.01, 0.04), f"Use {WORDS}: it is simpler"),
        ((-0.05, 0.03), (0.2, 0.1), "Use tiny-a: it is simpler"),
        ((-0.05, 0.03), (-0.1, 0.05), f"Use {WORDS}: it is simpler"),
        ((-0.01, 0.04), (0.2, 0.1), "Use tiny-a: it is simpler"),
        ((0.01, 0.04), (-0.02, 0.04), f"Use {WORDS}: it is simpler"),
        ((0.01, 0.04), None, "Use tiny-a: it is simpler"),
    ],
)
def test_the_simplest_model_that_nothing_beats_is_to_be_used(
    main: tuple[float, float], words: tuple[float, float] | None, asked: str
) -> None:
    verdict = verdict_of(difference(*main), difference(*words) if words else None)
    assert told(verdict).startswith(asked)


def test_where_nothing_is_shown_four_times_the_functions_are_said_to_show_half_as_much() -> None:
    asked = told(verdict_of(difference(0.0, 0.05), n=700, smallest_shown=0.07))
    assert "a gain of 0.035" in asked
    assert asked.endswith("about four times as many: 2,800.")
    assert "four times" not in told(verdict_of(difference(-0.1, 0.05)))
    few = told(verdict_of(difference(0.0, 1.0), n=3, smallest_shown=1.4))
    assert few.endswith(" Test on more functions: so few can show no gain.")
    assert english_left(f"<p>{few}</p>") == []
    unlikely = verdict_of(difference(-0.03, 0.05), n=700, smallest_shown=0.07)
    assert "four times" not in told(unlikely), "the interval ends below half of .07"


def test_beside_a_model_that_has_learned_nothing_two_things_are_told_training_and_use() -> None:
    first = "Train small-b anew or do without, and judge stacking then"
    for main, words, use in (
        ((0.1, 0.05), None, "Until that is done: Use logistic regression, if its cost"),
        ((0.0, 0.05), (-0.1, 0.05), f"Until that is done: Use {WORDS}: it is simpler"),
    ):
        verdict = verdict_of(
            difference(*main), difference(*words) if words else None, collapsed=["small-b"]
        )
        assert told(verdict).startswith(first)
        assert use in told(verdict)
        assert english_left(f"<p><b>What next?</b> {told(verdict)}</p>") == []


def test_where_every_base_model_has_collapsed_there_is_none_to_do_without() -> None:
    verdict = verdict_of(difference(0.0, 0.05), collapsed=["small-a", "tiny-a"])
    assert told(verdict).startswith("Train small-a and tiny-a anew, and judge stacking then")
    assert english_left(f"<p><b>What next?</b> {told(verdict)}</p>") == []


def test_what_is_no_better_than_chance_is_not_to_be_used_for_being_simple() -> None:
    verdict = verdict_of(difference(0.0, 0.05))
    asked = next_step(verdict, at_chance=["base:tiny-a", "stack:lr"])
    assert str(asked).startswith("Use none of these models: tiny-a is no better than chance")
    assert english_left(f"<p>{asked}</p>") == []


def test_what_makes_a_verdict_void_comes_first() -> None:
    seen = verdict_of(difference(0.1, 0.05), leaps=[Leap("mine", 0.6, 0.9, 0.5, 0.5, 9.0)])
    assert told(seen).startswith("Find out how mine came about, or do without")
    assert english_left(f"<p>{told(seen)}</p>") == []
    alike = verdict_of(difference(0.0, 0.0), labels_differ=False)
    assert told(alike).startswith("Test on functions of every class")


def test_a_gain_is_weighed_against_what_an_answer_costs() -> None:
    costs = {"stack:lr": Cost(8.2, 30.04), "base:tiny-a": Cost(1.8, 3.1)}
    asked = next_step(verdict_of(difference(0.05, 0.03)), costs=costs)
    weighed = (
        "Use logistic regression, if the gain is worth 30.0 s for 1,000 functions instead of 3.1; "
    )
    assert str(asked).startswith(weighed)
    assert english_left(f"<p>{asked}</p>") == []
    unknown = {**costs, "base:tiny-a": Cost(1.8, None)}
    assert "if its cost" in str(next_step(verdict_of(difference(0.05, 0.03)), costs=unknown))


def test_nothing_made_up_is_to_be_used_whatever_it_shows() -> None:
    for verdict in (None, verdict_of(difference(0.05, 0.03))):
        asked = next_step(verdict, made_up=True)
        assert str(asked).startswith("Use none of these models.")
        assert english_left(f"<p>{asked}</p>") == []
    assert next_step(None) is None


def test_a_report_that_is_written_again_says_the_verdict_and_the_page_what_is_next(
    ensemble_copy: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    from enstack.reporting.findings import load_results
    from enstack.reporting.stage import rewrite_report

    page: Path = rewrite_report(ensemble_copy.path)
    content = load_results(ensemble_copy.path)
    verdict: Verdict | None = content.verdict
    assert verdict is not None
    assert verdict.sentence.split(":")[0] in capsys.readouterr().out
    assert str(content.next_step) in html.unescape(english(page.read_text(encoding="utf-8")))
