"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack.config import (
    FIXED_SETTINGS,
    TOLD_BY_THE_DATA,
    RunConfig,
    asks_for_swa,
    base_model_names,
    warn_of_swa,
)
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan, plan_splits
from enstack.errors import CheckpointError, ConfigError, EnstackError, Interrupted
from enstack.inputs import base_model, read_run_data, require_local_dir
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.progress.screen import Part
from enstack.progress.stopping import end_scripts_when_interrupted, ended_by_signals
from enstack.reporting.leaderboard import leaderboard_text, read_leaderboard_frame
from enstack.reporting.stage import report_stage
from enstack.run_folder import WRITTEN_INTO, BaseModelFolder, RunFolder
from enstack.stacking.stage import stack_base_models
from enstack.storage.caches import holding_caches
from enstack.storage.disks import only_one, require_writable
from enstack.storage.files import read_json_object
from enstack.storage.links import require_no_links
from enstack.storage.manifest import is_current
from enstack.storage.places import require_own_place

# For annotations alone: a finished run is shown again without loading torch.
if TYPE_CHECKING:
    import pandas as pd

    from enstack.models.base_models import BaseModel

# Settings that decide what a finished base model is; the batch size may differ and be right still.
TRAINING_SETTINGS = (
    *(key for key in FIXED_SETTINGS if key not in TOLD_BY_THE_DATA),
    "epochs",
    "early_stopping_patience",
)


@dataclass(frozen=True)
class RunResults:
    """Where a run's results lie, and its leaderboard, best row first."""

    run_dir: Path
    report: Path
    leaderboard: pd.DataFrame


@holding_caches()
def run_pipeline(config: RunConfig, *, announce: bool = False) -> RunResults:
    """Data, base models, stacking, report: each stage is done once, and gone on with if stopped.

    announce: print the settings, once nothing speaks against them.
    """
    require_configuration(config)
    end_scripts_when_interrupted()
    run, local_dir = RunFolder(Path(config.run_dir)), Path(config.local_dir)
    require_own_place(run.path, "run_dir")
    # Before the folder is made, and before a lock is.
    require_local_dir(config)
    require_no_links(run.path, WRITTEN_INTO, "run_dir", CheckpointError)
    require_writable(run.path, "run_dir", CheckpointError)
    require_writable(local_dir, "local_dir", ConfigError)
    try:
        # Not in run_dir: Drive's locks can't be relied on. Two machines there are not caught.
        place = str(run.path.resolve())
        lock = only_one(local_dir / "locks" / config.run_key, f"run_dir {run.path}", place)
        with ended_by_signals(), lock:
            return _run_stages(config, run, announce=announce)
    # A signal where no batch boundary grants it, or a Ctrl-C after one.
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted; what was finished or saved before is kept. Run the same again to go on."
        ) from None


def require_configuration(config: object) -> None:
    """Raise ConfigError for what is no configuration, as in a notebook whose form was refused."""
    if not isinstance(config, RunConfig):
        raise ConfigError(
            "A run needs a configuration, made by the code as it is now; this one is missing, was "
            "refused, or is older than an update: run cell 5 again, then this cell."
        )


def _run_stages(config: RunConfig, run: RunFolder, *, announce: bool) -> RunResults:
    _refuse_unwanted_resume(config, run)
    if run.has_trained():
        config = config.going_on(run.settings())
    data = read_run_data(config)
    # After the data is read, for its fingerprint is compared too; before anything is recorded.
    _refuse_other_run(config, data, run)
    # Before any training: validation functions that can fit no stack are refused here.
    plan = plan_splits(
        data, meta_features=config.meta_features, folds=config.folds, seed=config.seed
    )
    run.log("run_started", base_models=config.base_models)
    try:
        _train_stack_report(config, data, plan, run, announce=announce)
    except (EnstackError, KeyboardInterrupt) as error:
        run.log("run_stopped", reason=type(error).__name__, message=str(error))
        raise
    run.log("run_finished")
    say("\n" + leaderboard_text(run.path))
    say(f"📄 Report: {run.report_page}")
    return RunResults(run.path, run.report_page, read_leaderboard_frame(run.stacking.leaderboard))


def _train_stack_report(
    config: RunConfig, data: VulnerabilityData, plan: SplitPlan, run: RunFolder, *, announce: bool
) -> None:
    stages = _base_model_stages(data, config, run)
    # Asked before the settings are recorded, which a finished training keeps as they were.
    unfinished = _base_models_to_train(stages, config)
    # Not before: what has been announced begins.
    say((config.announcement() if announce else "") + config.places())
    run.record(config, data, plan, trains=bool(unfinished))
    parts = _parts([stage.name for stage in stages], unfinished, config)
    with Bar(len(parts), "Pipeline", unit="stage", level="pipeline", parts=parts) as bar:
        for stage in stages:
            _base_model_stage(stage, unfinished.get(stage.name), data, plan, config, run)
            run.record_truncation(stage.name)
            bar.advance()
        stack_base_models(data, plan, config, run)
        bar.advance()
        report_stage(run)
        bar.advance()


