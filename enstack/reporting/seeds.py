"""A run under several seeds: each one's figures, and the spreads of seeds and of the test set."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from enstack.reporting.console import aligned_table
from enstack.reporting.leaderboard import LeaderboardRow, number, read_leaderboard
from enstack.reporting.stored_files import read_object, unusable
from enstack.run_folder import RunFolder
from enstack.stacking.titles import title
from enstack.storage.files import read_json_object

__all__ = ["Seeds", "SeedsRow", "seeds_text", "summarize_seeds"]

VARIED = (
    "Each seed divides validation anew, or train into folds, starts the classification head and "
    "the order of functions anew, and fits the stacks anew. The functions are the same."
)


@dataclass(frozen=True)
class SeedFigures:
    """One model under one seed; _low and _high: ends of the 95 % interval over test functions."""

    seed: int
    accuracy: float
    macro_f1: float
    macro_f1_low: float | None
    macro_f1_high: float | None


@dataclass(frozen=True)
class SeedsRow:
    """One model under every seed.

    across_seeds: standard deviation of macro-F1 over the seeds; test_set: half the width of its
    95 % interval over test functions, the mean of the seeds' own, None where one has none.
    """

    key: str
    title: str
    figures: list[SeedFigures]
    across_seeds: float
    test_set: float | None


@dataclass(frozen=True)
class SeedVerdict:
    """What one seed's own comparison, declared before test was read, came to."""

    seed: int
    outcome: str
    sentence: str


@dataclass(frozen=True)
class Seeds:
    """The seeds that are finished, the run's own first, and what each of them has varied.

    verdicts: in the same order; of a seed whose results are older than verdicts, none.
    """

    seeds: list[int]
    varied: str
    verdicts: list[SeedVerdict]
    rows: list[SeedsRow]


def summarize_seeds(run: RunFolder) -> Seeds | None:
    """Every seed's figures of the models that all of them have; None for a run of one seed."""
    others = run.other_seeds()
    if not others:
        return None
    own = int(read_json_object(run.config_file)["seed"])
    boards = {
        seed: {row.key: row for row in read_leaderboard(folder.stacking.leaderboard)}
        for seed, folder in {own: run, **others}.items()
    }
    every = [key for key in boards[own] if all(key in board for board in boards.values())]
    rows = [_row({seed: board[key] for seed, board in boards.items()}) for key in every]
    told = [_verdict(seed, folder) for seed, folder in {own: run, **others}.items()]
    return Seeds(list(boards), VARIED, [one for one in told if one], rows)


def seeds_text(seeds: Seeds) -> str:
    """A table for the console: macro-F1 of each seed, never averaged, and both spreads."""
    titles = ["name", *(f"seed {seed}" for seed in seeds.seeds), "seeds ±", "test ±"]
    rows = [
        [
            title(row.key, short=True),
            *(number(one.macro_f1) for one in row.figures),
            number(row.across_seeds),
            number(row.test_set),
        ]
        for row in seeds.rows
    ]
    return (
        f"{aligned_table(titles, rows)}\nmacro-F1 under {len(seeds.seeds)} seeds. seeds ±: their "
        "standard deviation; test ±:\nhalf a 95 % interval over test functions."
    )


def _verdict(seed: int, run: RunFolder) -> SeedVerdict | None:
    # Two of its fields alone: when one seed is stacked anew, another's may still be an older one.
    path = run.stacking.verdict
    stored = read_object(path) if path.is_file() else {}
    if not stored:
        return None
    outcome, sentence = stored.get("outcome"), stored.get("sentence")
    if not isinstance(outcome, str) or not isinstance(sentence, str):
        raise unusable(path, "it lacks outcome or sentence")
    return SeedVerdict(seed, outcome, sentence)


def _row(of_seed: dict[int, LeaderboardRow]) -> SeedsRow:
    rows = list(of_seed.values())
    halves = [
        (row.macro_f1_high - row.macro_f1_low) / 2
        for row in rows
        if row.macro_f1_low is not None and row.macro_f1_high is not None
    ]
    return SeedsRow(
        key=rows[0].key,
        title=rows[0].title,
        figures=[SeedFigures(**_figures(seed, row)) for seed, row in of_seed.items()],
        across_seeds=statistics.stdev(row.macro_f1 for row in rows),
        test_set=statistics.fmean(halves) if len(halves) == len(rows) else None,
    )


def _figures(seed: int, row: LeaderboardRow) -> dict[str, Any]:
    names = ("accuracy", "macro_f1", "macro_f1_low", "macro_f1_high")
    return {"seed": seed, **{name: getattr(row, name) for name in names}}
