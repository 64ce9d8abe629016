"""The report in Vietnamese: all that it says in English, with the same figures."""

from __future__ import annotations

import dataclasses
import html
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enstack.data.division import Division
from enstack.data.subsets import shortages
from enstack.data.texts import AS_LATIN_1, WITH_MARKS, reading_notes
from enstack.reporting.alerts import alerts_of
from enstack.reporting.findings import load_results
from enstack.reporting.next_step import next_step
from enstack.reporting.page import write_report
from enstack.reporting.two_languages import Catalog, in_two_languages, read_catalog
from enstack.run_folder import RunFolder
from enstack.stacking.leaps import Leap
from enstack.stacking.verdict import Declared, Explored, OnOtherFunctions
from enstack.stacking.verdict_text import MEASURE_TITLES, two_measures
from tests.support.report_runs import (
    write_binary_run,
    write_full_run,
    write_minimal_run,
    write_projects,
)
from tests.support.verdicts import difference, verdict_of, write_verdict
from tests.support.vietnamese import PLAIN_WORDS, catalog_of, english_left

PLACE = re.compile(r"\{\w+\}")

FEWER = Declared("macro_f1_30", "stack:lr", "base:tiny-a", ["CWE-119", "CWE-120"], 2000, 42)
APART = OnOtherFunctions(200, difference(0.0, 0.1), 1.0)
AHEAD = Explored("stack:lr", "base:tiny-b", difference(-0.1, 0.05), 0.01)
LEAP = Leap("tiny-a", 0.6, 0.9, 0.7, 0.71, 5.5)


