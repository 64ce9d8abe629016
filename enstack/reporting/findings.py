"""Measures what a report shows of a run: evaluations, comparisons, figures elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.base_model_folder import BaseModelFolder
from enstack.data.subsets import NOT_DRAWN
from enstack.metrics.chance import chance_text
from enstack.progress.say import say
from enstack.reporting.alerts import alerts_of
from enstack.reporting.choice import chosen_row, read_verdict
from enstack.reporting.content import (
    Bin,
    Comparison,
    Epoch,
    Evaluation,
    FlagEvaluation,
    NaturalFrequencies,
    NaturalFrequenciesRow,
    Reliability,
    ReportContent,
    TrainingCurve,
    WithoutNearDuplicates,
    WithoutNearDuplicatesRow,
)
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.paper import beside_the_paper
from enstack.reporting.provenance import read_provenance
from enstack.reporting.seeds import summarize_seeds
from enstack.reporting.shown_settings import shown_settings, without_home
from enstack.reporting.stored_run import StoredRun, read_history, read_run
from enstack.run_folder import RunFolder
from enstack.statistics import cells
from enstack.statistics.bootstrap import difference
from enstack.storage.json_text import json_values

__all__ = ["load_results"]

SAME_SHARES = 0.1  # classes whose shares differ by less than this part were drawn as they come


def load_results(run_dir: Path) -> ReportContent:
    """Everything that the report of a run folder shows.

    Raises CheckpointError when an input is missing or damaged.
    """
    stored = read_run(RunFolder(Path(run_dir)))
    base, stack = stored.first("base"), stored.first("stack")
    best, choice = chosen_row(stored)
    chosen = _evaluation(stored, best)
    training = _training(stored)
    return ReportContent(
        run=stored.folder.path.resolve().name,
        verdict=json_values(read_verdict(stored)),
        choice=choice,
        alerts=alerts_of(
            stored.data,
            stored.settings,
            chosen.per_class,
            int(stored.contamination.rows.sum()),
            len(stored.labels),
        ),
        leaderboard=stored.rows,
        apart=_without_near_duplicates(stored),
        natural=_at_natural_frequencies(stored),
        comparisons=_comparisons(stored),
        chosen=chosen,
        # They stand beside the chosen row, and not beside themselves.
        best_base=None if base is None or base is best else _evaluation(stored, base),
        best_stack=None if stack is None or stack is best else _evaluation(stored, stack),
        training=training,
        warnings=[
            *_chance_texts(stored),
            *_changed_settings(training),
            *_added_texts(stored.data.get("added", {})),
        ],
        paper=beside_the_paper(stored.rows, stored.settings),
        data=json_values(without_home(stored.data)),
        settings=json_values(shown_settings(stored.settings, training)),
        provenance=read_provenance(stored),
        seeds=summarize_seeds(stored.folder),
    )


def _chance_texts(stored: StoredRun) -> list[str]:
    """Of each base model that has learned nothing: a sentence that names where."""
    told = []
    # Only base models learn from functions: a baseline knows nothing, and is to.
    for row in (row for row in stored.rows if row.kind == "base"):
        on_test = row.mcc, stored.task.only_answer(stored.decisions(row))
        on_validation = stored.folder.base_model(row.name).on_validation()
        told.append(chance_text(row.title, {"validation": on_validation, "test": on_test}))
    return [text for text in told if text]


def _added_texts(added: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of each model that was trained elsewhere: its file, and what the leak guard rests on."""
    return [
        f"{name} was trained elsewhere and added from {origin['file']} (sha256 "
        f"{str(origin['sha256'])[:12]}). That it has not seen the functions that it is stacked and "
        f"measured on is {origin['seen']}; nothing here can check that."
        for name, origin in added.items()
    ]


def _changed_settings(training: list[TrainingCurve]) -> list[str]:
    """Of each base model whose epochs were trained with other settings: which with which."""
    told = []
    for curve in training:
        stretches = [
            (with_what, [epoch.epoch for epoch in epochs])
            for with_what, epochs in itertools.groupby(curve.epochs, _trained_with)
        ]
        if len({with_what for with_what, _ in stretches if with_what}) > 1:
            parts = [
                f"{_numbered(numbers)} with {with_what or 'settings not recorded'}"
                for with_what, numbers in stretches
            ]
            told.append(f"{curve.name} was trained with changing settings: {'; '.join(parts)}.")
    return told


def _numbered(epochs: list[int]) -> str:
    return f"epochs {epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"epoch {epochs[0]}"


def _trained_with(epoch: Epoch) -> str:
    return ", ".join(f"{key}={value}" for key, value in epoch.trained_with.items())


