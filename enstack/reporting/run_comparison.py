"""Runs side by side: what each of them shows, and their chosen models on the same functions."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enstack.counting import counted
from enstack.errors import ConfigError
from enstack.metrics.label_task import LabelTask
from enstack.reporting.choice import chosen_row
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.shown_settings import without_home
from enstack.reporting.stored_files import unusable
from enstack.reporting.stored_run import StoredRun, read_run
from enstack.reporting.verdict import read_verdict
from enstack.run_folder import RunFolder
from enstack.stacking.baselines import WORDS
from enstack.stacking.primary_measure import PrimaryMeasure, primary_measure
from enstack.statistics.bootstrap import Difference, difference, interval
from enstack.statistics.cells import paired, single
from enstack.statistics.paired_tests import holm
from enstack.storage.arrays import read_arrays
from enstack.verify_run import require_finished

__all__ = ["ComparedPair", "ComparedRun", "Differing", "Measured", "RunComparison", "compare_runs"]

# Where a run lies, and not what it is.
PLACES = ("run_dir", "local_dir")
MISSING = "not recorded"  # a run that is older than a setting says nothing of it


@dataclass(frozen=True)
class Measured:
    """A model and its primary measure; low, high: 95 % interval, None where it has none."""

    key: str
    title: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ComparedRun:
    """What one run shows; its figures are of the model that it chose, on its n test functions.

    outcome, sentence: of its verdict, None where it has none. measure: its primary one; classes:
    those that a macro-F1 is over. chosen_on: "validation" or "test". best_base: the best of the
    base models on test, None where all were left out; word_counts: None where these were not asked.
    """

    run: str
    outcome: str | None
    sentence: str | None
    measure: str
    classes: list[str]
    chosen: Measured
    chosen_on: str
    macro_f1: float
    accuracy: float
    mcc: float | None
    best_base: Measured | None
    word_counts: Measured | None
    n: int
    seed: int
    fingerprint: str


@dataclass(frozen=True)
class Differing:
    """A setting that is not the same in all runs: its value in each, in the runs' order."""

    setting: str
    values: list[Any]


