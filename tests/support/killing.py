"""Kills a training at random instants, again and again.

python -m tests.support.killing KILLS [SEED]

Every attempt is a process of its own that SIGKILL ends at a random instant; its saves are slowed
down, so that many kills land inside one. After some kills the scratch disk is gone too, as when a
borrowed machine is taken away. Each attempt must go on from the newest checkpoint that was whole,
and each run must end as the unbroken one, bit for bit. Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The parent must have no threads of its own when it forks.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file

from enstack.checkpoints import slots, state_file
from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.storage.manifest import HashedFile, folder_problems
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training import trainer
from enstack.training.state import TrainingData

KILLS_PER_RUN = 10
SCRATCH_LOST = 0.3  # share of the kills after which the machine is gone too
BYTES_PER_SECOND = 40e6  # of a slow disk: a save takes about as long as the batches to the next
PIECE = 40_000  # bytes after which a slow disk makes one wait
PHASES = ("starting", "training", "saving", "copying", "rotating")
# What the doomed process writes down for its parent: phases under way, and where it went on from.
Board = mmap.mmap
PLACES = {name: 8 * number for number, name in enumerate((*PHASES, "went_on_from"))}


def put(board: Board, name: str, value: int) -> None:
    board[PLACES[name] : PLACES[name] + 8] = struct.pack("q", value)


def get(board: Board, name: str) -> int:
    return int(struct.unpack("q", board[PLACES[name] : PLACES[name] + 8])[0])


def prepare(folder: Path) -> tuple[BaseModel, Any, TrainingData]:
    sizes = {"train": 42, "validation": 20, "test": 10}
    data = read_data(write_toy_data(folder / "data", sizes=sizes), label_mode="cwe_or_clean")
    shape = TinyModel(vocabulary=300, hidden=16, layers=1, heads=2)
    write_encoder(folder / "micro", shape, data.splits["train"].sources.to_pylist(), seed=1)
    model = BaseModel("micro", str(folder / "micro"))
    tokenizer = load_tokenizer(model)
    examples = {
        split: LabelledTokens(
            tokenize(f, tokenizer, max_length=150, cache_dir=folder, title=split), f.labels, f.ids
        )
        for split, f in data.splits.items()
    }
    train, selection = examples["train"], examples["validation"]
    return model, tokenizer, TrainingData(train, selection, data.task, data.fingerprint)


def config_of(folder: Path, name: str) -> RunConfig:
    return RunConfig(
        run_dir=str(folder / name),
        local_dir=str(folder / f"{name}-scratch"),
        label_mode="cwe_or_clean",
        max_length=150,
        epochs=3,
        batch_size=4,
        save_steps=2,
        learning_rate=1e-3,
        precision="fp32",
        num_workers=0,
    )


def instrument(board: Board, config: RunConfig) -> None:
    """Slow the writes down, and note on the board what is under way."""

    @contextlib.contextmanager
    def during(phase: str) -> Iterator[None]:
        put(board, phase, 1)
        yield
        put(board, phase, 0)

    write, install = slots.write, slots.install
    write_bytes, start = HashedFile.write, trainer.start_or_resume

    def noted_write(folder: Path, *args: Any, **kwargs: Any) -> None:
        with during("saving" if folder != Path(config.run_dir) else "copying"):
            write(folder, *args, **kwargs)

    def noted_install(*args: Any, **kwargs: Any) -> None:
        with during("rotating"):
            time.sleep(PIECE / BYTES_PER_SECOND)
            install(*args, **kwargs)

    def slow_write(file: HashedFile, data: bytes) -> int:
        size = write_bytes(file, data)
        pieces = file.bytes // PIECE - (file.bytes - size) // PIECE
        if pieces:
            time.sleep(pieces * PIECE / BYTES_PER_SECOND)
        return size

    def noted_start(*args: Any) -> Any:
        with during("starting"):
            training = start(*args)
        put(board, "went_on_from", training.progress.saves)
        put(board, "training", 1)
        return training

    slots.write, slots.install = noted_write, noted_install
    HashedFile.write = slow_write  # type: ignore[method-assign, assignment]
    trainer.start_or_resume = noted_start


def forked(work: Callable[[], None]) -> int:
    """Do work in a process of its own; returns its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        status = 0
    finally:
        # On an error the traceback is printed before the process ends.
        if status:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        sys.stderr.flush()
        os._exit(status)


