"""How long a run will take on this machine, below the form: every stage, and when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enstack.progress.say import say
from enstack.run_folder import RunFolder

if TYPE_CHECKING:
    from enstack.config import RunConfig


def show_run_time(config: RunConfig) -> None:
    """After the form: say how long the run will take from here on, and when it would be done.

    A few batches of each kind of base model are trained with random weights, and the tokens of some
    functions are counted. Raises ConfigError or DataError for what cell 6 would refuse too.
    """
    from enstack.config import base_model_names
    from enstack.inputs import base_model, data_of
    from enstack.training.run_hardware import hardware_of
    from enstack.training.run_plan import plan_lines
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
    hardware = hardware_of(config, run)
    models = [base_model(name, model, config) for name, model in left.items()]
    times = model_times(models, data, config, run, hardware)
    for line in plan_lines(times, data, config):
        say(line)
    if config.processes > 1:
        say(f"   - measured in one process; {config.processes} share every batch")


def _finished(run: RunFolder, name: str) -> bool:
    return (run.base_model(name).probabilities / "manifest.json").exists()
