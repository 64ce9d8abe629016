"""Makes what scanning must know of a run's model, from what it stores and, if there, its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from enstack.bundle.choice import chosen_model, combination_of
from enstack.bundle.profile import Measured, ScanningProfile
from enstack.config import RunConfig, base_model_names
from enstack.counting import counted
from enstack.data.functions import Functions, VulnerabilityData
from enstack.data.labels import task_of
from enstack.data.made_up import says_made_up
from enstack.duplicates.contamination import NEAR, clusters_of_validation
from enstack.duplicates.familiarity import Familiarity
from enstack.duplicates.known_functions import KnownFunctions
from enstack.duplicates.lexer import has_comment
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.inputs import data_of, without_near_duplicates
from enstack.metrics.abstention import guaranteed_threshold
from enstack.metrics.alert_rule import AlertRule
from enstack.metrics.label_task import LabelTask
from enstack.metrics.temperature import tempered, useful_temperature
from enstack.run_folder import RunFolder
from enstack.same_run import plan_of_run
from enstack.stacking.candidates import members_of
from enstack.stacking.inputs import StackingInputs
from enstack.stacking.word_counts import WordCounts
from enstack.storage.arrays import read_arrays
from enstack.storage.files import read_json_object

__all__ = ["PROFILING_EDITION", "scanning_profile", "validation_functions"]

PROFILING_EDITION = 2  # raise when a run's profile comes out otherwise, so that none is used

ERROR_TARGET, SURE_TARGET = 0.9, 0.8  # shares that must be right: of alerts, of any answers
MADE_UP = "it knows made-up flaws alone: what it says of real code means nothing"
MOST_READ = 20_000  # training functions whose words are counted
MOST_LIMITS = 5_000  # validation functions that tell how far one may differ from them
MOST_JUDGED = 2_000  # validation functions that int8 is tried on: a CPU judges them for minutes
SAMPLE = 1_000  # functions in which a comment is looked for


def scanning_profile(
    run_dir: str | Path, name: str | None = None, *, local_dir: Path | None = None
) -> ScanningProfile:
    """What scanning must know of a finished run's model, by name as `load` takes it.

    Works for runs of any age: what they do not store, and what their data would tell where it is
    gone or has changed, is None, and said in the notes. local_dir: where columns of data are kept.
    Raises CheckpointError for what is no finished run, ConfigError for a name that it lacks.
    """
    run = RunFolder(Path(run_dir))
    stored = {} if local_dir is None else {"local_dir": str(local_dir)}
    # The folder may have been moved since it was recorded.
    config = RunConfig(**{**run.settings(), "run_dir": str(run.path), **stored})
    key, record = chosen_model(run, config, name), run.data_record()
    task = task_of(record["label_mode"], tuple(record["class_names"]))
    data, notes = _data_of(config, record["fingerprint"])
    if says_made_up(config.data_dir, record.get("notes", [])):
        notes.insert(0, MADE_UP)
    on_validation = None if data is None else _on_validation(data, config, run, key)
    temperature = _temperature(run, key)
    if temperature is None and on_validation is not None:
        temperature = useful_temperature(
            *on_validation[:2], task
        )  # the run is older than temperatures
    if temperature is None:
        notes.append("without validation labels probabilities are not calibrated")
    chosen = _chosen(run, key, task, temperature or 1.0, on_validation)
    rule = AlertRule(task, chosen["thresholds"])
    if chosen["thresholds"] is None:
        notes.append("without validation labels no thresholds: the likeliest class is alerted")
    return ScanningProfile(
        name=key,
        label_mode=record["label_mode"],
        class_names=task.class_names,
        max_length=config.max_length,
        source=_source(config, record),
        temperature=temperature or 1.0,
        n_validation=0 if on_validation is None else len(on_validation[0]),
        measured=_measured(run, key, rule, temperature or 1.0),
        notes=tuple(notes),
        **chosen,
        **_training_functions(data),
    )


def validation_functions(run_dir: Path, *, local_dir: Path) -> Functions | None:
    """Validation functions that chose a run's epochs, evenly over all, and a few thousand at most.

    None where the run's data can't be read or is another by now. local_dir: as above.
    """
    run = RunFolder(run_dir)
    settings = {**run.settings(), "run_dir": str(run.path), "local_dir": str(local_dir)}
    config = RunConfig(**settings)
    data, _ = _data_of(config, run.data_record()["fingerprint"])
    if data is None:
        return None
    rows = plan_of_run(config, data, run).selection
    return data.splits["validation"].take(rows[_places(len(rows), MOST_JUDGED)])


def _data_of(config: RunConfig, fingerprint: str) -> tuple[VulnerabilityData | None, list[str]]:
    """The run's data where it can be read and is the same; else why it is not."""
    unknown = "whether code is like its training functions can't be told"
    try:
        data = data_of(config)
        if config.drop_near_duplicates:
            data = without_near_duplicates(data, config)
    except (DataError, ConfigError, CheckpointError, OSError):
        return None, [f"the data that it was trained on is not here: {unknown}"]
    if data.fingerprint != fingerprint:
        return None, [f"the data that it was trained on has changed since: {unknown}"]
    return data, []


