"""What one model is made of, wherever its files lie: base models, and what makes one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from enstack.bundle.choice import chosen_model, combination_of, refuse_added
from enstack.config import RunConfig, base_model_names
from enstack.data.labels import task_of
from enstack.metrics.label_task import LabelTask
from enstack.run_folder import RunFolder
from enstack.stacking.candidates import Combination
from enstack.stacking.word_counts import WordCounts
from enstack.storage.files import read_json_object
from enstack.storage.manifest import read_manifest
from enstack.verify_run import require_finished, require_whole

__all__ = ["Member", "ModelParts", "parts_of_run"]


@dataclass(frozen=True)
class Member:
    """A base model's files, and how it predicts.

    max_length: tokens; batch_size: functions at once; precision: both as in the run.
    """

    name: str
    folder: Path
    max_length: int
    batch_size: int
    precision: str


@dataclass(frozen=True, eq=False)
class ModelParts:
    """A model before any weights are loaded.

    key: as in the leaderboard. members: none where words are counted. thresholds: (k,) of several
    flags, None where a function has one class.
    """

    key: str
    task: LabelTask
    members: tuple[Member, ...]
    combination: Combination | WordCounts = field(repr=False)
    thresholds: np.ndarray | None = field(repr=False)


def parts_of_run(run_dir: Path, name: str | None) -> ModelParts:
    """The parts of a finished run's model, by name, once every file is known to be whole.

    Raises CheckpointError for a run that is unfinished, damaged, or was trained on after its stacks
    were fitted; ConfigError for a name that the run does not have.
    """
    run = RunFolder(run_dir)
    require_finished(run)
    config = RunConfig(**run.settings())
    every = base_model_names(config.base_models)
    require_whole(run, every)
    key = chosen_model(run, config, name)
    combination = combination_of(run, key, every)
    refuse_added(run, key, combination.base_models, every)
    data = run.data_record()
    task = task_of(data["label_mode"], tuple(data["class_names"]))
    thresholds = read_json_object(run.stacking.thresholds)[key] if task.has_thresholds else None
    return ModelParts(
        key,
        task,
        tuple(_member(run, config, one) for one in combination.base_models),
        combination,
        None if thresholds is None else np.array(thresholds),
    )


def _member(run: RunFolder, config: RunConfig, name: str) -> Member:
    folder = run.base_model(name)
    recorded = (read_manifest(folder.probabilities) or {}).get("precision")
    # As many at once as when the run predicted its test functions.
    batch_size, precision = 2 * config.batch_size, str(recorded or config.precision)
    return Member(name, folder.best_model, config.max_length, batch_size, precision)
