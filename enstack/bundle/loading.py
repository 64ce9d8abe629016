"""A finished run as one model that judges new functions, once every file is known to be whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from enstack.bundle.choice import chosen_model, combination_of, refuse_added
from enstack.bundle.trained_model import TrainedModel
from enstack.config import RunConfig, base_model_names
from enstack.data.labels import task_of
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.fine_tuned import FineTunedModel
from enstack.models.hardware import Hardware, choose_device
from enstack.run_folder import RunFolder
from enstack.storage.files import read_json_object
from enstack.storage.manifest import read_manifest
from enstack.verify_run import require_finished, require_whole


def load(run_dir: str | Path, name: str | None = None) -> TrainedModel:
    """Load what a finished run has trained, once every file of the run is known to be whole.

    name: a stack ("lr"), a base model ("codebert"), "vote" or "greedy", with its kind before it
    ("stack:lr") where two have the same, or "tfidf_lr", the counted words; by default what did best
    by cross-validation on the functions that the stacks are fitted on, these words aside. Raises
    CheckpointError for a run that is unfinished, damaged, or was trained on after its stacks were
    fitted; ConfigError for a name that the run does not have.
    """
    run = RunFolder(Path(run_dir))
    require_finished(run)
    config = RunConfig(**run.settings())
    every = base_model_names(config.base_models)
    require_whole(run, every)
    key = chosen_model(run, config, name)
    combination = combination_of(run, key, every)
    refuse_added(run, key, combination.base_models, every)
    data = read_json_object(run.data_file)
    task = task_of(data["label_mode"], tuple(data["class_names"]))
    base_models = tuple(_fine_tuned(run, config, task, one) for one in combination.base_models)
    thresholds = read_json_object(run.stacking.thresholds)[key] if task.has_thresholds else None
    return TrainedModel(
        key, task, base_models, combination, None if thresholds is None else np.array(thresholds)
    )


def _fine_tuned(run: RunFolder, config: RunConfig, task: LabelTask, name: str) -> FineTunedModel:
    folder = run.base_model(name)
    best = BaseModel(name, str(folder.best_model))
    # No workers: the tokens are in memory, and starting a process would take longer.
    hardware = Hardware.choose(_precision(run, config, name), num_workers=0)
    classifier = load_classifier(
        best, task.class_names, seed=config.seed, problem_type=task.problem_type
    )
    return FineTunedModel(
        name,
        classifier.to(hardware.device),
        load_tokenizer(best),
        config.max_length,
        # As many at once as when the run predicted its test functions.
        2 * config.batch_size,
        hardware,
    )


def _precision(run: RunFolder, config: RunConfig, name: str) -> str:
    """The precision that the run predicted with; on a CPU, which is slow in fp16, fp32 for that."""
    recorded = (read_manifest(run.base_model(name).probabilities) or {}).get("precision")
    precision = str(recorded or config.precision)
    return "fp32" if precision == "fp16" and choose_device().type == "cpu" else precision
