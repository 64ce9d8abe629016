"""A model's line scores are measured where flawed lines are known, beside what needs no model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enstack.bundle import TrainedModel
from enstack.bundle.line_measures import known_lines, measure_lines
from enstack.bundle.loading import load
from enstack.data.vulnerability_data import Functions
from enstack.errors import DataError
from enstack.lines.methods import METHODS
from enstack.metrics.line_ranking import rank_lines


@pytest.fixture(scope="module")
def vote(ensemble: Any) -> TrainedModel:
    return load(ensemble[0].path, "vote")


@pytest.fixture(scope="module")
def marked(toy_data: Any, vote: TrainedModel) -> Functions:
    """The test functions, the third line of each vulnerable one a flaw, but for the first one."""
    functions = toy_data.splits["test"]
    vulnerable = vote.task.vulnerable(functions.labels)
    assert vulnerable is not None
    lines = [[3] if flaw else [] for flaw in vulnerable]
    lines[int(np.flatnonzero(vulnerable)[0])] = []
    return dataclasses.replace(functions, flaw_lines=pa.array(lines, pa.list_(pa.int32())))


def test_functions_of_which_lines_are_not_known_are_left_out(
    vote: TrainedModel, marked: Functions
) -> None:
    known = known_lines(vote, marked)
    assert len(known.texts) == len(marked) - 1
    assert [lines.any() for lines in known.flawed] == known.vulnerable.tolist()
    for text, lines in zip(known.texts, known.flawed, strict=True):
        assert lines.shape == (1 + text.count("\n"),)
    said = vote.predict_proba(known.texts)
    decided = vote.task.vulnerable(vote.task.decide(said, None))
    np.testing.assert_array_equal(known.alerted, decided)
    clean = vote.class_names.index("clean")
    said[:, clean] = -1
    np.testing.assert_array_equal(known.classes, said.argmax(axis=1))
    # The micro models read 32 tokens.
    assert known.whole.sum() < len(known.texts)


def test_every_method_has_its_row_behind_those_that_need_no_model(
    vote: TrainedModel, marked: Functions
) -> None:
    known = known_lines(vote, marked)
    # So that something is read whole: deletion and insertion are of those.
    short = dataclasses.replace(
        known, whole=np.ones_like(known.whole), alerted=np.ones_like(known.alerted)
    )
    rows = measure_lines(vote, short)
    names = ["random lines", "longest line", "lines with calls", *METHODS]
    assert [row.method for row in rows] == names
    holds = [np.array([bool(line.strip()) for line in t.split("\n")]) for t in known.texts]
    flawed = [lines[there] for lines, there in zip(known.flawed, holds, strict=True)]
    alike = [np.zeros(len(lines)) for lines in flawed]
    assert rows[0].ranking == rank_lines(alike, flawed)
    for row in rows:
        assert row.ranking.functions == known.vulnerable.sum()
        for share in (row.effort_at_20_recall, row.recall_at_1_loc, row.deletion, row.insertion):
            assert 0 <= share <= 1
    assert rows[0].effort_at_20_recall == pytest.approx(0.2, abs=1e-6)


def test_functions_without_marks_can_t_be_measured(vote: TrainedModel, marked: Functions) -> None:
    with pytest.raises(DataError, match=r"Put flaw_lines\.jsonl beside the data"):
        known_lines(vote, dataclasses.replace(marked, flaw_lines=None))
