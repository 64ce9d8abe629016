"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from enstack.baselines import majority_class, tfidf_logistic_regression
from enstack.config import (
    FIXED_SETTINGS,
    TINY_MODELS,
    RunConfig,
    asks_for_swa,
    base_model_names,
    warn_of_swa,
)
from enstack.data import VulnerabilityData, read_data
from enstack.errors import CheckpointError, ConfigError, EnstackError
from enstack.files import (
    append_json_line,
    is_current,
    read_json,
    read_manifest,
    replacing_folder,
    require_writable,
    sha256_json,
    write_if_changed,
    write_json,
    write_manifest,
)
from enstack.leaderboard import leaderboard
from enstack.progress import say
from enstack.report import leaderboard_text, write_report
from enstack.splits import SplitPlan, plan_splits
from enstack.stacking import (
    BaseModelProbabilities,
    fit_meta_classifiers,
    mean_vote,
    predict_proba,
    refuse_leaks,
    save_meta_classifier,
)

Log = Callable[..., None]
# Settings that decide what a finished base model is; the batch size may differ and be right still.
TRAINING_SETTINGS = (*FIXED_SETTINGS, "epochs", "early_stopping_patience", "folds")


@dataclass(frozen=True)
class RunResults:
    """Where a run's results lie, and its leaderboard, best row first."""

    run_dir: Path
    report: Path
    leaderboard: pd.DataFrame


def run_pipeline(config: RunConfig) -> RunResults:
    """Data, base models, stacking, report: each stage is done once, and gone on with if stopped."""
    run_dir = Path(config.run_dir)
    require_writable(run_dir)
    _refuse_unwanted_resume(config, run_dir)
    data = read_run_data(config)
    _refuse_other_run(config, data, run_dir)
    plan = plan_splits(
        data, meta_features=config.meta_features, folds=config.folds, seed=config.seed
    )
    log = _event_log(run_dir)
    log("run_started", base_models=config.base_models)
    try:
        _record_run(config, data, plan, run_dir)
        for name, model in zip(
            base_model_names(config.base_models), config.base_models, strict=True
        ):
            _base_model_stage(name, model, data, plan, config, run_dir, log)
        _stacking_stage(data, plan, config, run_dir, log)
        report = _report_stage(run_dir, log)
    except (EnstackError, KeyboardInterrupt) as error:
        log("run_stopped", reason=type(error).__name__, message=str(error))
        raise
    log("run_finished")
    say("\n" + leaderboard_text(run_dir))
    say(f"📄 Report: {report}")
    return RunResults(run_dir, report, pd.read_csv(run_dir / "stacking" / "leaderboard.csv"))


def read_run_data(config: RunConfig) -> VulnerabilityData:
    """The data that a configuration names, after a line on what it holds."""
    folder = Path(config.data_dir)
    if config.data_dir == "toy":
        folder = _toy_folder(config) / "data"
    data = read_data(folder, label_mode=config.label_mode, subset=config.subset, seed=config.seed)
    sizes = ", ".join(f"{len(functions):,} {split}" for split, functions in data.splits.items())
    say(f"▶ Data: {sizes} functions, {len(data.class_names)} classes ({config.label_mode})")
    for note in data.notes:
        say(f"   · {note}")
    return data


def _toy_folder(config: RunConfig) -> Path:
    """The toy data and, once a base model asks for them, the tiny models: made on this machine."""
    from enstack.toy import TOY_EDITION, write_toy_data

    folder, made_from = Path(config.local_dir) / "toy", {"edition": TOY_EDITION}
    if not is_current(folder / "data", made_from):
        write_toy_data(folder / "data")
        write_manifest(folder / "data", made_from=made_from)
    return folder


def _refuse_unwanted_resume(config: RunConfig, run_dir: Path) -> None:
    if not config.resume and (run_dir / "config.json").exists():
        other = next(
            path
            for number in range(2, 10_000)
            if not (path := run_dir.with_name(f"{run_dir.name}-{number}")).exists()
        )
        raise ConfigError(
            f"resume=false starts a new run, but run_dir {run_dir} holds one, and nothing is ever "
            f"deleted. Use run_dir={other}, or resume=true to go on."
        )


def _refuse_other_run(config: RunConfig, data: VulnerabilityData, run_dir: Path) -> None:
    """A run folder belongs to one data set and one set of training settings."""
    if not (run_dir / "config.json").exists():
        return
    stored = {key.lower(): value for key, value in read_json(run_dir / "config.json").items()}
    if asks_for_swa(stored.get("use_swa", False)) and not config.swa_was_forced_off:
        warn_of_swa()
    wanted = config.model_dump(mode="json")
    compared = {key: (stored[key], wanted[key]) for key in FIXED_SETTINGS if key in stored}
    if (run_dir / "data.json").exists():
        before = read_json(run_dir / "data.json").get("fingerprint")
        compared["data fingerprint"] = (before, data.fingerprint)
    for key, (before, now) in compared.items():
        if before != now:
            raise CheckpointError(
                f"run_dir {run_dir} holds a run with {key}={before}, asked for is {key}={now}. "
                "Go back to that value, or name another run_dir."
            )


def _event_log(run_dir: Path) -> Log:
    def log(event: str, **details: Any) -> None:
        time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        append_json_line(run_dir / "events.jsonl", {"time": time, "event": event, **details})

    return log


