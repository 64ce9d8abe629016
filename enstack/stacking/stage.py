"""The stacking stage: probabilities joined by id, the stacks and all beside them, leaderboard."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.functions import Functions, VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.duplicates.contamination import (
    NEAR,
    DuplicatesOfTest,
    clusters_of_validation,
    duplicates_of_test,
    near_train_text,
)
from enstack.duplicates.dependence import groups_of_test
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.stacking.added import require_added_whole
from enstack.stacking.baselines import plain_baselines
from enstack.stacking.calibration import calibrate
from enstack.stacking.candidates import Combination, fit_candidate, members_of, shown
from enstack.stacking.declarations import MEASURED, declare
from enstack.stacking.flawfinder import (
    NO_FLAWFINDER,
    class_probabilities,
    flawfinder_version,
    recorded_flawfinder,
    risk_levels,
)
from enstack.stacking.inputs import StackingInputs
from enstack.stacking.kept_pairs import listed_pairs_digest, write_pairs
from enstack.stacking.kept_projects import write_projects
from enstack.stacking.leaps import Leap, Rows, leaps
from enstack.stacking.meta_features import ON_TEST, BaseModelProbabilities, refuse_leaks
from enstack.stacking.primary_measure import primary_measure
from enstack.stacking.ranking import leaderboard
from enstack.stacking.selection import Selection, select_model
from enstack.stacking.stack import MetaClassifier, save_meta_classifier
from enstack.stacking.verdict import Declared, Judged, judge
from enstack.stacking.verdict_text import Verdict, in_words
from enstack.stacking.votes import Vote
from enstack.stacking.word_counts import WORDS, WordCounts, save_word_counts
from enstack.stacking.wrong_functions import surest_mistakes
from enstack.stacking_folder import StackingFolder
from enstack.storage.files import write_json
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import is_current

STACKING_EDITION = 13  # raise when the folder holds something else, so that it is made again
FLAWFINDER = "baseline:flawfinder"


def stack_base_models(
    data: VulnerabilityData, plan: SplitPlan, config: RunConfig, run: RunFolder
) -> None:
    """Write stacking/ of a run folder: the stacks, every model's test probabilities, leaderboard.

    A folder that was made from the same inputs is left as it is.
    """
    require_added_whole(run, config.base_models)
    inputs = StackingInputs(data, plan, config, run)
    names = inputs.names
    made_from = {
        "data": data.fingerprint,
        "seed": config.seed,
        "meta_classifiers": config.meta_classifiers,
        "primary_measure": config.primary_measure,
        # By their content: base models that were trained again are stacked again.
        "probabilities": {name: run.stacked_model(name).probabilities_digest() for name in names},
        "edition": STACKING_EDITION,
        **({"listed_pairs": digest} if (digest := listed_pairs_digest(data)) else {}),
        # Beside near-duplicates, what is drawn whole into each resample of test.
        **({"drawn_whole": groups} if (groups := list(groups_of_test(data))) else {}),
    }
    # Another machine may have none, or another one: what was finished with one stands.
    finished_with = recorded_flawfinder(run.stacking.path)
    made_from["flawfinder"] = finished_with or flawfinder_version(_scratch(config))
    if is_current(run.stacking.path, made_from):
        say("✓ stacking: finished before, skipped")
        return
    if finished_with:
        made_from["flawfinder"] = flawfinder_version(_scratch(config))
    if made_from["flawfinder"] is None:
        say(NO_FLAWFINDER)
    added = f", {', '.join(run.added())} added" if run.added() else ""
    say(
        f"▶ Stacking {counted(len(names), 'base model')}{added}: "
        f"{', '.join(config.meta_classifiers)}"
    )
    details: dict[str, Any] = {"made_from": made_from}
    with replacing_folder(run.stacking.path, details) as beside:
        folder = StackingFolder(beside)
        inputs.refuse_foreign_files()
        selected, before = _select(inputs, folder)
        # Written down before anything that a model says of test is read.
        details["declared"] = selected.comparison
        details["declared_before"] = declare(run, selected.comparison, made_from)
        probabilities = _every_model(inputs, selected, folder)
        if made_from["flawfinder"]:
            with inputs.clocks[FLAWFINDER].predicts():
                probabilities[FLAWFINDER] = _flawfinder(data, plan, config)
        # Apart from the leaderboard: no two runs take the same time.
        write_json(folder.costs, inputs.costs(probabilities))
        duplicates = _write_contamination(data, folder)
        measured = _write_results(inputs, selected.best, probabilities, duplicates.clusters, folder)
        if selected.comparison is not None:
            declared = Declared(**selected.comparison, before=details["declared_before"])
            found = leaps(before, measured, duplicates.clusters, inputs.suspects)
            verdict = _verdict(declared, found, measured, duplicates)
            write_json(folder.verdict, dataclasses.asdict(verdict))
    run.log(MEASURED)


def _verdict(
    declared: Declared, found: list[Leap], on_test: Rows, duplicates: DuplicatesOfTest
) -> Verdict:
    """What was declared, measured on test; found: base models that are far better there."""
    clusters, near = duplicates.clusters, duplicates.near_train
    judged = Judged(on_test.task, on_test.labels, on_test.decisions, clusters, near)
    return in_words(dataclasses.replace(judge(declared, judged), leaps=found))


def _select(inputs: StackingInputs, folder: StackingFolder) -> tuple[Selection, Rows]:
    """Score every candidate on rows that no base model has seen; write what is declared of test.

    With it, what base models and word counts say of these rows.
    """
    task, config = inputs.task, inputs.config
    measure = primary_measure(task, inputs.data.splits["test"].labels, config.primary_measure)
    on_meta, labels = inputs.on_meta_rows(), inputs.meta_labels
    refuse_leaks(on_meta)  # before words are counted, which takes long
    words = inputs.words_on_meta_rows()
    selected = select_model(
        on_meta,
        labels,
        config.meta_classifiers,
        measure,
        baselines={WORDS: words},
        seed=config.seed,
    )
    arrays: dict[str, Any] = {"ids": selected.ids, "labels": selected.labels}
    np.savez_compressed(folder.selection_decisions, **{**arrays, **selected.decisions})
    write_json(folder.selection, selected.to_json())
    said = {**{f"base:{model.name}": model.probabilities for model in on_meta}, WORDS: words}
    decided = {key: measure.decisions(labels, values) for key, values in said.items()}
    return selected, Rows(task, labels, said, decided)


def _flawfinder(data: VulnerabilityData, plan: SplitPlan, config: RunConfig) -> np.ndarray:
    """Flawfinder's probabilities of the functions of `_every_model`."""
    functions, task = _asked_functions(data, plan), data.task
    plainest = task.plainest_probabilities(data.splits["train"].labels, sum(map(len, functions)))
    return class_probabilities(risk_levels(functions, _scratch(config)), task, plainest)


