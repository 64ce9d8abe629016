"""What stands around a training's steps, and what it costs: `enstack bench overhead`.

The same steps of one encoder, taking turns: bare (forward, backward, optimizer, with batches that
lie in memory), in the product's loop (loader, bar, loss, history), and in the loop with one save,
which goes to the scratch disk and is copied to run_dir and verified there while training goes on.
What a save costs is laid on the five minutes between two. The panel has a benchmark of its own.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, targets
from benchmarks.full_size_turns import Case, Setting, free_memory, in_silence, job_of, set_up
from benchmarks.small_training import ENSTACK
from benchmarks.train import shape
from enstack.models.hardware import Hardware
from enstack.models.loader import make_loader
from enstack.models.tokens import LabelledTokens
from enstack.progress.stopping import StopRequest
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.state import TrainingState
from enstack.training.step import Step, in_steps, train_batch
from enstack.training.trainer import train_epoch

HIDDEN, LAYERS, STEPS, ROUNDS = 128, 4, 60, 5
BATCH_SIZE = 16
WARM_UP = 5  # steps of each turn
BETWEEN_SAVES = 300.0  # seconds, as save_minutes has it
BARE, LOOP, SAVING = "bare steps", "the loop", "the loop with a save"
LIMIT = 0.03


class Started(StopRequest):
    """Looked at after each step: notes when the first ones are over, and saves in the middle."""

    def __init__(self, saver: Saver, steps: int, *, saving: bool) -> None:
        super().__init__()
        self.saver, self.middle, self.ended = saver, WARM_UP + steps // 2 if saving else -1, 0
        self.clocks = (0.0, 0.0)

    @property
    def requested(self) -> bool:
        """Never."""
        self.ended += 1
        if self.ended == WARM_UP:
            self.clocks = time.perf_counter(), time.process_time()
        if self.ended == self.middle:
            self.saver.save()
        return False


def bare(training: TrainingState, steps: int) -> tuple[float, float]:
    """Wall and CPU seconds of some steps alone."""
    rows, order = training.rest_of_epoch()
    loader = make_loader(
        training.job.data.train.take(rows),
        order,
        pad_token_id=training.job.tokenizer.pad_token_id,
        hardware=training.job.hardware,
    )
    batches = list(itertools.islice(in_steps(loader, 1), WARM_UP + steps))
    training.model.train()
    clocks = (0.0, 0.0)
    for number, of_step in enumerate(batches):
        if number == WARM_UP:
            clocks = time.perf_counter(), time.process_time()
        train_batch(training, of_step[0], Step.of(of_step, training))
    return time.perf_counter() - clocks[0], time.process_time() - clocks[1]


def looped(training: TrainingState, steps: int, *, saving: bool) -> tuple[float, float]:
    """The same of an epoch of so many steps, its save and the end of its copy included."""
    with Saver(training) as saver:
        stop = Started(saver, steps, saving=saving)
        train_epoch(training, saver, stop)
        saver.settle(required=saving)
    # Behind the block: until run_dir has it.
    return time.perf_counter() - stop.clocks[0], time.process_time() - stop.clocks[1]


WAYS: dict[str, Callable[[TrainingState, int], tuple[float, float]]] = {
    BARE: bare,
    LOOP: lambda training, steps: looped(training, steps, saving=False),
    SAVING: lambda training, steps: looped(training, steps, saving=True),
}


def turn(setting: Setting, examples: LabelledTokens, way: str, steps: int) -> tuple[float, float]:
    """Wall and CPU seconds of one way to train the same steps."""
    free_memory()
    case = Case(ENSTACK, "fp32", BATCH_SIZE)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        training = start_or_resume(job_of(setting, examples, case, Path(name)))
        return WAYS[way](training, steps)


def measure(
    *, hidden: int = HIDDEN, layers: int = LAYERS, steps: int = STEPS, rounds: int = ROUNDS
) -> dict[str, Any]:
    """All figures, as plain values."""
    with tempfile.TemporaryDirectory() as name:
        setting = set_up(Path(name), shape(hidden, layers), steps, None)
        examples = setting.examples(BATCH_SIZE).take(np.arange((WARM_UP + steps) * BATCH_SIZE))
        turns: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _, way in itertools.product(range(rounds), WAYS):
            turns[way].append(turn(setting, examples, way, steps))
    wall, cpu = (
        {way: statistics.median(one[clock] for one in made) for way, made in turns.items()}
        for clock in (0, 1)
    )
    return {
        "benchmark": "overhead",
        "machine": machine.facts(),
        "device": Hardware.choose().device.type,
        "encoder": {"hidden": hidden, "layers": layers},
        "steps": steps,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "targets": [
            targets.at_most(f"overhead around the steps, {clock}", share(seconds), LIMIT)
            for clock, seconds in (("time", wall), ("CPU time", cpu))
        ],
    }


def share(seconds: dict[str, float]) -> float:
    """What the loop adds to its steps, and a save each five minutes."""
    saved = (seconds[SAVING] - seconds[LOOP]) / BETWEEN_SAVES
    return seconds[LOOP] / seconds[BARE] - 1 + max(0.0, saved)


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [machine.line(results["machine"]), "", f"{'':22}{'seconds':>9}{'CPU seconds':>13}"]
    for way in WAYS:
        lines.append(
            f"{way:22}{results['wall_seconds'][way]:9.2f}{results['cpu_seconds'][way]:13.2f}"
        )
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


if __name__ == "__main__":
    print(table(measure()))