def _temperature(run: RunFolder, key: str) -> float | None:
    path = run.stacking.calibration
    stored = read_json_object(path).get(key, {}) if path.exists() else {}
    value = stored.get("temperature")
    return float(value) if isinstance(value, int | float) and 0 < value < np.inf else None


def _on_validation(
    data: VulnerabilityData, config: RunConfig, run: RunFolder, key: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (n,) or (n, k) of the rows that choose thresholds, and what the model says (n, k).

    And their clusters (n,): near-duplicates depend on each other.
    """
    inputs = StackingInputs(data, plan_of_run(config, data, run), config, run)
    combination = combination_of(run, key, base_model_names(config.base_models))
    functions = data.splits["validation"].take(inputs.plan.selection)
    clusters = clusters_of_validation(data, inputs.plan.selection, NEAR)
    if isinstance(combination, WordCounts):
        return functions.labels, combination.predict_proba([functions]), clusters
    members = members_of(inputs.on_selection_rows(), combination.base_models)
    return functions.labels, combination.predict_proba(members, data.task), clusters


def _chosen(
    run: RunFolder,
    key: str,
    task: LabelTask,
    temperature: float,
    on_validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> dict[str, Any]:
    """Thresholds and promises, by name."""
    thresholds, error_from, sure_from = None, None, None
    if task.has_thresholds:
        stored = np.array(read_json_object(run.stacking.thresholds)[key], dtype=np.float64)
        thresholds = AlertRule.at_temperature(stored, temperature, task).thresholds
    if on_validation is not None:
        labels, probabilities, clusters = on_validation
        probabilities = tempered(probabilities, temperature, task)
        if thresholds is None:
            thresholds = AlertRule.chosen_on(labels, probabilities, task).thresholds
        answers = task.answer_scores(labels, probabilities)
        if "alerts" in answers:
            error_from = guaranteed_threshold(*answers["alerts"], ERROR_TARGET, clusters)
        if "classes" in answers:
            sure_from = guaranteed_threshold(*answers["classes"], SURE_TARGET, clusters)
    return {"thresholds": thresholds, "error_from": error_from, "sure_from": sure_from}


def _measured(run: RunFolder, key: str, rule: AlertRule, temperature: float) -> Measured | None:
    """What the rule's alerts are worth on the test functions."""
    try:
        stored = read_arrays(run.stacking.test_probabilities, ["labels", key])
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(
            f"{run.stacking.test_probabilities} must hold what models say of test: {error}. Put a "
            "good copy back."
        ) from error
    task, labels = rule.task, stored["labels"]
    given = rule.alerts(tempered(stored[key], temperature, task))
    has, alerted = task.has_class(labels), given.any(axis=1)
    vulnerable = task.vulnerable(labels)
    right = (given & has).any(axis=1) if vulnerable is None else vulnerable & alerted
    return Measured(
        n=len(labels),
        vulnerable=len(labels) if vulnerable is None else int(vulnerable.sum()),
        alerts=int(alerted.sum()),
        right=int(right.sum()),
        of_class={
            name: (int(given[:, place].sum()), int((given & has)[:, place].sum()))
            for place, name in enumerate(task.class_names)
            if rule.asked[place]
        },
    )


def _training_functions(data: VulnerabilityData | None) -> dict[str, Any]:
    """What training functions are like, by name."""
    if data is None:
        return {"known": None, "familiar": None, "comments": None, "final_newline": False}
    train, validation = data.splits["train"], data.splits["validation"]
    sample, some = _spread(train.sources, MOST_READ), _spread(train.sources, SAMPLE)
    return {
        "known": KnownFunctions.of(train.ids, train.sources),
        "familiar": Familiarity.of(sample, _spread(validation.sources, MOST_LIMITS)),
        "comments": any(map(has_comment, some)),
        "final_newline": 2 * sum(text.endswith("\n") for text in some) > len(some),
    }


def _spread(sources: Any, most: int) -> Sequence[str]:
    """At most so many texts, evenly over all."""
    texts: list[str] = sources.take(_places(len(sources), most)).to_pylist()
    return texts


def _places(n: int, most: int) -> np.ndarray:
    """At most so many places of n, evenly over all."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _source(config: RunConfig, record: dict[str, Any]) -> str:
    """What a model has learned from, in words."""
    functions = counted(record["functions"]["train"], "function")
    if says_made_up(config.data_dir, record.get("notes", [])):
        return f"{functions} that are made up"
    named = [str(config.data_dir), *map(str, record.get("notes", []))]
    if any("vdisc" in one.lower() for one in named):
        return f"{functions} of Draper VDISC, with static analysers' labels"
    return f"{functions} of {Path(config.data_dir).name}, with that data's labels"
