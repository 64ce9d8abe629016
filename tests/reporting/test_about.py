"""The paragraph that says what a run is: true of every label mode, data set and way of stacking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from enstack.data.labels import CLASS_NAMES
from enstack.reporting.about import about
from enstack.reporting.background import Choice
from enstack.reporting.leaderboard import LeaderboardRow

FUNCTIONS = {"train": 18_000, "validation": 240, "test": 241}
HOLDOUT = {"stacking": {"split": "validation", "functions": 120}, "folds": None}
OUT_OF_FOLD = {"stacking": {"split": "train", "functions": 18_000}, "folds": [6000] * 3}


def row(kind: str, name: str) -> LeaderboardRow:
    numbers = dict.fromkeys(LeaderboardRow.__dataclass_fields__, 0.5)
    return LeaderboardRow(**{**numbers, "kind": kind, "name": name})  # type: ignore[arg-type]


def paragraph(
    label_mode: str = "cwe",
    holdout: dict[str, Any] = HOLDOUT,
    rows: tuple[str, ...] = ("base:b", "base:a", "stack:lr"),
    added: tuple[str, ...] = (),
    chosen_on: str = "validation",
    functions: Mapping[str, int] = FUNCTIONS,
    **settings: Any,
) -> str:
    data = {
        "label_mode": label_mode,
        "class_names": CLASS_NAMES[label_mode],
        "functions": functions,
        "holdout": holdout,
        "added": dict.fromkeys(added),
    }
    choice = Choice("stack:lr", "LR of a", chosen_on, "mcc", 47, 120, 0.5, 3)
    return about(data, settings, [row(*key.split(":")) for key in rows], choice)


@pytest.mark.parametrize(
    ("label_mode", "said"),
    [
        (
            "cwe",
            "which of 5 weaknesses it has (CWE-119, CWE-120, CWE-469, CWE-476, CWE-other); fun",
        ),
        ("cwe_or_clean", "CWE-other), or that it is clean: 6 classes."),
        ("binary", "says whether it is vulnerable."),
        ("multilabel", "of each of 5 weaknesses whether it is there (CWE-119, CWE-120"),
    ],
)
def test_what_is_asked_is_said_of_every_label_mode(label_mode: str, said: str) -> None:
    assert said in paragraph(label_mode)
    assert ("without any are not among them" in paragraph(label_mode)) == (label_mode == "cwe")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data_dir": "toy"}, "The functions are the toy data of enstack: 18,000 to learn from"),
        ({"data_dir": "~/vdisc"}, "The functions are the data in ~/vdisc: 18,000 to learn from "),
        (
            {"data_dir": "d", "subset": "paper"},
            "a subset, smaller than the paper's, of the data in d",
        ),
        (
            {"data_dir": "d", "subset": 1500},
            "a subset, of 1,500 in a split at most, of the data in",
        ),
    ],
)
def test_where_functions_come_from_and_how_many_they_are(
    settings: dict[str, Any], said: str
) -> None:
    assert said in paragraph(**settings)
    papers = {"train": 20_305, "validation": 3_900, "test": 3_900}
    assert "as large as the paper's" in paragraph(subset="paper", functions=papers)
    assert "(train), 240 to choose on (validation) and 241 to measure on (test)." in paragraph()


def test_base_models_are_named_apart_from_those_of_elsewhere() -> None:
    assert "2 base models learned here: a and b." in paragraph()
    text = paragraph(added=("b",))
    assert "1 base model learned here: a. Trained elsewhere and added: b." in text


def test_how_models_are_combined_is_said() -> None:
    assert "fitted on 120 functions of validation, none of which" in paragraph()
    text = paragraph(holdout=OUT_OF_FOLD)
    assert "fitted on 18,000 functions of train, of which each was judged by models" in text
    assert "learned from 2 other folds (out of fold)" in text
    alone = paragraph(rows=("base:a",))
    assert "Nothing is combined." in alone
    assert "fitted on" not in alone


def test_what_was_chosen_on_what_is_said_where_the_run_recorded_it() -> None:
    assert "Of 47 candidates, LR of a was best by MCC on 120 functions" in paragraph()
    assert "candidate" not in paragraph(chosen_on="test")
