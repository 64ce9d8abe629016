"""Measures what a report shows of a run: agreement, what collapsed, curves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from enstack.base_model_folder import BaseModelFolder
from enstack.data.made_up import says_made_up
from enstack.metrics.agreement import agreement, right_by_none
from enstack.metrics.chance import (
    WHAT_HELPS,
    WHAT_HELPS_ADDED,
    chance_text,
    no_better_than_chance,
)
from enstack.progress.say import say
from enstack.reporting.about import about
from enstack.reporting.alerts import alerts_of
from enstack.reporting.choice import chosen_row
from enstack.reporting.content import (
    Agreement,
    Collapsed,
    Epoch,
    Pair,
    ReportContent,
    TrainingCurve,
    Truncated,
)
from enstack.reporting.costs import read_costs
from enstack.reporting.elsewhere import at_natural_frequencies, without_near_duplicates
from enstack.reporting.evaluation import Evaluation
from enstack.reporting.how_sure import how_sure
from enstack.reporting.limits import limits_of
from enstack.reporting.measuring import evaluate_row
from enstack.reporting.next_step import next_step
from enstack.reporting.paper import beside_the_paper
from enstack.reporting.projects import project_figures
from enstack.reporting.provenance import read_provenance
from enstack.reporting.seeds import summarize_seeds
from enstack.reporting.shown_settings import shown_settings, without_home
from enstack.reporting.stored_run import StoredRun, read_history, read_run
from enstack.reporting.verdict import read_verdict
from enstack.reporting.wrong_functions import read_wrong_functions
from enstack.run_folder import RunFolder
from enstack.stacking.stage import STACKING_EDITION
from enstack.storage.json_text import json_values
from enstack.storage.manifest import read_manifest

__all__ = ["load_results"]

OLDER_STACKS = (
    "An older enstack made these stacks and this verdict. Have them made anew, which trains no "
    "base model: enstack stack, with this run's folder."
)
ONE_SETTING = "Train anew in another run_dir where its figures are to stand for one of them."


def load_results(run_dir: Path) -> ReportContent:
    """Everything that the report of a run folder shows.

    Raises CheckpointError when an input is missing or damaged.
    """
    stored = read_run(RunFolder(Path(run_dir)))
    evaluations = [evaluate_row(stored, row) for row in stored.rows]
    of_key = {of.key: of for of in evaluations}
    base, stack = stored.first("base"), stored.first("stack")
    best, choice = chosen_row(stored)
    chosen, verdict = of_key[best.key], read_verdict(stored.folder.stacking.verdict)
    training, seeds = _training(stored), summarize_seeds(stored.folder)
    costs = read_costs(stored.folder.stacking.costs)
    collapsed = _collapsed(stored, evaluations)
    made_up = says_made_up(stored.settings.get("data_dir"), stored.data["notes"])
    data = json_values(without_home(stored.data))
    settings = json_values(shown_settings(stored.settings, training))
    return ReportContent(
        run=stored.folder.path.resolve().name,
        verdict=verdict,
        how_sure=how_sure(verdict, seeds),
        next_step=next_step(verdict, made_up, costs, [one.key for one in collapsed]),
        about=about(data, settings, stored.rows, choice),
        limits=limits_of(data, seeds is not None),
        choice=choice,
        alerts=alerts_of(
            stored.data,
            stored.settings,
            chosen.per_class,
            int(stored.contamination.rows.sum()),
            len(stored.labels),
            verdict.leaps if verdict else (),
            _chance_texts(stored),
        ),
        leaderboard=stored.rows,
        costs=costs,
        apart=without_near_duplicates(stored),
        natural=at_natural_frequencies(stored),
        evaluations=evaluations,
        agreement=_agreement(stored),
        collapsed=collapsed,
        truncated=_truncated(stored),
        chosen=chosen,
        # They stand beside the chosen row, and not beside themselves.
        best_base=None if base is None or base is best else of_key[base.key],
        best_stack=None if stack is None or stack is best else of_key[stack.key],
        wrong_functions=read_wrong_functions(stored.folder.stacking.wrong_functions),
        training=training,
        warnings=[
            *_older_stacks(stored.folder),
            *_changed_settings(training),
            *_added_texts(stored.data.get("added", {})),
        ],
        paper=beside_the_paper(stored.rows, stored.settings),
        data=data,
        settings=settings,
        provenance=read_provenance(stored),
        seeds=seeds,
        projects=project_figures(stored, best),
    )


def _chance_texts(stored: StoredRun) -> list[str]:
    """Of each base model that has learned nothing: a sentence that names where."""
    told, added = [], stored.folder.added()
    # Where all have one label, no answer is better than chance.
    differ = len(np.unique(stored.labels, axis=0)) > 1
    # Only base models learn from functions: a baseline knows nothing, and is to.
    for row in (row for row in stored.rows if row.kind == "base"):
        on_test = row.mcc if differ else None, stored.task.only_answer(stored.decisions(row))
        on_validation = stored.folder.base_model(row.name).on_validation()
        figures = {"validation": on_validation, "test": on_test}
        what_helps = WHAT_HELPS_ADDED if row.name in added else WHAT_HELPS
        told.append(chance_text(row.title, figures, what_helps))
    return [text for text in told if text]


def _older_stacks(run: RunFolder) -> list[str]:
    """That a newer program would stack anew, and may tell another verdict."""
    made_from = (read_manifest(run.stacking.path) or {}).get("made_from", {})
    older = made_from.get("edition", STACKING_EDITION) < STACKING_EDITION
    return [OLDER_STACKS] if older else []


def _added_texts(added: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of each model that was trained elsewhere: its file, and what the leak guard rests on."""
    return [
        f"{name} was trained elsewhere and added from {origin['file']} (sha256 "
        f"{str(origin['sha256'])[:12]}). That it has not seen the functions that it is stacked and "
        f"measured on is {origin['seen']}; nothing here can check that. Ask who trained it."
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
            told.append(
                f"{curve.name} was trained with changing settings: {'; '.join(parts)}. "
                f"{ONE_SETTING}"
            )
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


def _agreement(stored: StoredRun) -> Agreement:
    labels, task = stored.labels, stored.task
    decisions = {row.key: stored.decisions(row) for row in stored.rows}
    of_base = {row.key: decisions[row.key] for row in stored.rows if row.kind == "base"}
    return Agreement(
        n=len(labels),
        right_by_none=right_by_none(labels, of_base, task) if of_base else 0,
        pairs=[Pair(**pair) for pair in agreement(labels, decisions, task)],
    )


def _collapsed(stored: StoredRun, evaluations: list[Evaluation]) -> list[Collapsed]:
    # The plainest answer is no better than chance by what it is.
    plainest = f"baseline:{stored.task.plainest}"
    answers = {row.key: stored.task.only_answer(stored.decisions(row)) for row in stored.rows}
    return [
        Collapsed(of.key, of.title, of.mcc, answers[of.key])
        for of in evaluations
        if of.key != plainest and no_better_than_chance(of.mcc)
    ]


def _truncated(stored: StoredRun) -> list[Truncated]:
    names = sorted(row.name for row in stored.rows if row.kind == "base")
    counts = stored.data["counts"]
    return [
        Truncated(name, split, class_name, cut, counts[split][class_name])
        for name in names
        for split, of_classes in stored.folder.base_model(name).truncated_by_class().items()
        for class_name, cut in of_classes.items()
    ]
