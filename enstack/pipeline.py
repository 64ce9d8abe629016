"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from enstack.config import (
    FIXED_SETTINGS,
    TINY_MODELS,
    TOLD_BY_THE_DATA,
    RunConfig,
    base_model_names,
)
from enstack.data import VulnerabilityData, read_data
from enstack.errors import CheckpointError, ConfigError, EnstackError, Interrupted
from enstack.files import only_one, read_json, require_writable, sha256_json, write_json
from enstack.manifest import is_current, read_manifest, write_manifest
from enstack.overlap import drop_from_train, train_rows_apart
from enstack.panel import notebook_panel
from enstack.progress import Bar, say
from enstack.readers import split_files
from enstack.report import REPORT_EDITION, leaderboard_text, write_report
from enstack.run_folder import (
    Log,
    event_log,
    record_run,
    record_truncation,
    refuse_other_run,
    refuse_unwanted_resume,
)
from enstack.sketches import SKETCH_EDITION
from enstack.splits import SplitPlan, plan_splits
from enstack.stacking_stage import stack_base_models
from enstack.staging import slow_storage, staged
from enstack.stored import is_stored

if TYPE_CHECKING:
    from enstack.models import BaseModel

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


def read_run_data(config: RunConfig) -> VulnerabilityData:
    """The data that a configuration names, after a line on what it holds."""
    data = read_data(
        data_folder(config),
        label_mode=config.label_mode,
        label_rule=config.label_rule,
        subset=config.subset,
        seed=config.seed,
        cache_dir=Path(config.local_dir),
    )
    if config.drop_near_duplicates:
        data = _without_near_duplicates(data, config)
    sizes = ", ".join(f"{len(functions):,} {split}" for split, functions in data.splits.items())
    say(f"▶ Data: {sizes} functions, {len(data.class_names)} classes ({config.label_mode})")
    for note in data.notes:
        say(f"   · {note}")
    return data


def _without_near_duplicates(data: VulnerabilityData, config: RunConfig) -> VulnerabilityData:
    """The data without train functions that stand in another split, compared once a machine."""
    threshold = config.drop_near_duplicates
    key = sha256_json([SKETCH_EDITION, data.fingerprint, threshold])
    path = Path(config.local_dir) / "near_duplicates" / f"{key}.json"
    if not path.is_file():
        write_json(path, train_rows_apart(data, threshold).tolist())
    return drop_from_train(data, np.array(read_json(path), dtype=np.int64), threshold)


def data_folder(config: RunConfig) -> Path:
    """The folder to read the data from: the toy's, or a copy of a slow one on this machine."""
    folder, local_dir = Path(config.data_dir), Path(config.local_dir)
    if config.data_dir == "toy":
        return _toy_folder(config) / "data"
    if not slow_storage(folder):
        return folder
    files = split_files(folder).values()
    if all(is_stored(path, local_dir) for path in files):
        return folder
    return staged(files, local_dir) or folder


def _toy_folder(config: RunConfig) -> Path:
    """The toy data and, once a base model asks for them, the tiny models: made on this machine."""
    from enstack.toy import TOY_EDITION, write_toy_data

    folder, made_from = Path(config.local_dir) / "toy", {"edition": TOY_EDITION}
    if not is_current(folder / "data", made_from):
        write_toy_data(folder / "data")
        write_manifest(folder / "data", made_from=made_from)
    return folder


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
    from enstack.fine_tuning import require_base_models

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
    from enstack.fine_tuning import fine_tune_and_predict

    say(f"▶ {stage.name}: fine-tuning {stage.model}")
    fine_tune_and_predict(unfinished, data, plan, config, stage.folder, stage.made_from, log)
    log("base_model_finished", base_model=stage.name)


def base_model(name: str, model: str, config: RunConfig) -> BaseModel:
    """A base model by the name it goes by and the way it was asked for; tiny ones are made."""
    from enstack.models import HUB_IDS, BaseModel

    location = str(tiny_model(model, config)) if model in TINY_MODELS else model
    return BaseModel(name, HUB_IDS.get(location, location))


def tiny_model(name: str, config: RunConfig) -> Path:
    """The folder of a tiny base model, made on this machine if need be."""
    from enstack.toy import make_tiny_models

    folder = _toy_folder(config)
    sources = read_data(folder / "data", label_mode="cwe_or_clean").splits["train"].sources
    return make_tiny_models(folder / "models", sources.to_pylist())[name]


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
