"""The stacking stage: probabilities joined by id, the stacks and all beside them, leaderboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from enstack.config import RunConfig, base_model_names
from enstack.counting import counted
from enstack.data.functions import Functions, VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.duplicates.contamination import NEAR, duplicates_of_test
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.stacking.added import require_added_whole
from enstack.stacking.baselines import plain_baselines
from enstack.stacking.calibration import calibrate
from enstack.stacking.flawfinder import class_probabilities, flawfinder_version, risk_levels
from enstack.stacking.leak_guard import refuse_foreign_files, tell_unknown_origins
from enstack.stacking.meta_features import BaseModelProbabilities, mean_vote, refuse_leaks
from enstack.stacking.ranking import leaderboard
from enstack.stacking.selection import select_model
from enstack.stacking.stack import fit_meta_classifiers, save_meta_classifier
from enstack.stacking_folder import StackingFolder
from enstack.storage.files import write_json
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import is_current, read_manifest

STACKING_EDITION = 5  # raise when the folder holds something else, so that it is made again
NO_FLAWFINDER = (
    "   · Flawfinder, a source of VDISC's labels, is not installed here: its row is left out. To "
    "have it, `pip install flawfinder` and run the same again."
)


def stack_base_models(
    data: VulnerabilityData, plan: SplitPlan, config: RunConfig, run: RunFolder
) -> None:
    """Write stacking/ of a run folder: the stacks, every model's test probabilities, leaderboard.

    A folder that was made from the same inputs is left as it is.
    """
    require_added_whole(run, config.base_models)
    names = [*base_model_names(config.base_models), *run.added()]
    made_from = {
        "data": data.fingerprint,
        "seed": config.seed,
        "meta_classifiers": config.meta_classifiers,
        # By their content: base models that were trained again are stacked again.
        "probabilities": {name: run.stacked_model(name).probabilities_digest() for name in names},
        "edition": STACKING_EDITION,
    }
    # Another machine may have none, or another one: what was finished with one stands.
    finished_with = _recorded_flawfinder(run)
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
    with replacing_folder(run.stacking.path, {"made_from": made_from}) as beside:
        folder = StackingFolder(beside)
        duplicates = duplicates_of_test(data, NEAR)
        probabilities = _every_model(data, plan, config, run, folder)
        if made_from["flawfinder"]:
            probabilities["baseline:flawfinder"] = _flawfinder(data, plan, config)
        _write_results(data, plan, config, probabilities, duplicates.clusters, folder)
        np.savez(
            folder.contamination,
            allow_pickle=False,
            ids=data.splits["test"].ids,
            # Kept beside the probabilities, so that the report needs no texts.
            near=duplicates.near_train,
            clusters=duplicates.clusters,
            threshold=NEAR,
        )
    run.log("stacking_finished")


def _recorded_flawfinder(run: RunFolder) -> str | None:
    """The version that a finished stacking was made with."""
    made_from = (read_manifest(run.stacking.path) or {}).get("made_from", {})
    version: str | None = made_from.get("flawfinder")
    return version


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
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    probabilities: dict[str, np.ndarray],
    clusters: np.ndarray,
    folder: StackingFolder,
) -> None:
    """The leaderboard and what it is made of, from the probabilities of all that was asked."""
    test, validation = data.splits["test"], data.splits["validation"]
    chosen_by = validation.labels[plan.selection]
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
            key: calibrate(chosen_by, values[len(test) :], data.task)
            for key, values in probabilities.items()
            if not key.startswith("baseline:")
        },
    )
    on_test = {key: values[: len(test)] for key, values in probabilities.items()}
    board = leaderboard(
        test.labels, on_test, data.task, thresholds, clusters=clusters, seed=config.seed
    )
    board.to_csv(folder.leaderboard, index=False)
    np.savez(
        folder.test_probabilities,
        allow_pickle=False,
        ids=test.ids,
        labels=test.labels,
        **on_test,
    )


def _every_model(
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
    folder: StackingFolder,
) -> dict[str, np.ndarray]:
    """Probabilities of base models, votes, stacks and baselines by "kind:name".

    Saves the stacks, and which model is chosen.

    Their rows are the test functions, and after them the validation functions that selected the
    base models: they choose thresholds and temperatures too. Of baselines only in label mode
    multilabel, where these have thresholds.
    """
    names, task = [*base_model_names(config.base_models), *run.added()], data.task
    _refuse_foreign_files(data, plan, names, run)
    asked = [_probabilities(run, name, data, "test") for name in names]
    # Of test too: a model would be measured on functions that it knows by heart.
    refuse_leaks(asked)
    chosen_by = [_probabilities(run, name, data, "validation", plan.selection) for name in names]
    asked = [_joined(*pair) for pair in zip(asked, chosen_by, strict=True)]
    on_meta = [_probabilities(run, name, data, plan.meta_split, plan.meta_rows) for name in names]
    labels = data.splits[plan.meta_split].labels[plan.meta_rows]
    chosen = select_model(on_meta, labels, task, config.meta_classifiers, seed=config.seed)
    write_json(folder.selection, chosen.to_json())
    fitted = fit_meta_classifiers(
        config.meta_classifiers, on_meta, labels, task=task, seed=config.seed
    )
    probabilities = {f"base:{model.name}": model.probabilities for model in asked}
    # The mean of one model is that model.
    if len(asked) > 1:
        probabilities["vote:mean"] = mean_vote(asked)
    for name, meta_classifier in fitted.items():
        probabilities[f"stack:{name}"] = meta_classifier.predict_proba(asked, task.n_classes)
        save_meta_classifier(folder.meta_classifier(name), meta_classifier)
    plain = plain_baselines(data.splits["train"], _asked_functions(data, plan), task)
    return {**probabilities, **{f"baseline:{name}": values for name, values in plain.items()}}


def _refuse_foreign_files(
    data: VulnerabilityData, plan: SplitPlan, names: list[str], run: RunFolder
) -> None:
    """Refuse files of probabilities that are of another run, before anything is made of them."""
    splits = dict.fromkeys(("test", "validation", plan.meta_split))
    folders = [run.stacked_model(name) for name in names]
    files = {
        (folder.path.name, split): folder.read_probabilities(split, data.splits[split].ids)
        for folder in folders
        for split in splits
    }
    refuse_foreign_files(folders, data.fingerprint, files)
    tell_unknown_origins(files)


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


def _probabilities(
    run: RunFolder,
    name: str,
    data: VulnerabilityData,
    split: str,
    rows: np.ndarray | None = None,
) -> BaseModelProbabilities:
    """A base model's probabilities, joined to the functions by id and never by position alone."""
    stored = run.stacked_model(name).read_probabilities(split, data.splits[split].ids)
    chosen = np.arange(len(stored.ids)) if rows is None else rows
    return BaseModelProbabilities(
        name, stored.ids[chosen], stored.probabilities[chosen], stored.seen[chosen]
    )