def _parts(names: list[str], unfinished: Container[str], config: RunConfig) -> list[Part]:
    """The stages, with the epochs that each base model is to train, folds included."""
    trainings = 1 + (config.folds if config.meta_features == "out_of_fold" else 0)
    epochs = {name: config.epochs * trainings * (name in unfinished) for name in names}
    return [*(Part(*one) for one in epochs.items()), Part("stacking"), Part("report")]


@dataclass(frozen=True)
class BaseModelStage:
    """One base model of a run: its name, how it was asked for, its folder, what decides on it."""

    name: str
    model: str
    folder: BaseModelFolder
    settings: dict[str, Any]

    def made_from(self) -> dict[str, Any]:
        """The inputs of its probabilities, the best model's files as they are now among them."""
        return {**self.settings, "best_model": self.folder.best_model_digest()}

    def finished(self) -> bool:
        """Whether its probabilities were made from these inputs, and the report can show it."""
        return self.folder.history.is_file() and is_current(
            self.folder.probabilities, self.made_from()
        )


def _base_model_stages(
    data: VulnerabilityData, config: RunConfig, run: RunFolder
) -> list[BaseModelStage]:
    settings = {key: getattr(config, key) for key in TRAINING_SETTINGS}
    # Base models that were finished before there was this setting do not name it.
    if config.class_weights == "none":
        del settings["class_weights"]
    if config.meta_features == "out_of_fold":
        # Without out-of-fold features nothing depends on the number of folds.
        settings["folds"] = config.folds
    named = zip(base_model_names(config.base_models), config.base_models, strict=True)
    return [
        BaseModelStage(
            name,
            model,
            run.base_model(name),
            {"data": data.fingerprint, "base_model": model, **settings},
        )
        for name, model in named
    ]


def _base_models_to_train(stages: list[BaseModelStage], config: RunConfig) -> dict[str, BaseModel]:
    """By name, those not finished; one that can't be loaded is refused before any is trained."""
    unfinished = [stage for stage in stages if not stage.finished()]
    if not unfinished:
        return {}
    # torch takes seconds to load: a run that is finished does without it.
    from enstack.training.stage import require_base_models

    wanted = {stage.name: base_model(stage.name, stage.model, config) for stage in unfinished}
    require_base_models(list(wanted.values()), config)
    return wanted


def _base_model_stage(
    stage: BaseModelStage,
    unfinished: BaseModel | None,
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
) -> None:
    """Fine-tune and predict; what is not unfinished is skipped."""
    if unfinished is None:
        say(f"✓ {stage.name}: finished before, skipped")
        return
    from enstack.training.stage import fine_tune_and_predict

    say(f"▶ {stage.name}: fine-tuning {stage.model}")
    fine_tune_and_predict(unfinished, data, plan, config, run, stage.made_from)
    run.log("base_model_finished", base_model=stage.name)


def _refuse_unwanted_resume(config: RunConfig, run: RunFolder) -> None:
    """resume=false never deletes: a folder with a run in it is refused, and another one named."""
    holds_run = run.config_file.exists() or run.has_trained()
    # What was saved and never copied belongs to this run_dir too.
    if config.resume or not (holds_run or any(config.scratch_dir.glob("**/manifest.json"))):
        return
    holder = f"run_dir {run.path}" if holds_run else f"{config.scratch_dir}, on its way there,"
    number = 2
    while (other := run.path.with_name(f"{run.path.name}-{number}")).exists():
        number += 1
    raise ConfigError(
        f"resume=false starts a new run, but {holder} holds one, and no run is ever "
        f"deleted. Use run_dir={other}, or resume=true to go on."
    )


def _refuse_other_run(config: RunConfig, data: VulnerabilityData, run: RunFolder) -> None:
    """A run folder belongs to one data set and one set of training settings.

    A run that failed before it trained anything binds nobody.
    """
    stored = run.settings()
    # One warning is enough: the configuration may have given it already.
    if _asks_for_swa(stored, run) and not config.swa_was_forced_off:
        warn_of_swa()
    if not run.has_trained():
        return
    wanted = config.model_dump(mode="json")
    fixed = [*FIXED_SETTINGS, *(["folds"] if config.meta_features == "out_of_fold" else [])]
    # Before the data: another label_mode makes other data too, and would be refused as that.
    for key in fixed:
        # A run that is older than a setting says nothing of it.
        if key in stored and stored[key] != wanted[key]:
            raise CheckpointError(
                f"run_dir {run.path} holds a run with {key}={stored[key]}, asked for is "
                f"{key}={wanted[key]}. Go back to that value, or name another run_dir."
            )
    _refuse_other_data(data, run)


def _asks_for_swa(stored: dict[str, Any], run: RunFolder) -> bool:
    try:
        return asks_for_swa(stored.get("use_swa", False))
    except ValueError:
        raise CheckpointError(
            f"use_swa in {run.config_file} must be true or false, found {stored['use_swa']!r}. "
            "Correct it, or remove the file to have it written anew."
        ) from None


def _refuse_other_data(data: VulnerabilityData, run: RunFolder) -> None:
    if not run.data_file.exists():
        return
    before = read_json_object(run.data_file).get("fingerprint")
    if before != data.fingerprint:
        raise CheckpointError(
            f"run_dir {run.path} was begun with other functions or labels (data fingerprint="
            f"{str(before)[:12]}, now {data.fingerprint[:12]}). Go back to that data_dir, or name "
            "another run_dir."
        )