def train(parts: tuple[Any, ...], config: RunConfig, board: Board | None) -> None:
    if board is not None:
        instrument(board, config)
    trainer.train_base_model(*parts, config, Path(config.run_dir), lambda event, **details: None)


def newest_whole(config: RunConfig) -> int:
    """The number of the newest checkpoint that verifies, in either place; 0 where there is none."""
    places = (config.scratch_dir, Path(config.run_dir))
    whole = [
        path
        for place in places
        for path in [*place.glob("*_checkpoint*"), place / ".saving"]
        if path.is_dir() and not folder_problems(path)
    ]
    return max(map(slots.saved_number, whole), default=0)


def kill_once(
    parts: tuple[Any, ...], config: RunConfig, seconds: float, board: Board
) -> tuple[list[str], bool]:
    """Train, and kill after so many seconds; what was under way, and whether it had ended."""
    board[:] = bytes(len(board))
    put(board, "went_on_from", -1)
    expected = newest_whole(config)
    child = forked(lambda: train(parts, config, board))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    found = get(board, "went_on_from")
    if found not in (-1, expected):
        raise AssertionError(f"went on from save {found}; save {expected} was there and whole")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise AssertionError("an attempt failed")
    return [phase for phase in PHASES if get(board, phase)], os.WIFEXITED(status)


def finish(parts: tuple[Any, ...], config: RunConfig) -> None:
    _, status = os.waitpid(forked(lambda: train(parts, config, None)), 0)
    if status:
        raise AssertionError("the last attempt of a run failed")


def outcome(config: RunConfig) -> dict[str, Any]:
    """All that a run leaves, its count of saves aside."""
    folder = Path(config.run_dir)
    state = state_file.read_state(folder / "last_checkpoint")
    state["progress"]["saves"] = None
    weights = load_file(folder / "last_checkpoint" / "model.safetensors")
    best = load_file(folder / "best_model" / "model.safetensors")
    history = (folder / "history.jsonl").read_text()
    return {"state": state, "weights": weights, "best": best, "history": history}


def main(kills: int, seed: int) -> dict[str, Any]:
    from tests.conftest import same

    torch.set_num_threads(1)
    chance = random.Random(seed)
    board = mmap.mmap(-1, 8 * len(PLACES))
    landed: Counter[str] = Counter()
    facts = {"seed": seed, "kills": 0, "runs": 0, "identical": 0, "in_a_save": 0, "disk_lost": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = prepare(folder)
        unbroken = config_of(folder, "unbroken")
        started = time.monotonic()
        child = forked(lambda: train(parts, unbroken, board))
        if os.waitpid(child, 0)[1]:
            raise AssertionError("the unbroken run failed")
        whole_run = time.monotonic() - started
        expected = outcome(unbroken)
        print(f"an unbroken run takes {whole_run:.1f} s", file=sys.stderr)
        while facts["kills"] < kills:
            config = config_of(folder, f"run-{facts['runs']}")
            for _ in range(min(KILLS_PER_RUN, kills - facts["kills"])):
                phases, ended = kill_once(parts, config, chance.uniform(0, whole_run / 2), board)
                if ended:
                    break
                facts["kills"] += 1
                facts["in_a_save"] += any(p in phases for p in PHASES[2:])
                landed.update(phases)
                if chance.random() < SCRATCH_LOST:
                    facts["disk_lost"] += 1
                    shutil.rmtree(config.local_dir, ignore_errors=True)
            finish(parts, config)
            facts["runs"] += 1
            facts["identical"] += same(outcome(config), expected)
            shutil.rmtree(config.run_dir)
    return {**facts, "landed": dict(landed)}


if __name__ == "__main__":
    kills, *seeds = map(int, sys.argv[1:])
    print(json.dumps(main(kills, seeds[0] if seeds else random.SystemRandom().randrange(2**32))))
