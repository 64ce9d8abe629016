"""A report of many classes: what has no room is told in fewer words; tables have all of it."""

from __future__ import annotations

import pytest

from enstack.counting import some_of
from enstack.reporting.curve_figures import largest_classes
from enstack.reporting.page import write_report
from tests.support.pages import Page
from tests.support.report_runs import write_run

CLASSES = tuple(f"CWE-{number}" for number in range(20, 50))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    leans = {"base:tiny-a": 1.0, "stack:lr": 2.0}
    support = [60 // (place + 1) for place in range(len(CLASSES))]
    run_dir = tmp_path_factory.mktemp("many") / "run"
    return Page(write_report(write_run(run_dir, leans, support, CLASSES, 1))).text


def test_the_largest_classes_are_drawn_in_their_order() -> None:
    entries = [{"class": str(n), "support": n} for n in (5, 1, 9, *range(20, 30), 2)]
    drawn = [entry["class"] for entry in largest_classes(entries)]
    assert drawn == ["5", "9", *map(str, range(20, 30))]


def test_confusions_of_many_classes_are_a_list(text: str) -> None:
    assert "What is confused most often" in text
    assert "with the share of the row" not in text


def test_every_class_stands_in_the_tables_and_few_of_them_in_sentences(text: str) -> None:
    table = text[text.index("Numbers per class") :]
    assert all(name in table for name in CLASSES)
    assert f"({', '.join(CLASSES[:11])} and 19 more)" in text
    assert "and 19 more classes as few, under 30: their figures prove little" in text
    assert "The 12 with the most test functions are drawn" in text


@pytest.mark.parametrize(
    ("n", "said"), [(1, "a"), (3, "a, a, a"), (4, "a, a and 2 more"), (9, "a, a and 7 more")]
)
def test_a_long_list_of_names_ends(n: int, said: str) -> None:
    assert some_of(["a"] * n, limit=3) == said
