"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from enstack.config import (
    FIXED_SETTINGS,
    TOLD_BY_THE_DATA,
    RunConfig,
    base_model_names,
)
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan, plan_splits
from enstack.errors import CheckpointError, ConfigError, EnstackError, Interrupted
from enstack.progress.bars import Bar
from enstack.progress.panel import notebook_panel
from enstack.progress.say import say
from enstack.reporting.leaderboard import leaderboard_text
from enstack.reporting.page import REPORT_EDITION, write_report
from enstack.run_folder import (
    Log,
    event_log,
    record_run,
    record_truncation,
    refuse_other_run,
    refuse_unwanted_resume,
)
from enstack.stacking.stage import stack_base_models
from enstack.storage.disks import only_one, require_writable
from enstack.storage.files import read_json, sha256_json
from enstack.storage.manifest import is_current, read_manifest, write_manifest

if TYPE_CHECKING:
    from enstack.models.base_models import BaseModel
from enstack.inputs import base_model, read_run_data

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


def run_pipeline(config: RunConfig) -> RunResults:
    """Data, base models, stacking, report: each stage is done once, and gone on with if stopped."""
    if not isinstance(config, RunConfig):
        raise ConfigError(
            "A run needs a configuration, made by the code as it is now; this one is missing, was "
            "refused, or is older than an update: run cell 5 again, then this cell."
        )
    run_dir, local_dir = Path(config.run_dir), Path(config.local_dir)
    require_writable(run_dir, "run_dir", CheckpointError)
    require_writable(local_dir, "local_dir", ConfigError)
    lock = only_one(local_dir / "locks" / config.run_key, f"run_dir {run_dir}")
    try:
        with lock, notebook_panel():
            return _run(config, run_dir)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted; what was finished or saved before is kept. Run the same again to go on."
        ) from None


def _run(config: RunConfig, run_dir: Path) -> RunResults:
    refuse_unwanted_resume(config, run_dir)
    data = read_run_data(config)
    refuse_other_run(config, data, run_dir)
    plan = plan_splits(
        data, meta_features=config.meta_features, folds=config.folds, seed=config.seed
    )
    log = event_log(run_dir)
    log("run_started", base_models=config.base_models)
    try:
        stages = _base_model_stages(data, config, run_dir)
        wanted = _base_models_to_train(stages, config)
        record_run(config, data, plan, run_dir, trains=bool(wanted))
        with Bar(len(stages) + 2, "Pipeline", unit="stage", level="pipeline") as bar:
            for stage in stages:
                _base_model_stage(stage, wanted.get(stage.name), data, plan, config, log)
                truncated = (read_manifest(stage.folder / "probabilities") or {})["truncated"]
                record_truncation(run_dir, stage.name, truncated)
                bar.advance()
            stack_base_models(data, plan, config, run_dir, log)
            bar.advance()
            report = _report_stage(run_dir, log)
            bar.advance()
    except (EnstackError, KeyboardInterrupt) as error:
        log("run_stopped", reason=type(error).__name__, message=str(error))
        raise
    log("run_finished")
    say("\n" + leaderboard_text(run_dir))
    say(f"📄 Report: {report}")
    return RunResults(run_dir, report, pd.read_csv(run_dir / "stacking" / "leaderboard.csv"))


@dataclass(frozen=True)
class BaseModelStage:
    """One base model of a run: its name, how it was asked for, its folder, what decides on it."""

    name: str
    model: str
    folder: Path
    settings: dict[str, Any]

    def made_from(self) -> dict[str, Any]:
        """The inputs of its probabilities, the best model's files as they are now among them."""
        best = read_manifest(self.folder / "best_model") or {}
        return {**self.settings, "best_model": sha256_json(best.get("files"))}

    def finished(self) -> bool:
        """Whether its probabilities were made from these inputs, and the report can show it."""
        has_history = (self.folder / "history.jsonl").is_file()
        return has_history and is_current(self.folder / "probabilities", self.made_from())


def _base_model_stages(
    data: VulnerabilityData, config: RunConfig, run_dir: Path
) -> list[BaseModelStage]:
    settings = {key: getattr(config, key) for key in TRAINING_SETTINGS}
    if config.meta_features == "out_of_fold":
        settings["folds"] = config.folds
    return [
        BaseModelStage(
            name,
            model,
            run_dir / "base_models" / name,
            {"data": data.fingerprint, "base_model": model, **settings},
        )
        for name, model in zip(
            base_model_names(config.base_models), config.base_models, strict=True
        )
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
    log: Log,
) -> None:
    """Fine-tune and predict; what is not unfinished is skipped."""
    if unfinished is None:
        say(f"✓ {stage.name}: finished before, skipped")
        return
    from enstack.training.stage import fine_tune_and_predict

    say(f"▶ {stage.name}: fine-tuning {stage.model}")
    fine_tune_and_predict(unfinished, data, plan, config, stage.folder, stage.made_from, log)
    log("base_model_finished", base_model=stage.name)


def rewrite_report(run_dir: Path) -> Path:
    """Write a run's report again from what is stored; returns the page."""
    report = write_report(run_dir)
    write_manifest(run_dir / "report", made_from=_report_inputs(run_dir))
    return report


def _report_stage(run_dir: Path, log: Log) -> Path:
    if is_current(run_dir / "report", _report_inputs(run_dir)):
        say("✓ report: finished before, skipped")
        return run_dir / "report" / "report.html"
    report = rewrite_report(run_dir)
    log("report_finished")
    return report


def _report_inputs(run_dir: Path) -> dict[str, Any]:
    return {
        "stacking": sha256_json(read_manifest(run_dir / "stacking")),
        "config": sha256_json(read_json(run_dir / "config.json")),
        "data": sha256_json(read_json(run_dir / "data.json")),
        "edition": REPORT_EDITION,
    }
