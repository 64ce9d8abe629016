"""How long a save keeps the training loop waiting, beside Trainer: `enstack bench save`.

A classifier in the shape of RoBERTa-base with AdamW's moments, 1.5 GB, is saved in turns by enstack
and by Hugging Face Trainer, to a local disk and to a slow one. Before each turn all earlier writing
is finished and on disk, as in a training that saves every 500 steps. Blocked is the time of the
call that the loop makes: `Saver.save`, and Trainer's own `_save_checkpoint`; both keep two.

The slow disk: whatever enstack writes below run_dir is held to 40 MB/s, chunk by chunk; its scratch
disk stays local. Trainer saves to the local disk, and the call then sleeps until its bytes would
have passed at that speed: the larger of the two times, never their sum.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from transformers import (
    DataCollatorWithPadding,
    RobertaConfig,
    RobertaForSequenceClassification,
    Trainer,
    TrainingArguments,
)

from benchmarks import machine, targets
from benchmarks.resume import take_turns
from benchmarks.small_training import ENSTACK, SETTINGS, TRAINER, no_log, prepare
from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.models.base_models import BaseModel, load_classifier
from enstack.models.hardware import Hardware
from enstack.rounding import percent
from enstack.storage.manifest import HashedFile, files_below
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.state import TrainingState

ROBERTA_BASE = {
    "vocab_size": 50265,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
}
LOCAL, SLOW = "local disk", "slow disk"
SLOW_SPEED = 40e6  # bytes a second
KEPT = 2  # checkpoints, by both
LIMITS = {LOCAL: 20.0, SLOW: 2.0}  # percent of Trainer's time
NOTES = (
    "enstack syncs its files to the disk and reads them back, in the background; Trainer does "
    "neither",
    "the slow disk is a model: a mount that takes bytes into a cache of its own, as Drive's may, "
    "keeps Trainer waiting for less",
)
Turn = dict[str, Any]
Parts = tuple[BaseModel, Any, TrainingData]


def write_model(folder: Path, shape: dict[str, int]) -> None:
    """Put a classifier of this shape, with random weights, in the place of the one in a folder."""
    config = RobertaConfig(**shape, type_vocab_size=1)
    RobertaForSequenceClassification(config).save_pretrained(folder)


def filled_training(parts: Parts, run_dir: Path, scratch: Path) -> TrainingState:
    """A training of enstack whose optimizer has made one step."""
    config = RunConfig(
        **{**SETTINGS, "batch_size": 1},
        keep_checkpoints=KEPT,
        run_dir=str(run_dir),
        local_dir=str(scratch),
        label_mode="cwe_or_clean",
    )
    hardware = Hardware.choose(config.precision, config.num_workers)
    job = TrainingJob(*parts, config, hardware, run_dir / "model", no_log)
    training = start_or_resume(job)
    for parameter in training.model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    training.optimizer.step()
    return training


def filled_trainer(parts: Parts, folder: Path) -> Trainer:
    """A Trainer whose optimizer has made one step."""
    base_model, tokenizer, data = parts
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        max_steps=1,
        # It is asked for each save by hand.
        save_strategy="no",
        save_total_limit=KEPT,
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch_fused",
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = Trainer(
        load_classifier(base_model, data.class_names, seed=1),
        arguments,
        train_dataset=[data.train[0]],
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    return trainer


def throttle(size: int, bytes_per_second: float, started: float) -> None:
    """Sleep until a slow disk would have taken these bytes."""
    time.sleep(max(0.0, size / bytes_per_second - (time.perf_counter() - started)))


@contextlib.contextmanager
def slow_below(folder: Path, bytes_per_second: float) -> Iterator[None]:
    """Let enstack's checkpoint files below a folder be written at this speed at most."""
    write = HashedFile.write

    def slowly(file: HashedFile, data: bytes | memoryview) -> int:
        started = time.perf_counter()
        size = write(file, data)
        if file.path.is_relative_to(folder):
            throttle(size, bytes_per_second, started)
        return size

    with mock.patch.object(HashedFile, "write", slowly):
        yield


def small_batch(device: torch.device) -> Callable[[], None]:
    """A batch of a small model, some 10 ms on one core: a loop that a save may slow down."""
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, batch_first=True).to(device)
    inputs = torch.randn(8, 64, 128, device=device)

    def run() -> None:
        loss = layer(inputs).square().mean()
        loss.backward()
        loss.item()

    return run


def pace(batch: Callable[[], None], more: Callable[[int], bool]) -> float:
    """Batches per second, while there are to be more after so many."""
    done, started = 0, time.perf_counter()
    while done == 0 or more(done):
        batch()
        done += 1
    return done / (time.perf_counter() - started)


def enstack_turn(saver: Saver, batch: Callable[[], None], idle_batches: int) -> Turn:
    """One save: seconds for which it blocks, until it is safe, and lost by a loop on this machine.

    The loop waits while it is blocked, and has less than its idle speed until run_dir has all.
    """
    idle = pace(batch, lambda done: done < idle_batches)
    os.sync()
    started = time.perf_counter()
    saver.save()
    blocked = time.perf_counter() - started
    with ThreadPoolExecutor(1) as pool:
        safe = pool.submit(until_safe, saver, started)
        in_flight = pace(batch, lambda _: not safe.done())
    turn, speed = safe.result(), in_flight / idle
    lost = blocked + max(0.0, 1 - speed) * (turn["in_run_dir"] - blocked)
    return {"blocked": blocked, **turn, "speed_meanwhile": speed, "lost": lost}


