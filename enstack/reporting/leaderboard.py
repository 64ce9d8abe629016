"""The leaderboard for readers: its rows, which of their measures are shown, and how they print."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from enstack.console import printable
from enstack.counting import counted
from enstack.errors import CheckpointError
from enstack.reporting.console import aligned_table
from enstack.reporting.costs import cost_cells, read_costs
from enstack.reporting.stored_files import read_text, unusable
from enstack.reporting.verdict import read_verdict
from enstack.rounding import decimal
from enstack.run_folder import RunFolder
from enstack.stacking.costs import Cost
from enstack.stacking.titles import title
from enstack.stacking.verdict_text import two_measures
from enstack.storage.files import read_json
from enstack.storage.manifest import MANIFEST, folder_problems

__all__ = [
    "KINDS",
    "MEASURES",
    "LeaderboardRow",
    "interval",
    "leaderboard_cells",
    "leaderboard_text",
    "number",
    "read_leaderboard",
    "read_leaderboard_frame",
    "read_report_leaderboard",
]

# In the order in which rows with equal macro-F1 are listed: the simplest first.
KINDS = {"baseline": "baseline", "base": "base model", "vote": "vote", "stack": "stack"}


@dataclass(frozen=True)
class LeaderboardRow:
    """One model's figures on the test functions; None where a figure is not defined.

    key: "kind:name", as in the files of stacking/; title: the name for people; n: functions it was
    measured on; _low and _high: ends of the 95 % bootstrap interval.
    """

    key: str
    kind: str
    name: str
    title: str
    n: int
    accuracy: float
    macro_f1: float
    accuracy_low: float | None
    accuracy_high: float | None
    macro_f1_low: float | None
    macro_f1_high: float | None
    macro_precision: float | None
    macro_recall: float | None
    weighted_precision: float | None
    weighted_recall: float | None
    weighted_f1: float | None
    auc: float | None
    mcc: float | None


# Without these a row can't be ranked or checked; the others may be undefined.
REQUIRED_NUMBERS = ("n", "accuracy", "macro_f1")
# Annotations are text in this module, as its first import postpones them.
OTHER_NUMBERS = tuple(
    name for name, kind in LeaderboardRow.__annotations__.items() if kind == "float | None"
)


@dataclass(frozen=True)
class Measure:
    """One measure as tables show it: its title, the row's field, whether it has an interval."""

    title: str
    field: str
    has_interval: bool = False
    page_only: bool = False  # a console has 80 columns


# In the order of every table; the rows are sorted by the first.
MEASURES = (
    Measure("macro-F1", "macro_f1", has_interval=True),
    Measure("accuracy", "accuracy", has_interval=True),
    Measure("weighted F1", "weighted_f1", page_only=True),
    Measure("AUC", "auc"),
    Measure("MCC", "mcc"),
)


def read_leaderboard_frame(path: Path) -> pd.DataFrame:
    """leaderboard.csv as it was written, checked: kinds, finite figures, at least one row.

    kind and name are text, n is int64, all else float64, NaN where a figure is not defined. Raises
    CheckpointError for a file that is missing or damaged.
    """
    text = read_text(path)
    try:
        # The standard library's parser, which reads every name that its writer wrote; text first,
        # for a base model may be called "NA", and so that float() has the last bit of each number.
        board = pd.read_csv(
            io.StringIO(text, newline=""),
            engine="python",
            dtype=str,
            keep_default_na=False,
            # Else pandas takes the first column for an index where rows have a cell too many.
            index_col=False,
        )
        if board.isna().any(axis=None):
            raise ValueError("a row is too short")
        board = _with_numbers(board)
    except (KeyError, TypeError, ValueError) as error:
        raise unusable(path, f"a row is damaged ({error!r})") from error
    if board.empty:
        raise unusable(path, "it holds no row")
    return board


def _with_numbers(board: pd.DataFrame) -> pd.DataFrame:
    unknown = [kind for kind in board["kind"] if kind not in KINDS]
    if unknown:
        raise ValueError(f"kind {unknown[0]}")
    board = board.assign(**{column: board[column].map(float) for column in REQUIRED_NUMBERS})
    for kind, name, *numbers in board[["kind", "name", *REQUIRED_NUMBERS]].itertuples(index=False):
        # float() reads "nan" and "inf" without complaint.
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{kind}:{name} has no number")
    # pandas wrote a figure that is not defined as nothing at all.
    others = {column: board[column].replace("", "nan").map(float) for column in OTHER_NUMBERS}
    return board.assign(n=board["n"].astype("int64"), **others)