@pytest.mark.parametrize("write", [write_full_run, write_minimal_run, write_binary_run])
def test_nothing_of_a_page_is_left_in_english(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    run_dir = write(tmp_path / "run")
    more = {"declared": FEWER, "without_near_duplicates": APART}
    verdict = verdict_of(difference(0.01, 0.04), difference(-0.02, 0.04), **more)
    write_verdict(run_dir, verdict)
    if write is not write_minimal_run:
        write_projects(run_dir, [240 - 20, 4, 6, 5, 5])
    assert english_left(write_report(run_dir).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("fixture", ["ensemble", "flags_ensemble"])
def test_nothing_of_a_real_runs_page_is_left_in_english(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    run: RunFolder = request.getfixturevalue(fixture)[0]
    assert english_left(run.report_page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("main", "words", "more"),
    [
        ((0.05, 0.03), (0.2, 0.1), {}),
        ((0.05, 0.03), None, {}),
        ((0.05, 0.03), (-0.01, 0.04), {}),
        ((-0.05, 0.03), (-0.1, 0.05), {"smallest_shown": None}),
        ((-0.05, 0.03), (0.2, 0.1), {"smallest_shown": 1.5}),
        ((0.0, 0.05), (-0.1, 0.05), {"accuracy": difference(0.1, 0.01), "n": 1}),
        ((0.01, 0.05), (0.1, 0.05), {"collapsed": ["tiny-a"], "labels_differ": False}),
        ((0.01, 0.05), None, {"collapsed_combinations": ["SVM", "mean of the base models"]}),
        ((0.01, 0.05), None, {"small_classes": ["A", "B"], "all_classes": difference(0.2, 0.01)}),
        ((0.1, 0.05), None, {"leaps": [LEAP]}),
        ((0.1, 0.05), None, {"explored": [AHEAD]}),
        ((0.1, 0.05), None, {"declared": FEWER, "without_near_duplicates": APART}),
        ((0.01, 0.05), None, {"candidate": "stack:rf~log@a+b", "against": "baseline:tfidf_lr"}),
    ],
)
def test_every_verdict_and_advice_has_its_vietnamese(main, words, more) -> None:  # type: ignore[no-untyped-def]
    verdict = verdict_of(difference(*main), difference(*words) if words else None, **more)
    said = [verdict.sentence, *verdict.caveats, str(next_step(verdict)), two_measures(verdict)]
    assert english_left("".join(f"<p>{html.escape(text)}</p>" for text in said)) == []


def test_alerts_have_their_vietnamese() -> None:
    data = {"notes": [], "truncated": {"tiny-a": {"test": 60}}, "functions": {"test": 100}}
    data |= {
        "counts": {"train": {"A": 0, "B": 1}, "validation": {"B": 0}},
        "holdout": {"folds": None},
    }
    per_class = [{"class": name, "support": n} for name, n in (("A", 9), ("B", 1), ("C", 2))]
    for some in (per_class[:1], per_class[1:], per_class):
        told = alerts_of(data, {"data_dir": "toy", "max_length": 64}, some, 7, 100, [LEAP])
        pieces = [text for alert in told for text in (alert.text, alert.action)]
        assert english_left("".join(f"<p>{html.escape(piece)}</p>" for piece in pieces)) == []


def notes_on_data() -> list[str]:
    """What may be noted of data, as the functions that note it write it."""
    division = {"near_duplicates_from": 0.7, "kept_together": ["commit"], "largest": "41.0 %"}
    passed_over = {"project": "only 1 group", "commit": "60 % of the functions name none"}
    dated = {"validation": "2021-02-03", "test": "2022-01-01", "undated": 7}
    read = np.zeros(3, np.uint8)
    return [
        *Division(read, "commit", 42, "0", {**division, "passed_over": passed_over}).notes(),
        *Division(
            read, "project", 42, "0", {**division, "near_duplicates_from": 0, "passed_over": {}}
        ).notes(),
        *Division(read, "date", 42, "0", dated).notes(),
        *shortages({"CWE-119": 1, **dict.fromkeys("abcd", 0)}, 1, "paper", "test"),
        *shortages({}, 1200, 3000, "train"),
        *reading_notes("test", np.arange(2), np.array([AS_LATIN_1, WITH_MARKS])),
        "train: 9 functions with lines marked as the flaw",
        "train: 1 function whose marked lines are none of the text's, left unmarked",
        "train: 1 function without any text, dropped",
        "train: 112 of 1,200 functions without a flag, dropped",
        "train: 400 of 1,200 functions in validation or test too (Jaccard of token 4-grams >= "
        "0.7), dropped",
        "test: 900 functions not in the subset",
        "test: no function of CWE-469, CWE-476",
        "a.csv: the five CWE columns were used, its label column not.",
        "⚠️  a.csv: each backslash stands doubled, as escapes have it; read as they stand",
        "labels are numbers, read as 0 clean, 1 vulnerable",
        "read as PrimeVul: func, target; binary; one table, split by commit; with project, commit",
        "read as own columns: code, y; binary; 3 splits",
        "⚠️  test: 30 of 200 functions share a commit with train; `enstack audit` tells what "
        "that is worth",
        "test: 1 function is (test/3) on one line with // inside, where a comment's end is lost: "
        "duplicates are looked for with its text kept",
        "test: 5 functions are (a, b, c, ...) longer than 100,000 characters: duplicates are "
        "looked for in so many, and models read max_length tokens",
    ]


def test_notes_on_data_have_their_vietnamese() -> None:
    catalog = catalog_of("".join(f"<li>{html.escape(note)}</li>" for note in notes_on_data()))
    assert catalog.unknown == set()
    assert not {name for name in catalog.names if PLAIN_WORDS.search(name)}


def test_a_translation_has_the_places_of_its_english_and_is_no_english() -> None:
    for form, translation in read_catalog().items():
        assert Counter(PLACE.findall(form)) == Counter(PLACE.findall(translation)), form
        assert re.findall(r"<[^>]+>", form).count("<b>") == translation.count("<b>"), form


def test_the_vietnamese_of_a_piece_stands_beside_it_with_its_figures() -> None:
    piece = '<p class="a">7 of 8</p><td data-label="weighted F1">0.5</td>'
    assert in_two_languages(piece, Catalog(read_catalog())) == (
        '<p class="a"><span lang="en">7 of 8</span><span lang="vi">7 trên 8</span></p>'
        '<td data-label="weighted F1" data-vi="F1 có trọng số">0.5</td>'
    )


@pytest.mark.parametrize(
    "strange",
    [
        "&lt;script&gt; of {names}",
        "{0} and {known_x}",
        "a % of \\1",
        "CWE-119 of the of",
        "loss",
        "the flag",
    ],
)
def test_what_a_user_has_named_is_never_translated_or_taken_for_a_form(strange: str) -> None:
    page = f'<h1 translate="no">{strange}</h1><pre>the best row</pre>'
    assert in_two_languages(page, Catalog(read_catalog())) == page


def test_the_page_says_in_both_languages_what_it_says(tmp_path: Path) -> None:
    run_dir = write_full_run(tmp_path / "run")
    page = write_report(run_dir).read_text(encoding="utf-8")
    assert '<input type="radio" name="language" id="english" checked>' in page
    assert page.count('<span lang="en">') == page.count('<span lang="vi">') > 100
    shown = load_results(run_dir).chosen
    assert page.count(f"{shown.macro_f1:.3f}") >= 2


@pytest.mark.parametrize("seen", ["marked in the file", "stated by the giver"])
def test_what_an_added_model_rests_on_and_what_was_declared_earlier_are_said(seen: str) -> None:
    rests = f"functions that it is stacked and measured on is {seen}; nothing here can check that."
    earlier = [
        {"measure": measure, "candidate": "stack:lr~log", "against": "baseline:tfidf_lr"}
        for measure in MEASURE_TITLES
    ]
    for one in earlier:
        declared = dataclasses.replace(FEWER, before=[one])
        (told,) = verdict_of(difference(0.0, 0.05), declared=declared).caveats
        assert english_left(f"<p>{told}</p>") == []
    assert english_left(f"<p>That it has not seen the {rests}</p>") == []


def test_a_list_of_models_is_said_each_by_its_name() -> None:
    catalog = Catalog(read_catalog())
    mean, tempered = "mean of the base models", "mean of the base models, each tempered"
    names = f"{mean}, {tempered}, SVM, my-own and XGBoost"
    said = catalog.translated(
        f"No better than chance on test (MCC 0.00): {names}. Nothing is combined there that is "
        "worth it."
    )
    assert said is not None
    each = [catalog.translated(mean), catalog.translated(tempered), "SVM", "my-own và XGBoost"]
    assert f"(MCC 0.00): {', '.join(map(str, each))}. " in said
    assert "tempered" not in said
    assert catalog.names == {"my-own"}