def _asked_functions(data: VulnerabilityData, plan: SplitPlan) -> list[Functions]:
    """Those of test, and of flags those of validation that choose the thresholds."""
    if not data.task.has_thresholds:
        # Counting the words of a whole validation split would be in vain.
        return [data.splits["test"]]
    return [data.splits["test"], data.splits["validation"].take(plan.selection)]


def _scratch(config: RunConfig) -> Path:
    return Path(config.local_dir) / "flawfinder"


def _write_results(
    inputs: StackingInputs,
    best: str,
    probabilities: dict[str, np.ndarray],
    clusters: np.ndarray,
    folder: StackingFolder,
) -> Rows:
    """The leaderboard and what it is made of, and the mistakes of the best on validation.

    Returns what each model says of the test functions.
    """
    data, seed = inputs.data, inputs.config.seed
    test, validation = data.splits["test"], data.splits["validation"]
    chosen_by = validation.labels[inputs.plan.selection]
    # Promises made by near-duplicates would be made by one function many times.
    together = clusters_of_validation(data, inputs.plan.selection, NEAR)
    # Those rows chose the epochs, and choose the thresholds of every model alike; test never does.
    thresholds = {
        key: data.task.choose_thresholds(chosen_by, values[len(test) :])
        for key, values in probabilities.items()
    }
    stored = {key: values.tolist() for key, values in thresholds.items() if values is not None}
    if stored:  # classes have none, and no file of them
        write_json(folder.thresholds, stored)
    write_json(
        folder.calibration,
        {
            key: calibrate(chosen_by, values[len(test) :], data.task, together)
            for key, values in probabilities.items()
            if not key.startswith("baseline:")
        },
    )
    on_test = {key: values[: len(test)] for key, values in probabilities.items()}
    board = leaderboard(test.labels, on_test, data.task, thresholds, clusters=clusters, seed=seed)
    board.to_csv(folder.leaderboard, index=False)
    arrays: dict[str, Any] = {"ids": test.ids, "labels": test.labels, **on_test}
    np.savez(folder.test_probabilities, **arrays)
    decided = {key: data.task.decide(values, thresholds[key]) for key, values in on_test.items()}
    mistakes = surest_mistakes(best, test, data.task, on_test[best], decided[best])
    write_json(folder.wrong_functions, dataclasses.asdict(mistakes))
    return Rows(data.task, test.labels, on_test, decided)