def read_leaderboard(path: Path) -> list[LeaderboardRow]:
    """The rows of leaderboard.csv, best macro-F1 first; CheckpointError as the frame's reader."""
    # It lies in a run's folder stacking.
    added = RunFolder(path.parent.parent).added()
    rows = [_row(record, added) for record in read_leaderboard_frame(path).to_dict("records")]
    order = list(KINDS)
    # By kind and name too, so that equal figures stand in one order whatever the file's is.
    return sorted(rows, key=lambda row: (-row.macro_f1, order.index(row.kind), row.name))


def _row(record: Mapping[Any, Any], added: Sequence[str]) -> LeaderboardRow:
    name = record["name"]
    own = f"{name} (added)" if record["kind"] == "base" and name in added else name
    key = f"{record['kind']}:{record['name']}"
    others = {column: float(record[column]) for column in OTHER_NUMBERS}
    return LeaderboardRow(
        key=key,
        kind=record["kind"],
        name=record["name"],
        # A base model goes by the name that its user gave it.
        title=own if record["kind"] == "base" else title(key),
        n=int(record["n"]),
        accuracy=float(record["accuracy"]),
        macro_f1=float(record["macro_f1"]),
        # JSON knows no NaN.
        **{name: value if math.isfinite(value) else None for name, value in others.items()},
    )


def read_report_leaderboard(path: Path) -> list[LeaderboardRow]:
    """The rows of a report.json, best first; none where the file holds no leaderboard.

    Raises CheckpointError for a file that is damaged, or written by other code than this.
    """
    if not path.is_file():
        return []
    # A report without a manifest was stopped half-way, or is older: its rows are read as they are.
    if (path.parent / MANIFEST).exists() and (problems := folder_problems(path.parent)):
        raise CheckpointError(
            f"{path.parent} must be as it was written, but {problems[0]}. Run `enstack report "
            f"{path.parent.parent}` to have it written again."
        )
    try:
        return [LeaderboardRow(**row) for row in read_json(path)["leaderboard"]]
    # A row with a field more or less than LeaderboardRow's is a TypeError.
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} must hold a leaderboard as this code writes it ({error}). "
            f"Run `enstack report {path.parent.parent}` to have it written again."
        ) from error


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else decimal(value, digits)


def interval(row: LeaderboardRow, field: str) -> str:
    """The 95 % interval of a measure for people; a dash where there is none."""
    low, high = (number(getattr(row, f"{field}_{end}")) for end in ("low", "high"))
    return "–" if low == high == "–" else f"{low}–{high}"


def leaderboard_cells(row: LeaderboardRow) -> dict[str, str]:
    """A row's cells by their titles, as console and notebook show them."""
    first, *others = (measure for measure in MEASURES if not measure.page_only)
    return {
        "kind": KINDS[row.kind],
        "name": row.title,
        first.title: number(getattr(row, first.field)),
        "95 % interval": interval(row, first.field),
        **{measure.title: number(getattr(row, measure.field)) for measure in others},
    }


def _cost_lines(
    rows: Sequence[LeaderboardRow], costs: Mapping[str, Cost], candidate: str | None
) -> Iterator[str]:
    """What the candidate of the verdict costs, and the best base model beside it.

    candidate: its key; without a verdict, the best of those that ask several models.
    """
    first = sorted(rows, key=lambda row: row.key != candidate)
    for kinds in (("vote", "stack"), ("base",)):
        row = next((row for row in first if row.kind in kinds and row.key in costs), None)
        if row is not None and costs[row.key] != Cost(None, None):  # of an older run
            name = printable(title(row.key, short=True))
            told = (f"{text} {unit}" for unit, text in cost_cells(costs[row.key]).items())
            yield f"Cost of {name}: {', '.join(told)}."


def leaderboard_text(run_dir: Path) -> str:
    """The leaderboard of a run folder as a table for the console, best macro-F1 first."""
    stacking = RunFolder(Path(run_dir)).stacking
    rows, costs = read_leaderboard(stacking.leaderboard), read_costs(stacking.costs)
    table = [
        {
            "#": str(rank),
            **leaderboard_cells(row),
            # Cut in their middle, the long ones can't be told apart.
            "name": row.title if row.kind == "base" else title(row.key, short=True),
        }
        for rank, row in enumerate(rows, start=1)
    ]
    titles = list(table[0])
    text = aligned_table(
        titles,
        [list(cells.values()) for cells in table],
        left=(titles.index("kind"), titles.index("name")),
        shrinks=titles.index("name"),
    )
    # Every row was measured on the same functions.
    foot = f"Measured on {counted(rows[0].n, 'test function')}; the intervals are bootstrapped."
    verdict = read_verdict(stacking.verdict)
    candidate = verdict.declared.candidate if verdict else None
    other = [two_measures(verdict)] if verdict and two_measures(verdict) else []
    return "\n".join([text, *_cost_lines(rows, costs, candidate), foot, *other])
