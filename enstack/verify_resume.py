"""An interrupted run held against an unbroken one, with a user's settings on a user's machine."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from enstack.checkpoints import state_file
from enstack.checkpoints.slots import BEST, HISTORY, LAST, WEIGHTS_FILE
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.holdout import plan_splits
from enstack.errors import CheckpointError, ConfigError, Interrupted
from enstack.inputs import tiny_model, with_its_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.progress.say import say
from enstack.progress.stopping import StopAfter, StopRequest
from enstack.storage.caches import holding_caches
from enstack.storage.manifest import read_manifest
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.stage import tokenize_splits, training_data
from enstack.training.trainer import train_base_model

BATCHES, EPOCHS, INTERRUPTIONS = 8, 3, 6  # few: what is under test knows no sizes
MAX_LENGTH = 128
CHECKED = "weights, best model, optimizer, schedule, random state, history and predictions"


@dataclass(frozen=True)
class Trial:
    """What is trained again and again: a tiny model on a few functions."""

    model: BaseModel
    tokenizer: Any
    data: TrainingData
    config: RunConfig
    hardware: Hardware


@holding_caches()
def verify_resume(config: RunConfig, seed: int | None = None) -> None:
    """Train unbroken and interrupted at random instants; a CheckpointError tells what differs.

    The settings are those of the configuration; the model is tiny, and the data a few functions.
    After every second interruption the scratch disk is emptied, as on another machine. seed:
    chooses the instants.
    """
    if seed is not None and seed < 0:
        raise ConfigError(f"seed must be 0 or more, found {seed}. Name another.")
    # Other instants at each call; the seed is shown, so that a fault can be met again.
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="enstack-verify-") as name:
        with in_silence():
            trial = prepare_trial(config, Path(name))
        _announce(trial, seed)
        looks = _Looks()
        with in_silence():
            _train(trial, "unbroken", looks)
            expected = _outcome(trial, "unbroken")
        chance = random.Random(seed)
        for number in range(INTERRUPTIONS):
            # The loop can be stopped wherever it looks for a stop. Later runs are stopped again and
            # again: a fault may show at the second resume only.
            instants = [chance.randrange(looks.count) for _ in range(1 + number // 2)]
            _compare(trial, f"run-{number}", instants, number % 2 == 1, expected)
    say(f"✅ identical: {CHECKED} of {INTERRUPTIONS} interrupted runs, bit for bit")


def prepare_trial(config: RunConfig, folder: Path) -> Trial:
    """A tiny model on a few functions, under the settings of a configuration, in a folder."""
    settings = {
        # Two at least, so that an interruption may fall on either side of an epoch's end.
        "epochs": max(2, min(config.epochs, EPOCHS)),
        "subset": BATCHES * config.batch_size if config.subset != "paper" else "paper",
        "max_length": min(config.max_length, MAX_LENGTH),
        # So that saves fall inside an epoch too.
        "save_steps": min(config.save_steps, BATCHES // 2),
        "base_models": ["tiny-a"],
        # Tiny models learn little at a usual one, and weights that stay put hide what is lost.
        "learning_rate": 1e-3,
        # Nothing but the trial's own checkpoints, in a folder of its own.
        "resume": True,
        "resume_from": "",
        "run_dir": str(folder / "run"),
    }
    small, data = with_its_data(config.model_copy(update=settings))
    plan = plan_splits(data, meta_features=small.meta_features, folds=small.folds, seed=small.seed)
    model = BaseModel("tiny-a", str(tiny_model("tiny-a", small)))
    tokenizer = load_tokenizer(model)
    examples = tokenize_splits(model, tokenizer, data, small)
    hardware = Hardware.choose(small.precision, small.num_workers, deterministic=True)
    return Trial(model, tokenizer, training_data(data, plan, examples), small, hardware)


def _announce(trial: Trial, seed: int) -> None:
    config, hardware = trial.config, trial.hardware
    say(
        f"▶ A tiny model on {counted(len(trial.data.train), 'function')}, "
        f"{counted(config.epochs, 'epoch')}, batches of {config.batch_size}, accumulation "
        f"{config.accumulation_steps}, workers {config.num_workers}, {hardware.device.type}, "
        f"{hardware.precision}; seed of the interruptions: {seed}"
    )


class _Looks(StopRequest):
    """Never stops, and counts how often a run looks for a stop."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @property
    def requested(self) -> bool:
        self.count += 1
        return False


def _config_of(trial: Trial, name: str) -> RunConfig:
    folder = Path(trial.config.run_dir)
    places = {"run_dir": str(folder / name), "local_dir": str(folder / f"{name}-scratch")}
    return trial.config.model_copy(update=places)