def _every_model(
    inputs: StackingInputs, selected: Selection, folder: StackingFolder
) -> dict[str, np.ndarray]:
    """Probabilities of base models, votes, stacks and baselines by "kind:name".

    Fits and saves the votes and stacks that the leaderboard shows. Their rows are the test
    functions, and after them the validation functions that selected the base models: they choose
    thresholds and temperatures too. Of baselines only in label mode multilabel, where these have
    thresholds.
    """
    task, data, asked = inputs.task, inputs.data, inputs.on_test()
    # Of test too: a model would be measured on functions that it knows by heart.
    refuse_leaks(asked, ON_TEST)
    asked = [_joined(*pair) for pair in zip(asked, inputs.on_selection_rows(), strict=True)]
    fitted = _fitted(inputs, selected)
    _save(fitted, inputs.words, folder)
    probabilities = {f"base:{model.name}": model.probabilities for model in asked}
    for key, combination in fitted.items():
        members = members_of(asked, combination.base_models)
        with inputs.clocks[key].predicts():
            probabilities[key] = combination.predict_proba(members, task)
    functions = _asked_functions(data, inputs.plan)
    plain = plain_baselines(data.splits["train"], functions, task, inputs.words, inputs.clocks)
    return {**probabilities, **{f"baseline:{name}": values for name, values in plain.items()}}


def _fitted(inputs: StackingInputs, selected: Selection) -> dict[str, Combination]:
    """The votes and stacks that the leaderboard shows, fitted on all rows that there are for it."""
    on_meta, labels, config = inputs.on_meta_rows(), inputs.meta_labels, inputs.config
    fitted = {}
    for candidate in shown(inputs.names, config.meta_classifiers, selected.combination):
        with inputs.clocks[candidate.key].learns():
            fitted[candidate.key] = fit_candidate(
                candidate,
                on_meta,
                labels,
                inputs.task,
                seed=config.seed,
                score=selected.measure.of_probabilities,
            )
    return fitted


def _save(fitted: Mapping[str, Combination], words: WordCounts, folder: StackingFolder) -> None:
    """Store votes, stacks and word counts, so that they can judge new functions."""
    save_word_counts(folder.word_counts, words)
    for key, combination in fitted.items():
        if isinstance(combination, MetaClassifier):
            name = key.partition(":")[2]
            save_meta_classifier(folder.meta_classifier(name), combination)
    votes = {key: vote.to_json() for key, vote in fitted.items() if isinstance(vote, Vote)}
    write_json(folder.votes, votes)


def _write_contamination(data: VulnerabilityData, folder: StackingFolder) -> DuplicatesOfTest:
    """What test functions are near-duplicates of; kept, for reports have no texts."""
    write_pairs(data, folder)
    write_projects(data, folder)
    duplicates = duplicates_of_test(data, NEAR)
    say(f"   · {near_train_text(duplicates.near_train)}")
    np.savez(
        folder.contamination,
        ids=data.splits["test"].ids,
        near=duplicates.near_train,
        clusters=duplicates.clusters,
        threshold=NEAR,
    )
    return duplicates


def _joined(
    first: BaseModelProbabilities, second: BaseModelProbabilities
) -> BaseModelProbabilities:
    """What a base model says of the functions of one, then of those of the other."""
    return BaseModelProbabilities(
        first.name,
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.probabilities, second.probabilities]),
        np.concatenate([first.seen, second.seen]),
    )