def _record_run(config: RunConfig, data: VulnerabilityData, plan: SplitPlan, run_dir: Path) -> None:
    """Write config.json and data.json, or leave them alone where they say this already."""
    write_if_changed(run_dir / "config.json", config.model_dump_json(indent=2) + "\n")
    summary = data.summary() | {"holdout": plan.summary(config.meta_features, config.seed)}
    path = run_dir / "data.json"
    truncated = read_json(path).get("truncated", {}) if path.exists() else {}
    _write_json_if_changed(path, {**summary, "truncated": truncated})


def _base_model_stage(
    name: str,
    model: str,
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run_dir: Path,
    log: Log,
) -> None:
    folder = run_dir / "base_models" / name

    def made_from() -> dict[str, Any]:
        best = read_manifest(folder / "best_model") or {}
        settings = {key: getattr(config, key) for key in TRAINING_SETTINGS}
        return {
            "data": data.fingerprint,
            "base_model": model,
            "best_model": sha256_json(best.get("files")),
            **settings,
        }

    if is_current(folder / "probabilities", made_from()):
        say(f"✓ {name}: finished before, skipped")
    else:
        say(f"▶ {name}: fine-tuning {model}")
        # torch takes seconds to load: a run that is finished does without it.
        from enstack.fine_tuning import fine_tune_and_predict
        from enstack.models import HUB_IDS, BaseModel

        location = str(_tiny_model(model, config)) if model in TINY_MODELS else model
        base_model = BaseModel(name, HUB_IDS.get(location, location))
        fine_tune_and_predict(base_model, data, plan, config, folder, made_from, log)
        log("base_model_finished", base_model=name)
    facts = read_json(run_dir / "data.json")
    facts["truncated"][name] = (read_manifest(folder / "probabilities") or {})["truncated"]
    _write_json_if_changed(run_dir / "data.json", facts)


def _tiny_model(name: str, config: RunConfig) -> Path:
    from enstack.toy import make_tiny_models

    folder = _toy_folder(config)
    sources = read_data(folder / "data", label_mode="cwe_or_clean").splits["train"].sources
    return make_tiny_models(folder / "models", sources.to_pylist())[name]


def _stacking_stage(
    data: VulnerabilityData, plan: SplitPlan, config: RunConfig, run_dir: Path, log: Log
) -> None:
    names = base_model_names(config.base_models)
    made_from = {
        "data": data.fingerprint,
        "seed": config.seed,
        "meta_classifiers": config.meta_classifiers,
        "probabilities": {name: _files_digest(run_dir, name) for name in names},
    }
    folder = run_dir / "stacking"
    if is_current(folder, made_from):
        say("✓ stacking: finished before, skipped")
        return
    say(f"▶ Stacking {len(names)} base models: {', '.join(config.meta_classifiers)}")
    train, test = data.splits["train"], data.splits["test"]
    n_classes = len(data.class_names)
    with replacing_folder(folder, {"made_from": made_from}) as beside:
        probabilities = _stack(data, plan, config, run_dir, beside)
        probabilities["baseline:tfidf_lr"] = tfidf_logistic_regression(train, test, n_classes)
        probabilities["baseline:majority"] = majority_class(train.labels, len(test), n_classes)
        board = leaderboard(test.labels, probabilities, data.class_names, seed=config.seed)
        board.to_csv(beside / "leaderboard.csv", index=False)
        np.savez(
            beside / "test_probabilities.npz",
            allow_pickle=False,
            ids=test.ids,
            labels=test.labels,
            **probabilities,
        )
    log("stacking_finished")


def _stack(
    data: VulnerabilityData, plan: SplitPlan, config: RunConfig, run_dir: Path, folder: Path
) -> dict[str, np.ndarray]:
    """Test probabilities of base models, votes and stacks by "kind:name"; saves the stacks."""
    names, n_classes = base_model_names(config.base_models), len(data.class_names)
    on_test = [_probabilities(run_dir, name, data, "test") for name in names]
    refuse_leaks(on_test)
    on_meta = [
        _probabilities(run_dir, name, data, plan.meta_split, plan.meta_rows) for name in names
    ]
    labels = data.splits[plan.meta_split].labels[plan.meta_rows]
    fitted = fit_meta_classifiers(
        config.meta_classifiers, on_meta, labels, n_classes=n_classes, seed=config.seed
    )
    found = {f"base:{model.name}": model.probabilities for model in on_test}
    if len(on_test) > 1:
        found["vote:mean"] = mean_vote(on_test)
    for name, meta_classifier in fitted.items():
        found[f"stack:{name}"] = predict_proba(meta_classifier, on_test, n_classes)
        save_meta_classifier(folder / f"{name}.skops", meta_classifier)
    return found


def _probabilities(
    run_dir: Path,
    name: str,
    data: VulnerabilityData,
    split: str,
    rows: np.ndarray | None = None,
) -> BaseModelProbabilities:
    """A base model's probabilities, joined to the functions by id and never by position alone."""
    path = run_dir / "base_models" / name / "probabilities" / f"{split}.npz"
    with np.load(path) as arrays:
        ids, found, seen = arrays["ids"], arrays["probabilities"], arrays["seen"]
    if not np.array_equal(ids, data.splits[split].ids):
        raise CheckpointError(
            f"{path} must hold the functions of the {split} split in their order; its ids differ. "
            "Delete the folder it lies in and run again: it is made anew."
        )
    chosen = np.arange(len(ids)) if rows is None else rows
    return BaseModelProbabilities(name, ids[chosen], found[chosen], seen[chosen])


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
    }


def _files_digest(run_dir: Path, name: str) -> str:
    manifest = read_manifest(run_dir / "base_models" / name / "probabilities") or {}
    return sha256_json(manifest.get("files"))


def _write_json_if_changed(path: Path, value: Any) -> None:
    if not path.exists() or read_json(path) != value:
        write_json(path, value)
