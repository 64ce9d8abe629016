"""Several processes held against one: gradients, losses and predictions, on a user's machine."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from enstack.config import RunConfig
from enstack.counting import counted
from enstack.errors import CheckpointError, ConfigError
from enstack.models.base_models import BaseModel
from enstack.models.hardware import Hardware
from enstack.models.loader import make_loader
from enstack.progress.say import say
from enstack.progress.stopping import StopRequest
from enstack.several_processes import in_processes
from enstack.storage.json_text import json_text, parsed_json
from enstack.training.follower import share_training
from enstack.training.job import TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.state import TrainingState
from enstack.training.step import Step, in_steps, train_batch
from enstack.verify_resume import in_silence, prepare_trial

__all__ = ["verify_parallel"]

# Of a gradient: numbers of float32 that nearly cancel each other are added in another order.
NORM, DISTANCE = 1e-6, 1e-5
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
SETTINGS, FOUND = "settings.json", "found.safetensors"


def verify_parallel(config: RunConfig, processes: int | None = None) -> None:
    """Train an epoch in one process and in several; a CheckpointError tells what differs.

    The settings are those of the configuration, in fp32; the model is tiny and without dropout, the
    data a few functions, and the weights stand still, so that each step's gradient is compared.
    processes: as many as GPUs, and two at least, if left out. Where GPUs are fewer, CPUs train.
    """
    gpus = torch.cuda.device_count()
    size = max(2, gpus) if processes is None else processes
    if not 2 <= size <= config.batch_size:
        raise ConfigError(
            f"processes must be 2 to batch_size={config.batch_size}, found {size}. Name another."
        )
    where = "a GPU each" if size <= gpus else "on the CPU"
    say(f"▶ A tiny model in 1 process and in {size}, {where}, batches of {config.batch_size}")
    with tempfile.TemporaryDirectory(prefix="enstack-verify-") as name:
        one, many = (
            _found_by(number, Path(name) / str(number), config, hide_gpus=size > gpus)
            for number in (1, size)
        )
    for line in compared(one, many):
        say(f"   {line}")
    say(f"✅ the same: gradients, losses and predictions of 1 and of {size} processes")


def compared(one: dict[str, torch.Tensor], many: dict[str, torch.Tensor]) -> list[str]:
    """How near what several processes have found is to what one has, in a line each.

    gradients: (steps, parameters); losses: (batches,); predictions: (n, k). CheckpointError where
    it is too far.
    """
    ours, theirs = many["gradients"].double(), one["gradients"].double()
    norms = (ours.norm(dim=1) / theirs.norm(dim=1) - 1).abs().max()
    distance = ((ours - theirs).norm(dim=1) / theirs.norm(dim=1)).max()
    losses = (many["losses"] / one["losses"] - 1).abs().max()
    predictions = (many["predictions"] - one["predictions"]).abs().max()
    gaps = {
        "the norm of a gradient": (norms, NORM),
        "a gradient, of its norm": (distance, DISTANCE),
        "the loss of a batch": (losses, NORM),
        "a probability": (predictions, NORM),
    }
    for what, (gap, limit) in gaps.items():
        if not float(gap) <= limit:
            raise CheckpointError(
                f"Several processes must find what one finds; {what} differs by {float(gap):.1e}, "
                f"more than {limit:.0e}. Please report this with your configuration."
            )
    steps = counted(len(ours), "step")
    return [
        f"gradients of {steps}: norms within {float(norms):.1e}, distance {float(distance):.1e}",
        f"losses of {counted(len(many['losses']), 'batch')}: within {float(losses):.1e}",
        f"predictions of {counted(len(ours_said := many['predictions']), 'function')}: "
        + ("identical" if torch.equal(ours_said, one["predictions"]) else f"{predictions:.1e}"),
    ]


def _found_by(
    size: int, folder: Path, config: RunConfig, *, hide_gpus: bool
) -> dict[str, torch.Tensor]:
    """What so many processes find, which are started, and end, for that alone."""
    folder.mkdir()
    (folder / SETTINGS).write_text(json_text(config.model_dump(mode="json")))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    command = [sys.executable, *launcher, "-m", "enstack.verify_parallel", str(folder)]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if hide_gpus else {}
    done = subprocess.run(
        command, env={**os.environ, **hidden}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CheckpointError(
            f"{counted(size, 'process', 'processes')} must train here; torchrun ended with status "
            f"{done.returncode}.\n{done.stderr.strip()[-2000:]}"
        )
    found: dict[str, torch.Tensor] = load_file(folder / FOUND)
    return found


def _measure(folder: Path) -> None:
    """In the first process: train an epoch, predict, and write down what was found."""
    config = RunConfig(**parsed_json((folder / SETTINGS).read_bytes()))
    job = _job(config, folder)
    training = start_or_resume(job)
    gradients = _watched(training)
    share_training(training)
    losses = list(_trained(training))
    predictions = job.predict(training.model, job.data.selection, "Predicting", StopRequest())
    found = {
        "gradients": torch.stack(gradients),
        "losses": torch.stack(losses),
        "predictions": torch.from_numpy(predictions),
    }
    save_file(found, folder / FOUND)


def _job(config: RunConfig, folder: Path) -> TrainingJob:
    config = config.model_copy(update={"precision": "fp32", "num_workers": 0})
    trial = prepare_trial(config, folder)
    model = folder / "model"
    shutil.copytree(trial.model.location, model)
    settings = parsed_json((model / "config.json").read_bytes())
    settings.update(dict.fromkeys(DROPOUTS, 0.0))
    (model / "config.json").write_text(json_text(settings))
    # So small a rate leaves weights in float32 as they are.
    still = trial.config.model_copy(update={"learning_rate": 1e-30, "weight_decay": 0.0})
    return TrainingJob(
        BaseModel("tiny-a", str(model)),
        trial.tokenizer,
        trial.data,
        still,
        Hardware.choose("fp32", 0),
        Path(still.run_dir),
        log=lambda event, **details: None,
    )


def _watched(training: TrainingState) -> list[torch.Tensor]:
    """A list that grows by the gradient, as one vector on the CPU, of each step."""
    gradients: list[torch.Tensor] = []
    optimizer = training.optimizer
    step = optimizer.step

    @functools.wraps(step)
    def noted() -> torch.Tensor:
        having = [one.grad.flatten().cpu() for one in optimizer.parameters if one.grad is not None]
        gradients.append(torch.cat(having))
        return step()

    optimizer.step = noted  # type: ignore[method-assign] # of this one optimizer
    return gradients


def _trained(training: TrainingState) -> Any:
    """The mean loss () of each batch of the first epoch, as it is trained."""
    rows, order = training.rest_of_epoch()
    loader = make_loader(
        training.job.data.train.take(rows),
        order,
        pad_token_id=training.job.tokenizer.pad_token_id,
        hardware=training.hardware,
    )
    training.model.train()
    for batches in in_steps(loader, training.config.accumulation_steps):
        step = Step.of(batches, training)
        for batch in batches:
            training.window_loss.clear()
            train_batch(training, batch, step)
            yield torch.tensor(training.window_loss.mean())


if __name__ == "__main__":
    with in_processes(), in_silence():
        _measure(Path(sys.argv[1]))