def _train(trial: Trial, name: str, stop: StopRequest) -> None:
    config = _config_of(trial, name)
    job = TrainingJob(
        trial.model,
        trial.tokenizer,
        trial.data,
        config,
        trial.hardware,
        folder=Path(config.run_dir),
        log=lambda event, **details: None,
    )
    train_base_model(job, stops=lambda: contextlib.nullcontext(stop))


def _compare(
    trial: Trial, name: str, instants: list[int], elsewhere: bool, expected: dict[str, Any]
) -> None:
    """Interrupt a run at some instants, let it end, and hold it against the unbroken one."""
    places = []
    for instant in instants:
        try:
            with in_silence():
                _train(trial, name, StopAfter(instant))
        except Interrupted as stopped:
            place = re.search(r"epoch \d+, \d+ of \d+ batches", str(stopped))
            places.append(place[0] if place else "the very end")
        if elsewhere:
            shutil.rmtree(_config_of(trial, name).local_dir, ignore_errors=True)
    with in_silence():
        _train(trial, name, StopRequest())
        outcome = _outcome(trial, name)
    moved = " (then on another machine)" if elsewhere else ""
    where = "; ".join(places)
    difference = first_difference(expected, outcome)
    if difference is not None:
        raise CheckpointError(
            f"A run interrupted at {where}{moved} must end as the unbroken one; they differ in "
            f"{difference}. Please report this with your configuration."
        )
    say(f"   interrupted at {where}{moved}: identical")


def _outcome(trial: Trial, name: str) -> dict[str, Any]:
    """All that a run leaves, its saves and seconds aside, and what its best model predicts."""
    folder = Path(_config_of(trial, name).run_dir)
    state = state_file.read_state(folder / LAST)
    # Each interruption makes one more save and takes its time, which is no difference to the user.
    state["progress"] |= {"saves": None, "seconds": None}
    return {
        "weights": load_file(folder / LAST / WEIGHTS_FILE),
        "best model": load_file(folder / BEST / WEIGHTS_FILE),
        # The tokenizer's too, in which a call may leave its settings.
        "files of the best model": (read_manifest(folder / BEST) or {})["files"],
        "training state": state,
        "history": (folder / HISTORY).read_text().splitlines(),
        "predictions": _predictions(trial, folder / BEST),
    }


def _predictions(trial: Trial, best: Path) -> torch.Tensor:
    model = load_classifier(
        BaseModel("best", str(best)),
        trial.data.class_names,
        seed=trial.config.seed,
        problem_type=trial.data.task.problem_type,
    )
    probabilities = predict_probabilities(
        model.to(trial.hardware.device),
        trial.data.selection,
        # Loader processes change nothing here, and take seconds to start for so few functions.
        dataclasses.replace(trial.hardware, workers=0),
        batch_size=trial.config.batch_size,
        pad_token_id=trial.tokenizer.pad_token_id,
        title="Predicting",
        stop=StopRequest(),
    )
    return torch.from_numpy(probabilities)


def first_difference(left: Any, right: Any, place: str = "") -> str | None:
    """Where two nested values differ first, in words; None where they are equal to the last bit."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return _tensor_difference(left, right, place)
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return f"{place}: the keys {sorted(map(str, left.keys() ^ right.keys()))}"
        pairs = [(f"{place} {key}".strip(), left[key], right[key]) for key in left]
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return f"{place}: {len(left)} and {len(right)} entries"
        pairs = [(f"{place}[{n}]", *both) for n, both in enumerate(zip(left, right, strict=True))]
    else:
        # NaN equals itself here: the same bits are no difference.
        same = left == right or (left != left and right != right)
        return None if same else f"{place}: {left!r} and {right!r}"
    return next(filter(None, (first_difference(a, b, where) for where, a, b in pairs)), None)


def _tensor_difference(left: torch.Tensor, right: torch.Tensor, place: str) -> str | None:
    if (left.shape, left.dtype) != (right.shape, right.dtype):
        return f"{place}: {left.dtype} {list(left.shape)} and {right.dtype} {list(right.shape)}"
    differs = (left != right) & ~(left.isnan() & right.isnan())
    if not differs.any():
        return None
    first = tuple(int(axis) for axis in differs.nonzero()[0])
    return f"{place}{list(first)}: {left[first].item()!r} and {right[first].item()!r}"


@contextlib.contextmanager
def in_silence() -> Iterator[None]:
    """Leave the bars of a trial undrawn: a user reads the verdicts."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