@dataclass(frozen=True)
class ComparedPair:
    """The model that the first run chose less the second's, on functions that both measured.

    difference and p_holm, its p among all pairs (Holm 1979), are None where the two can't be
    compared, and why_not says why. measure: macro-F1 where the runs' primary ones differ.
    """

    first: str
    second: str
    measure: str
    classes: list[str]
    n: int
    difference: Difference | None
    p_holm: float | None
    why_not: str | None


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side; nobody declared these comparisons before test was read: exploratory."""

    exploratory: bool
    runs: list[ComparedRun]
    settings: list[Differing]
    pairs: list[ComparedPair]


@dataclass(frozen=True)
class _Read:
    """A run as it was read: ids (n,) of its test functions, in the order of its labels."""

    name: str
    stored: StoredRun
    ids: np.ndarray
    row: LeaderboardRow
    chosen_on: str

    @property
    def seed(self) -> int:
        return int(self.stored.settings["seed"])

    @property
    def measure(self) -> str:
        # Runs that are older than the setting were judged by macro-F1.
        return str(self.stored.settings.get("primary_measure", "macro_f1"))

    def primary(self, measure: str) -> PrimaryMeasure:
        return primary_measure(self.stored.task, self.stored.labels, measure)


def compare_runs(folders: Sequence[Path]) -> RunComparison:
    """Put finished runs side by side, in the order that they are given in.

    Raises ConfigError for fewer than two runs and for a run named twice, CheckpointError for one
    that is missing, unfinished or damaged.
    """
    names = _names(folders)
    runs = [_read(name, RunFolder(folder)) for name, folder in zip(names, folders, strict=True)]
    return RunComparison(
        exploratory=True,
        runs=[_compared(one) for one in runs],
        settings=_differing([one.stored.settings for one in runs]),
        pairs=_pairs(runs),
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """What each run is called: as much of its path as tells it from the others."""
    if len(folders) < 2:
        found = ", ".join(map(str, folders)) or "none"
        raise ConfigError(f"Two or more runs must be named to be compared, found {found}.")
    paths = [folder.resolve() for folder in folders]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise ConfigError(
                f"Each run must be named once, {path} is named twice: a run is no different from "
                "itself."
            )
    above = os.path.commonpath([path.parent for path in paths])
    return [str(path.relative_to(above)) for path in paths]


def _read(name: str, run: RunFolder) -> _Read:
    require_finished(run)
    stored = read_run(run)
    row, choice = chosen_row(stored)
    path = run.stacking.test_probabilities
    try:
        ids = read_arrays(path, ["ids"])["ids"]
    except (FileNotFoundError, ValueError) as error:
        raise unusable(path, error) from error
    if ids.shape != (len(stored.labels),) or ids.dtype.kind != "U":
        raise unusable(path, f"ids must be {len(stored.labels)} texts")
    return _Read(name, stored, ids, row, choice.chosen_on)


def _compared(one: _Read) -> ComparedRun:
    stored, primary = one.stored, one.primary(one.measure)
    verdict = read_verdict(stored.folder.stacking.verdict)
    measured = {
        row.key: _measured(one, row, primary)
        for row in stored.rows
        if row.kind == "base" or row.key in (WORDS, one.row.key)
    }
    bases = [measured[row.key] for row in stored.rows if row.kind == "base"]
    return ComparedRun(
        run=one.name,
        outcome=None if verdict is None else verdict.outcome,
        sentence=None if verdict is None else verdict.sentence,
        measure=primary.name,
        classes=primary.counted_classes,
        chosen=measured[one.row.key],
        chosen_on=one.chosen_on,
        macro_f1=one.row.macro_f1,
        accuracy=one.row.accuracy,
        mcc=one.row.mcc,
        best_base=max(bases, key=lambda base: base.value, default=None),
        word_counts=measured.get(WORDS),
        n=len(stored.labels),
        seed=one.seed,
        fingerprint=stored.data["fingerprint"],
    )


def _measured(one: _Read, row: LeaderboardRow, primary: PrimaryMeasure) -> Measured:
    stored, decisions = one.stored, one.stored.decisions(row)
    cells = single(stored.task, stored.labels, decisions, stored.contamination.clusters)
    ends = interval(cells, primary.name, classes=np.array(primary.counts), seed=one.seed)
    value = primary.of_decisions(stored.labels, decisions)
    return Measured(row.key, row.title, value, *(ends or (None, None)))


def _differing(settings: Sequence[dict[str, Any]]) -> list[Differing]:
    keys = [key for key in dict.fromkeys(itertools.chain(*settings)) if key not in PLACES]
    every = [Differing(key, [one.get(key, MISSING) for one in settings]) for key in keys]
    return [
        Differing(one.setting, without_home(one.values))
        for one in every
        if any(value != one.values[0] for value in one.values[1:])
    ]


def _pairs(runs: Sequence[_Read]) -> list[ComparedPair]:
    found = [_pair(*two) for two in itertools.combinations(runs, 2)]
    adjusted = iter(holm([one.difference.p for one in found if one.difference is not None]))
    return [
        ComparedPair(**{**vars(one), "p_holm": None if one.difference is None else next(adjusted)})
        for one in found
    ]


def _pair(first: _Read, second: _Read) -> ComparedPair:
    measure = first.measure if first.measure == second.measure else "macro_f1"
    primary = first.primary(measure)
    why_not = _why_not(first, second)
    return ComparedPair(
        first=first.name,
        second=second.name,
        measure=primary.name,
        classes=primary.counted_classes,
        n=len(np.intersect1d(first.ids, second.ids)),
        difference=None if why_not else _difference(first, second, primary),
        p_holm=None,
        why_not=why_not,
    )


def _why_not(first: _Read, second: _Read) -> str | None:
    """Why two runs can't be compared function by function, with counts; None where they can."""
    one, other = first.stored, second.stored
    both = len(np.intersect1d(first.ids, second.ids))
    if not both == len(first.ids) == len(second.ids):
        return (
            f"they have other test functions: {len(first.ids):,} and {len(second.ids):,}, with "
            # Two files have a row 7 each.
            f"{counted(both, 'id')} in common, and an id is but a row of a file"
        )
    if one.task != other.task:
        return f"they are asked other things: {_asked(one)}; and {_asked(other)}"
    theirs = other.labels[_places(first.ids, second.ids)]
    differing = int((one.task.strata(one.labels) != one.task.strata(theirs)).sum())
    if differing:
        return f"the labels of {differing:,} of {counted(both, 'test function')} are not the same"
    return None


def _asked(stored: StoredRun) -> str:
    task: LabelTask = stored.task
    return f"{stored.data['label_mode']} ({', '.join(task.class_names)})"


def _places(wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where each of the wanted ids (n,) stands among ids (n,), which are the same ones."""
    order = np.argsort(ids, kind="stable")
    places: np.ndarray = order[np.searchsorted(ids[order], wanted)]
    return places


def _difference(first: _Read, second: _Read, primary: PrimaryMeasure) -> Difference:
    one, other, places = first.stored, second.stored, _places(first.ids, second.ids)
    clusters = one.contamination.clusters
    if clusters is None and other.contamination.clusters is not None:
        clusters = other.contamination.clusters[places]
    cells = paired(
        one.task,
        one.labels,
        one.decisions(first.row),
        other.decisions(second.row)[places],
        clusters,
    )
    return difference(cells, primary.name, classes=np.array(primary.counts), seed=first.seed)
