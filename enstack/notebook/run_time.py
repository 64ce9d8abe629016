"""How long a run will take on this machine, below the form: every stage, and when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.counting import counted
from enstack.progress.say import duration, say
from enstack.run_folder import RunFolder

if TYPE_CHECKING:
    from enstack.config import RunConfig
    from enstack.data.functions import VulnerabilityData
    from enstack.training.run_time import ModelTime

GIB = 2**30
# Stacks, plain baselines, intervals and the report, as measured on two cores: a start, and so much
# for each function that words are counted of.
STACKING_SECONDS, STACKING_SECONDS_PER_FUNCTION = 8.0, 0.002


def show_run_time(config: RunConfig) -> None:
    """After the form: say how long the run will take from here on, and when it would be done.

    A few batches of each kind of base model are trained with random weights, and the tokens of some
    functions are counted. Raises ConfigError or DataError for what cell 6 would refuse too.
    """
    from enstack.config import base_model_names
    from enstack.inputs import base_model, data_of
    from enstack.models.hardware import Hardware
    from enstack.training.run_time import model_times

    named = zip(base_model_names(config.base_models), config.base_models, strict=True)
    run = RunFolder(Path(config.run_dir))
    left = {name: model for name, model in named if not _finished(run, name)}
    if not left:
        say("⏱️  Every base model is trained: cell 6 has only stacking and report to do, if that.")
        return
    say("Measuring a few batches ...")
    # Without a word: cell 4 told of the data, and cell 6 will.
    data = data_of(config)
    hardware = Hardware.choose(config.precision, config.num_workers)
    models = [base_model(name, model, config) for name, model in left.items()]
    times = model_times(models, data, config, run, hardware)
    for line in _lines(times, _stacking_seconds(data), config):
        say(line)


def _finished(run: RunFolder, name: str) -> bool:
    return (run.base_model(name).probabilities / "manifest.json").exists()


def _stacking_seconds(data: VulnerabilityData) -> float:
    functions = sum(map(len, data.splits.values()))
    return STACKING_SECONDS + min(functions, 100_000) * STACKING_SECONDS_PER_FUNCTION


def _lines(
    times: list[ModelTime],
    stacking: float,
    config: RunConfig,
    now: Callable[[], float] = time.time,
) -> list[str]:
    total = sum(one.total for one in times) + stacking
    done = time.strftime("%H:%M %Z", time.localtime(now() + total))
    days = "" if total < 86_400 else f" in {total / 86_400:.1f} days"
    patience = ", or sooner by early stopping" if config.early_stopping_patience else ""
    return [
        f"⏱️  About {duration(total)} from here to the report, all stages together{patience}: if "
        f"cell 6 starts now, until {done}{days}",
        *(_line(one, config) for one in times),
        f"   - stacking and report: about {duration(stacking)}",
    ]


def _line(one: ModelTime, config: RunConfig) -> str:
    folds = f" and {config.folds} folds" if config.meta_features == "out_of_fold" else ""
    memory = f"; {one.cost.memory / GIB:.1f} GiB of GPU memory" if one.cost.memory else ""
    epochs = f"{counted(one.work.epochs, 'epoch')} of {duration(one.epoch)}"
    return (
        f"   - {one.name}: {duration(one.total)}, {epochs}"
        f"{folds}, with tokens and predictions{memory}"
    )
