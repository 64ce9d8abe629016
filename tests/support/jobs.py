"""A job of fine-tuning, made of what a test has at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.config import RunConfig
from enstack.models.hardware import Hardware
from enstack.training.job import Log, TrainingJob


def no_log(event: str, **details: Any) -> None:
    pass


def job_of(
    parts: tuple[Any, ...],
    config: RunConfig,
    folder: Path | None = None,
    log: Log = no_log,
    old_runs: Path | None = None,
) -> TrainingJob:
    """parts: base model, tokenizer and data; folder: the run folder itself if left out."""
    hardware = Hardware.choose(config.precision, config.num_workers)
    place = Path(config.run_dir) if folder is None else folder
    return TrainingJob(*parts, config, hardware, place, log, old_runs)