def until_safe(saver: Saver, started: float) -> Turn:
    """Seconds until the save in flight is verified on the scratch disk, and in run_dir."""
    saver.settle(required=True)
    on_scratch = time.perf_counter() - started
    if not saver.mirror.wait():
        raise CheckpointError(f"The copy to run_dir stands still: {saver.mirror.trouble()}.")
    return {"on_scratch": on_scratch, "in_run_dir": time.perf_counter() - started}


def trainer_turn(trainer: Trainer, bytes_per_second: float) -> Turn:
    """One save: seconds for which it blocks, and its bytes."""
    trainer.state.global_step += 500
    os.sync()
    started = time.perf_counter()
    trainer._save_checkpoint(trainer.model, trial=None)
    folder = Path(trainer.args.output_dir) / f"checkpoint-{trainer.state.global_step}"
    size = size_below(folder)
    throttle(size, bytes_per_second, started)
    return {"blocked": time.perf_counter() - started, "bytes": size}


def size_below(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum((folder / name).stat().st_size for name in files_below(folder))


def both_on(
    parts: Parts, folder: Path, bytes_per_second: float, rounds: int, idle_batches: int
) -> dict[str, list[Turn]]:
    """All turns of both on a disk of this speed, the first ones included."""
    training = filled_training(parts, folder / "run", folder / "scratch")
    trainer = filled_trainer(parts, folder / "trainer")
    batch = small_batch(training.device)
    with slow_below(folder / "run", bytes_per_second), Saver(training) as saver:
        turns = {
            ENSTACK: lambda: enstack_turn(saver, batch, idle_batches),
            TRAINER: lambda: trainer_turn(trainer, bytes_per_second),
        }
        return take_turns(turns, rounds + 1)


def all_turns(
    shape: dict[str, int], slow_speed: float, rounds: int, idle_batches: int
) -> dict[str, dict[str, list[Turn]]]:
    """The turns on either disk."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        base_model, tokenizer, _, data = prepare(folder)
        write_model(folder / "model", shape)
        parts, outcomes = (base_model, tokenizer, data), {}
        for disk, speed in {LOCAL: math.inf, SLOW: slow_speed}.items():
            outcomes[disk] = both_on(parts, folder / "disk", speed, rounds, idle_batches)
            shutil.rmtree(folder / "disk")
    return outcomes


def summary(turns: list[Turn]) -> dict[str, float]:
    """The first save, which makes enstack's buffers, and the medians of those after it."""
    first, *later = turns
    medians = {key: statistics.median(turn[key] for turn in later) for key in first}
    return {"first_blocked": first["blocked"], **medians}


def judge(disk: str, found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The target for a disk, and whether these figures meet it."""
    percent = 100 * found[ENSTACK]["blocked"] / found[TRAINER]["blocked"]
    return targets.at_most(f"% of Trainer's blocked time, {disk}", percent, LIMITS[disk])


def measure(
    *,
    shape: dict[str, int] = ROBERTA_BASE,
    slow_speed: float = SLOW_SPEED,
    rounds: int = 3,
    idle_batches: int = 200,
) -> dict[str, Any]:
    """All figures, as plain values; times in seconds, the first save apart from the later ones."""
    outcomes = all_turns(shape, slow_speed, rounds, idle_batches)
    disks = {
        disk: {name: summary(turns) for name, turns in found.items()}
        for disk, found in outcomes.items()
    }
    return {
        "benchmark": "save",
        "machine": machine.facts(),
        "shape": shape,
        "slow_bytes_per_second": slow_speed,
        "rounds": rounds,
        "disks": disks,
        "notes": NOTES,
        "targets": [judge(disk, found) for disk, found in disks.items()],
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    return "\n".join(
        [
            machine.line(results["machine"]),
            "",
            *_blocked_lines(results),
            "",
            *_background_lines(results["disks"]),
            "",
            *(f"({note})" for note in results["notes"]),
            "",
            *map(targets.line, results["targets"]),
        ]
    )


def _blocked_lines(results: dict[str, Any]) -> Iterator[str]:
    size = results["disks"][LOCAL][TRAINER]["bytes"]
    yield (
        f"A save of {size / 1e9:.2f} GB keeps the loop waiting (median of {results['rounds']} "
        f"after the first); the slow disk takes {results['slow_bytes_per_second'] / 1e6:g} MB/s"
    )
    yield f"{'':36}{'first':>10}{'later':>12}{'of Trainer':>14}"
    for disk, found in results["disks"].items():
        for name, way in found.items():
            share = way["blocked"] / found[TRAINER]["blocked"]
            yield (
                f"{disk:12}{name:24}{way['first_blocked']:8.2f} s{way['blocked']:10.3f} s"
                f"{share:14.1%}"
            )


def _background_lines(disks: dict[str, dict[str, dict[str, float]]]) -> Iterator[str]:
    yield "In the background of enstack's later saves"
    for disk, found in disks.items():
        ours = found[ENSTACK]
        yield (
            f"{disk:12}verified on the scratch disk after {ours['on_scratch']:.1f} s, in run_dir "
            f"after {ours['in_run_dir']:.1f} s;"
        )
        yield (
            f"{'':12}a small loop meanwhile has {percent(ours['speed_meanwhile'], 0)} of "
            f"its speed, and loses {ours['lost']:.1f} s in all"
        )


def main() -> None:
    """Measure and print."""
    print(table(measure()))


if __name__ == "__main__":
    main()
