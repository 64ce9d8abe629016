"""The plan of a run in words: hours of each stage and in all, sessions, and when it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.models.base_models import BaseModel
from enstack.progress.say import duration, say
from enstack.progress.session_end import seconds_left
from enstack.run_folder import RunFolder
from enstack.training.run_hardware import hardware_of
from enstack.training.run_time import ModelTime, model_times, price_of_folds

__all__ = ["plan_lines", "tell_plan"]

GIB = 2**30
# Stacks, plain baselines, intervals and the report, as measured on two cores: a start, and so much
# for each function that words are counted of.
STACKING_SECONDS, STACKING_SECONDS_PER_FUNCTION = 8.0, 0.002


def tell_plan(
    models: list[BaseModel], data: VulnerabilityData, config: RunConfig, run: RunFolder
) -> None:
    """Measure a few batches, and say before any is trained how long all of it will take."""
    hardware = hardware_of(config, run)
    times = model_times(models, data, config, run, hardware)
    if config.session_hours != "none":
        for line in plan_lines(times, data, config):
            say(line)
        if hardware.group.size > 1:
            say("   - not measured: what the processes tell each other at each step")
    if config.meta_features == "out_of_fold":
        say(price_of_folds(times, config))


def plan_lines(
    times: list[ModelTime],
    data: VulnerabilityData,
    config: RunConfig,
    now: Callable[[], float] = time.time,
) -> list[str]:
    """A line for the whole run, one for each base model, and one for what comes after them."""
    stacking = _stacking_seconds(data)
    further = len(config.of_other_seeds())
    total = (sum(one.total for one in times) + stacking) * (1 + further)
    done = time.strftime("%H:%M %Z", time.localtime(now() + total))
    days = "" if total < 86_400 else f" in {total / 86_400:.1f} days"
    patience = ", or sooner by early stopping" if config.early_stopping_patience else ""
    return [
        f"⏱️  About {duration(total)} from here to the report, all stages together{patience}: if "
        f"it starts now, until {done}{days}{_sessions(total, config)}",
        *(_line(one, config) for one in times),
        f"   - stacking and report: about {duration(stacking)}",
        *([f"   - all of it again under {counted(further, 'further seed')}"] if further else []),
    ]


def _sessions(seconds: float, config: RunConfig) -> str:
    now = seconds_left()  # of this one some may be gone by now
    if config.session_hours == "none" or now == 0:
        return ""
    whole = 3600 * config.session_hours
    sessions = 1 + max(0, math.ceil((seconds - (whole if now is None else now)) / whole))
    hours = f"{config.session_hours:g} h"
    return f"; {counted(sessions, 'session')} of {hours}, each saved before it ends"


def _stacking_seconds(data: VulnerabilityData) -> float:
    functions = sum(map(len, data.splits.values()))
    return STACKING_SECONDS + min(functions, 100_000) * STACKING_SECONDS_PER_FUNCTION


def _line(one: ModelTime, config: RunConfig) -> str:
    folds = f" and {config.folds} folds" if config.meta_features == "out_of_fold" else ""
    memory = f"; {one.cost.memory / GIB:.1f} GiB of GPU memory" if one.cost.memory else ""
    epochs = f", {counted(one.work.epochs, 'epoch')} of {duration(one.epoch)}"
    left = f"{epochs if one.work.epochs else ''}{folds}"
    return f"   - {one.name}: {duration(one.total)}{left}, with tokens and predictions{memory}"
