"""Alerts: each names its figure, its threshold and what to do, and stays away below it."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import pytest

from enstack.auditing.alerts import alerts_of
from enstack.auditing.content import (
    Audit,
    Contradictions,
    Duplicates,
    Lengths,
    Quantiles,
    Scores,
    SharedGroups,
    Telling,
    WordCounts,
)
from tests.support.vietnamese import english_left

LEVELS = ("same text", "Jaccard >= 0.9", "Jaccard >= 0.7")
SPLITS = ("train", "validation", "test")
NONE = dict.fromkeys(SPLITS, 0)


def lengths(truncated: int) -> Lengths:
    quantiles = Quantiles(1, 2, 3, 4, 5, 6, truncated)
    return Lengths("tokens of x", 512, dict.fromkeys(SPLITS, quantiles), {}, [0] * 101)


def words(length: float = 0.4, tfidf: float = 0.7) -> dict[str, WordCounts]:
    scores = {"tfidf_lr": tfidf, "length": length, "majority": 0.35}
    return {"all": WordCounts(1000, {name: Scores(0.5, f1, 0.5) for name, f1 in scores.items()})}


def quiet() -> Audit:
    """An audit of 1,000 functions a split, about which there is nothing to say."""
    counts = {split: {"clean": 600, "flaw": 400} for split in SPLITS}
    return Audit(
        data="data", functions=dict.fromkeys(SPLITS, 1000), fingerprint="", label_mode="binary",
        label_rule="", class_names=["clean", "flaw"], counts=counts, available={}, dropped={},
        flag_counts={}, flags_become={}, division={}, notes=[], flags=None, lengths=[lengths(99)],
        duplicates=Duplicates({level: dict.fromkeys(SPLITS, NONE) for level in LEVELS}, NONE, 0),
        contradictions=Contradictions(dict.fromkeys(LEVELS, NONE), dict.fromkeys(LEVELS, 0), []),
        word_counts=words(), groups={}, telling={}, projects=[], alerts=[],
    )  # fmt: skip


def duplicated(level: str, count: int) -> Duplicates:
    levels = {name: dict.fromkeys(SPLITS, NONE) for name in LEVELS}
    levels[level] = {**levels[level], "test": {**NONE, "train": count}}
    return Duplicates(levels, NONE, 0)


def contradicted(level: str, count: int) -> Contradictions:
    levels = {**dict.fromkeys(LEVELS, NONE), level: {**NONE, "train": count}}
    return Contradictions(levels, {**dict.fromkeys(LEVELS, 0), level: count}, [])


def counted(split: str, flaw: int) -> dict[str, dict[str, int]]:
    return {**quiet().counts, split: {"clean": 1000 - flaw, "flaw": flaw}}


def commits(shared: int) -> dict[str, SharedGroups]:
    return {"commit": SharedGroups(9, {}, {"test": {"train": shared}})}


def told_by(kind: str, macro_f1: float, auc: float) -> dict[str, Any]:
    baselines = {kind: Scores(0.5, macro_f1, auc), **words()["all"].baselines}
    telling = [Telling("curl", "flaw", 80, 90)]
    return {"word_counts": {"all": WordCounts(1000, baselines)}, "telling": {kind: telling}}


def test_what_to_do_about_a_project_depends_on_who_divided_the_table() -> None:
    told = told_by("project", 0.9, 0.9)
    (given,) = alerts_of(dataclasses.replace(quiet(), **told))
    assert "(curl: 80 of 90 are flaw). Write all functions into one file" in given.action
    (divided,) = alerts_of(dataclasses.replace(quiet(), **told, division={"by": "commit"}))
    assert divided.action.endswith("Use split_by=project.")


def test_nothing_is_told_where_nothing_is_to_be_done() -> None:
    assert alerts_of(quiet()) == []


@pytest.mark.parametrize(
    ("below", "passed", "headline"),
    [
        ({}, {"duplicates": duplicated(LEVELS[0], 1)}, "1 test function stands word for word"),
        (
            {"duplicates": duplicated(LEVELS[2], 9)},
            {"duplicates": duplicated(LEVELS[2], 10)},
            "1.0 % of test has a near-duplicate",
        ),
        ({}, {"contradictions": contradicted(LEVELS[0], 1)}, "1 pair of the same text"),
        (
            {"contradictions": contradicted(LEVELS[1], 49)},
            {"contradictions": contradicted(LEVELS[1], 50)},
            "5.0 % of train has a near-duplicate with another label",
        ),
        (
            {"counts": counted("test", 201)},
            {"counts": counted("test", 200)},
            "Other shares in test than in train: flaw",
        ),
        (
            {"counts": counted("train", 201)},
            {"counts": counted("train", 19)},
            "Rare in train: flaw",
        ),
        ({"word_counts": words(0.44)}, {"word_counts": words(0.46)}, "Length alone reaches"),
        (
            {"word_counts": words(tfidf=0.79)},
            {"word_counts": words(tfidf=0.9996)},
            "Counted words reach macro-F1 >0.999",
        ),
        (
            {"groups": commits(0)},
            {"groups": commits(1)},
            "0.1 % of test shares a commit with train",
        ),
        (
            told_by("project", 0.44, 0.59),
            told_by("project", 0.46, 0.5),
            "The project alone reaches",
        ),
        (told_by("source", 0.35, 0.59), told_by("source", 0.35, 0.61), "The source alone reaches"),
        ({"lengths": [lengths(99)]}, {"lengths": [lengths(100)]}, "10.0 % of train is cut at 512"),
    ],
)
def test_an_alert_comes_at_its_threshold_and_names_it(
    below: dict[str, Any], passed: dict[str, Any], headline: str
) -> None:
    assert alerts_of(dataclasses.replace(quiet(), **below)) == []
    told = [
        alert
        for alert in alerts_of(dataclasses.replace(quiet(), **passed))
        if alert.headline.startswith(headline)
    ]
    assert len(told) == 1
    assert re.search(r"told (from|below) [\d.]+", told[0].headline)
    assert len(told[0].action) > 20
    pieces = [told[0].headline, told[0].action]
    assert english_left("".join(f"<p>{html.escape(piece)}</p>" for piece in pieces)) == []


def test_a_class_with_few_test_functions_is_named_with_their_number() -> None:
    audit = dataclasses.replace(quiet(), counts=counted("test", 29))
    assert "Few test functions: flaw (29) (told below 30)" in [a.headline for a in alerts_of(audit)]