def _training(stored: StoredRun) -> list[TrainingCurve]:
    # By name, not by rank, so that a model has the same colour in every report of a run.
    elsewhere = stored.folder.added()
    names = sorted(
        row.name for row in stored.rows if row.kind == "base" and row.name not in elsewhere
    )
    folders = {name: stored.folder.base_model(name) for name in names}
    return [
        TrainingCurve(name, _epochs(folder), folder.stopped_early())
        for name, folder in folders.items()
    ]


def _epochs(folder: BaseModelFolder) -> list[Epoch]:
    """The epochs of a base model; none where its history is not the one that it was trained by."""
    problem = folder.history_problem()
    if problem is not None and folder.probabilities.is_dir():
        say(f"⚠️  {problem}: the report leaves its curves out.")
        return []
    return read_history(folder.history)


def _evaluation(stored: StoredRun, row: LeaderboardRow) -> Evaluation:
    task, probabilities = stored.task, stored.probabilities[row.key]
    figures = task.evaluate(stored.labels, probabilities, stored.thresholds.get(row.key))
    calibration = task.reliability(stored.labels, probabilities)
    of_task = FlagEvaluation if task.has_thresholds else Evaluation
    return of_task(
        key=row.key,
        kind=row.kind,
        title=row.title,
        **json_values(figures),
        confusion_classes=list(task.confusion_names),
        reliability=Reliability(calibration["ece"], [Bin(**part) for part in calibration["bins"]]),
    )


def _at_natural_frequencies(stored: StoredRun) -> NaturalFrequencies | None:
    """The rows at the frequencies that classes had before the subset was drawn; None where alike.

    Of flags, each is weighted by itself, and accuracy, which needs all of them at once, is None.
    """
    names, before = stored.data["class_names"], stored.data["available"]["test"]
    n_before = _n_before(stored, before)
    shares = np.array([before.get(name, 0) / n_before for name in names])
    counts_here = stored.task.class_counts(stored.labels)
    here = np.array([counts_here[name] / len(stored.labels) for name in names])
    # Relative alone: a rare class that is drawn a fifth more often moves precision as well.
    if np.allclose(here, shares, rtol=SAME_SHARES, atol=0):
        return None
    rows = [
        NaturalFrequenciesRow(
            key=row.key, **stored.task.at_frequencies(stored.labels, stored.decisions(row), shares)
        )
        for row in stored.rows
    ]
    # The labels alone decide what is missing, so it is the same in every row.
    missing = [names[number] for number in rows[0].missing]
    return NaturalFrequencies(frequencies=before, of=n_before, missing=missing, rows=rows)


def _n_before(stored: StoredRun, before: Mapping[str, int]) -> int:
    """Test functions before the subset was drawn; with flags, one may count often or not at all."""
    if not stored.task.has_thresholds:
        return sum(before.values())
    n_before: int = stored.data["functions"]["test"] + stored.data["dropped"]["test"][NOT_DRAWN]
    return n_before


def _without_near_duplicates(stored: StoredRun) -> WithoutNearDuplicates:
    """Accuracy and macro-F1 of every row where train does not hold the answer."""
    # On all rows a model is also paid for functions that it may have learnt by heart.
    kept = ~stored.contamination.rows
    return WithoutNearDuplicates(
        threshold=stored.contamination.threshold,
        n=int(kept.sum()),
        rows=[_row_on(stored, row, kept) for row in stored.rows],
    )


def _row_on(
    stored: StoredRun, row: LeaderboardRow, chosen: NDArray[np.bool_]
) -> WithoutNearDuplicatesRow:
    accuracy, macro_f1 = None, None
    if chosen.any():
        decisions = stored.decisions(row)
        accuracy, macro_f1 = stored.task.accuracy_and_macro_f1(
            stored.labels[chosen], decisions[chosen]
        )
    return WithoutNearDuplicatesRow(row.key, row.kind, row.name, row.title, accuracy, macro_f1)


def _comparisons(stored: StoredRun) -> list[Comparison]:
    """The best stack against its best member and the mean vote, on the same resampled rows."""
    stack = stored.first("stack")
    mean = next((row for row in stored.rows if row.key == "vote:mean"), None)
    others = [row for row in (stored.first("base"), mean) if row is not None]
    if stack is None or not others:
        return []
    return [_comparison(stored, stack, other) for other in others]


def _comparison(stored: StoredRun, stack: LeaderboardRow, other: LeaderboardRow) -> Comparison:
    pair = cells.paired(
        stored.task, stored.labels, stored.decisions(stack), stored.decisions(other)
    )
    # The run's own seed, as of the leaderboard's intervals.
    found = difference(pair, "macro_f1", seed=int(stored.settings.get("seed", 42)))
    return Comparison(
        stack=stack.key,
        stack_title=stack.title,
        other=other.key,
        other_kind=other.kind,
        other_title=other.title,
        difference=found.value,
        low=found.low,
        high=found.high,
        holds_zero=found.low <= 0 <= found.high,
        only_stack_right=pair.only_first_right,
        only_other_right=pair.only_second_right,
    )
