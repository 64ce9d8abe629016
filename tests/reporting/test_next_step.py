"""What a verdict asks for is said in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from enstack.reporting.next_step import next_step
from enstack.run_folder import RunFolder
from enstack.stacking.verdict_text import Verdict
from tests.support.pages import english
from tests.support.verdicts import difference, verdict_of

WORDS = "TF-IDF + logistic regression"


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
    assert next_step(verdict).startswith(asked)


def test_where_nothing_is_shown_four_times_the_functions_are_said_to_show_half_as_much() -> None:
    told = next_step(verdict_of(difference(0.0, 0.05), n=700, smallest_shown=0.07))
    assert "a gain of 0.035" in told
    assert told.endswith("about four times as many: 2,800.")
    assert "four times" not in next_step(verdict_of(difference(-0.1, 0.05)))
    unlikely = verdict_of(difference(-0.03, 0.05), n=700, smallest_shown=0.07)
    assert "four times" not in next_step(unlikely), "the interval ends below half of .07"


def test_what_makes_a_verdict_void_comes_first() -> None:
    collapsed = verdict_of(difference(0.1, 0.05), collapsed=["small-b"])
    assert next_step(collapsed).startswith("Mend first what the verdict warns of")
    alike = verdict_of(difference(0.0, 0.0), labels_differ=False)
    assert next_step(alike).startswith("Test on functions of every class")


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
    assert str(content.next_step) in english(page.read_text(encoding="utf-8"))
