"""What a run folder records of its run, and the refusal of what does not belong to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enstack.config import FIXED_SETTINGS, RunConfig, asks_for_swa, warn_of_swa
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.data.subsets import shortages, wanted_counts
from enstack.errors import CheckpointError, ConfigError
from enstack.progress.say import say
from enstack.storage.files import append_json_line, read_json_object, timestamp, write_if_changed

Log = Callable[..., None]
# They shape training alone: once it is finished, another value of theirs would be a false record.
WITHOUT_EFFECT_WHEN_FINISHED = (
    "batch_size",
    "accumulation_steps",
    "precision",
    "save_steps",
    "num_workers",
    "keep_checkpoints",
)


def event_log(run_dir: Path) -> Log:
    """A function that adds a line to events.jsonl: time, event, details."""

    def log(event: str, **details: Any) -> None:
        record = {"time": timestamp(), "event": event, **details}
        append_json_line(run_dir / "events.jsonl", record)

    return log


def has_trained(run_dir: Path) -> bool:
    """Whether any checkpoint or best model lies in a run folder."""
    return any((run_dir / "base_models").glob("**/manifest.json"))


def refuse_unwanted_resume(config: RunConfig, run_dir: Path) -> None:
    """resume=false never deletes: a folder with a run in it is refused, and another one named."""
    holds_run = (run_dir / "config.json").exists() or has_trained(run_dir)
    # What was saved and never copied belongs to this run_dir too.
    if config.resume or not (holds_run or any(config.scratch_dir.glob("**/manifest.json"))):
        return
    holder = f"run_dir {run_dir}" if holds_run else f"{config.scratch_dir}, on its way there,"
    number = 2
    while (other := run_dir.with_name(f"{run_dir.name}-{number}")).exists():
        number += 1
    raise ConfigError(
        f"resume=false starts a new run, but {holder} holds one, and no run is ever "
        f"deleted. Use run_dir={other}, or resume=true to go on."
    )


def refuse_other_run(config: RunConfig, data: VulnerabilityData, run_dir: Path) -> None:
    """A run folder belongs to one data set and one set of training settings.

    A run that failed before it trained anything binds nobody.
    """
    stored = _stored_settings(run_dir)
    if _asks_for_swa(stored, run_dir) and not config.swa_was_forced_off:
        warn_of_swa()
    if not has_trained(run_dir):
        return
    wanted = config.model_dump(mode="json")
    fixed = [*FIXED_SETTINGS, *(["folds"] if config.meta_features == "out_of_fold" else [])]
    for key in fixed:
        if key in stored and stored[key] != wanted[key]:
            raise CheckpointError(
                f"run_dir {run_dir} holds a run with {key}={stored[key]}, asked for is "
                f"{key}={wanted[key]}. Go back to that value, or name another run_dir."
            )
    _refuse_other_data(data, run_dir)


def _stored_settings(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "config.json"
    if not path.exists():
        return {}
    return {key.lower(): value for key, value in read_json_object(path).items()}


def _asks_for_swa(stored: dict[str, Any], run_dir: Path) -> bool:
    try:
        return asks_for_swa(stored.get("use_swa", False))
    except ValueError:
        raise CheckpointError(
            f"use_swa in {run_dir / 'config.json'} must be true or false, found "
            f"{stored['use_swa']!r}. Correct it, or remove the file to have it written anew."
        ) from None


def _refuse_other_data(data: VulnerabilityData, run_dir: Path) -> None:
    path = run_dir / "data.json"
    before = read_json_object(path).get("fingerprint") if path.exists() else data.fingerprint
    if before != data.fingerprint:
        raise CheckpointError(
            f"run_dir {run_dir} was begun with other functions or labels (data fingerprint="
            f"{str(before)[:12]}, now {data.fingerprint[:12]}). Go back to that data_dir, or name "
            "another run_dir."
        )


def record_run(
    config: RunConfig, data: VulnerabilityData, plan: SplitPlan, run_dir: Path, *, trains: bool
) -> None:
    """Write config.json, data.json and, of a subset, subset.json, unless they say this already."""
    settings = config.model_dump(mode="json")
    if not trains:
        settings |= _kept_settings(settings, run_dir)
    write_if_changed(run_dir / "config.json", _as_text(settings))
    path = run_dir / "data.json"
    truncated = read_json_object(path).get("truncated", {}) if path.exists() else {}
    summary = data.summary() | {"holdout": plan.summary(config.meta_features, config.seed)}
    write_if_changed(path, _as_text({**summary, "truncated": truncated}))
    if config.subset != "all":
        write_if_changed(run_dir / "subset.json", _as_text(_subset_manifest(config, data)))


def _subset_manifest(config: RunConfig, data: VulnerabilityData) -> dict[str, Any]:
    """Which functions a subset drew and how, so that others can draw the same and check it."""
    summary = data.summary()
    return {
        "fingerprint": data.fingerprint,
        "subset": config.subset,
        "seed": config.seed,
        "label_mode": config.label_mode,
        "label_rule": config.label_rule,
        "labels": data.label_rule,
        "drop_near_duplicates": config.drop_near_duplicates,
        "wanted": wanted_counts(config.subset, data.class_names),
        **{key: summary[key] for key in ("counts", "available", "dropped")},
        "shortages": [
            sentence
            for split, counts in data.available.items()
            for sentence in shortages(counts, data.n_available(split), config.subset, split)
        ],
        "ids": {split: functions.ids.tolist() for split, functions in data.splits.items()},
    }


def _kept_settings(settings: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """Settings that a finished training was made with, where others are asked for now."""
    stored = _stored_settings(run_dir)
    kept = {
        key: stored[key]
        for key in WITHOUT_EFFECT_WHEN_FINISHED
        if key in stored and stored[key] != settings[key]
    }
    if kept:
        said = ", ".join(f"{key} stays {value}" for key, value in kept.items())
        say(f"   · Training is finished: {said}")
    return kept


def record_truncation(run_dir: Path, name: str, truncated: dict[str, int]) -> None:
    """Add to data.json how many functions were too long for a base model, per split."""
    path = run_dir / "data.json"
    facts = read_json_object(path)
    facts["truncated"] = {**facts.get("truncated", {}), name: truncated}
    write_if_changed(path, _as_text(facts))


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
