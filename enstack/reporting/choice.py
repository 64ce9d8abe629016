"""Which model a report is about: the one that was chosen before test was looked at."""

from __future__ import annotations

from typing import Any

from enstack.reporting.background import Choice
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.stored_files import read_object, unusable
from enstack.reporting.stored_run import StoredRun
from enstack.stacking.verdict_text import MEASURE_TITLES

__all__ = ["chosen_row"]

ON_VALIDATION, ON_TEST = "validation", "test"


def chosen_row(stored: StoredRun) -> tuple[LeaderboardRow, Choice]:
    """The row that selection.json names, as `enstack.load` takes it; else the best on test."""
    selection, by_key = _selection(stored), {row.key: row for row in stored.rows}
    row = by_key.get(str(selection.get("best")))
    if row is None:
        return stored.rows[0], _choice(stored, stored.rows[0], ON_TEST, {})
    return row, _choice(stored, row, ON_VALIDATION, selection)


def _selection(stored: StoredRun) -> dict[str, Any]:
    path = stored.folder.stacking.selection
    return read_object(path) if path.is_file() else {}


def _choice(
    stored: StoredRun, row: LeaderboardRow, chosen_on: str, selection: dict[str, Any]
) -> Choice:
    scores, measure = selection.get("scores", {}), selection.get("measure", "macro_f1")
    if not isinstance(scores, dict):
        raise unusable(stored.folder.stacking.selection, "scores must be one object")
    if measure not in MEASURE_TITLES:
        raise unusable(stored.folder.stacking.selection, f"no measure {measure} is known")
    return Choice(
        key=row.key,
        title=row.title,
        chosen_on=chosen_on,
        measure=measure,
        candidates=sum(not str(key).startswith("baseline:") for key in scores),
        functions=selection.get("functions"),
        score=scores.get(row.key),
        rank_on_test=1 + stored.rows.index(row),
    )
