"""One base model in training: how far it has come, and all that a checkpoint must bring back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enstack.batches import ORDER, EpochBatches, Segment, rest_of_epoch
from enstack.checkpoints.old_checkpoints import OldCheckpoint
from enstack.config import FIXED_SETTINGS, RunConfig
from enstack.errors import CheckpointError
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import (
    BaseModel,
    architecture,
    tokenizer_digest,
    weights_fingerprint,
)
from enstack.models.hardware import choose_device, choose_precision
from enstack.models.loader import worker_count
from enstack.models.tokens import LabelledTokens
from enstack.training.optimizer import ScheduledOptimizer, learning_rates
from enstack.training.random_state import random_state, restore_random_state

SEEN_FILE = "seen_ids.npz"
# Recorded only where they can be read: a hub may be out of reach.
READ_IF_POSSIBLE = ("architecture", "base_weights")
Log = Callable[..., None]  # takes an event and its details


@dataclass(frozen=True)
class TrainingData:
    """What one base model trains on and is selected on."""

    train: LabelledTokens
    selection: LabelledTokens
    task: LabelTask
    fingerprint: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, or flags, of the task."""
        return self.task.class_names


@dataclass
class Progress:
    """How far training has come: completed work only, never what a loader has read ahead."""

    epoch: int = 1
    segments: list[Segment] = field(default_factory=list)
    saves: int = 0
    best_epoch: int = 0
    best_macro_f1: float = -1.0
    best_accuracy: float = 0.0
    stale_epochs: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def batches_done(self) -> int:
        """Finished batches of the epoch in work."""
        return sum(segment.batches for segment in self.segments)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists."""
        return {**vars(self), "segments": [list(segment) for segment in self.segments]}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Progress:
        """What `state_dict` gave."""
        return cls(**{**state, "segments": [Segment(*pair) for pair in state["segments"]]})


class TrainingState:
    """One base model in training: all that a checkpoint has to bring back.

    folder, scratch: its places in the run folder and on the scratch disk.
    """

    def __init__(
        self,
        folder: Path,
        scratch: Path,
        model: torch.nn.Module,
        tokenizer: Any,
        data: TrainingData,
        config: RunConfig,
        progress: Progress,
        identity: dict[str, Any],
    ) -> None:
        self.folder, self.scratch = folder, scratch
        self.tokenizer, self.data, self.config = tokenizer, data, config
        self.device = choose_device()
        self.precision = choose_precision(config.precision, self.device)
        self.workers = worker_count(config.num_workers, self.device)
        self.model, self.progress, self.identity = model.to(self.device), progress, identity
        # float64 sums of the losses since the epoch began and since the last logged step.
        self.epoch_loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self.window_loss = torch.zeros_like(self.epoch_loss)
        self.epoch_batches = self.window_batches = 0
        self.advised_on_waiting = False

    def plan(self, attempted_steps: int) -> None:
        """Make the optimizer with a schedule that ends when the last epoch does."""
        config, step = self.config, self.config.accumulation_steps
        this_epoch = math.ceil(len(self.rest_of_epoch()[1]) / step)
        whole_epoch = math.ceil(math.ceil(len(self.data.train) / config.batch_size) / step)
        left = this_epoch + max(0, config.epochs - self.progress.epoch) * whole_epoch
        rates = learning_rates(
            attempted_steps + left,
            peak=config.learning_rate,
            warmup_ratio=config.warmup_ratio,
            scheduler=config.scheduler,
        )
        self.optimizer = ScheduledOptimizer(
            self.model,
            rates,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            precision=self.precision,
        )

    def rest_of_epoch(self) -> tuple[np.ndarray, EpochBatches]:
        """Rows of the training split, and the order over them, that the epoch in work has left."""
        return rest_of_epoch(
            self.data.train.lengths,
            self.progress.segments,
            self.config.batch_size,
            seed=self.config.seed,
            epoch=self.progress.epoch,
        )

    def start_epoch(self) -> None:
        """Count the epoch in work as complete, and turn to the next."""
        self.progress.epoch, self.progress.segments = self.progress.epoch + 1, []
        self.epoch_loss.zero_()
        self.window_loss.zero_()
        self.epoch_batches = self.window_batches = 0

    def total_batches(self) -> int:
        """Batches of the epoch in work: those finished, at their size, and those to come."""
        return self.progress.batches_done + len(self.rest_of_epoch()[1])

    def finished(self) -> bool:
        """Whether no epoch is left, or none has helped for too long."""
        patience, progress = self.config.early_stopping_patience, self.progress
        tired = bool(patience) and progress.stale_epochs >= patience
        return progress.epoch > self.config.epochs or tired

    def state_dict(self) -> dict[str, Any]:
        """The training state: the documented keys, and beside them what exact resume needs.

        `step` counts the finished batches of `epoch`; 0 means that the epoch is complete.
        """
        progress = self.progress
        inside = progress.batches_done > 0
        return {
            "epoch": progress.epoch if inside else progress.epoch - 1,
            "step": progress.batches_done,
            "total_batches": self.total_batches(),
            "best_val_f1": progress.best_macro_f1,
            "best_val_acc": progress.best_accuracy,
            **self.optimizer.state_dict(),
            "epochs": self.config.epochs,
            "identity": self.identity,
            "order": ORDER,
            "progress": progress.state_dict(),
            "random": random_state(),
            "losses": {
                "epoch": self.epoch_loss.cpu(),
                "window": self.window_loss.cpu(),
                "epoch_batches": self.epoch_batches,
                "window_batches": self.window_batches,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a training state, bit for bit; KeyError for one of another shape."""
        if state["order"] != ORDER:
            raise KeyError(f"order {state['order']}, here it is {ORDER}")
        self.progress = Progress.from_state_dict(state["progress"])
        self.plan(int(state["attempted_steps"]))
        self.optimizer.load_state_dict(state)
        self.epoch_loss = state["losses"]["epoch"].to(self.device)
        self.window_loss = state["losses"]["window"].to(self.device)
        self.epoch_batches = int(state["losses"]["epoch_batches"])
        self.window_batches = int(state["losses"]["window_batches"])
        restore_random_state(state["random"])

    def load_old_checkpoint(self, old: OldCheckpoint) -> None:
        """Go on from a checkpoint of the program before; its random state and order are lost."""
        self._require_shapes(old)
        n_functions = len(self.data.train)
        batch_size = old.batch_size(n_functions, self.config.batch_size)
        # A complete epoch is entered at its end: it has yet to be validated, and may be the best.
        done = math.ceil(n_functions / batch_size) if old.complete else old.step
        self.progress = Progress(epoch=old.epoch, segments=[Segment(batch_size, done)])
        self.plan(old.attempted_steps())
        self.optimizer.load_state_dict(
            {
                "optimizer_state_dict": old.optimizer,
                "scaler_state_dict": old.scaler,
                "attempted_steps": old.attempted_steps(),
            }
        )

    def _require_shapes(self, old: OldCheckpoint) -> None:
        """AdamW's moments must be those of this model's parameters, in their order."""
        wanted = [tuple(parameter.shape) for parameter in self.model.parameters()]
        stored = {place: slot.get("exp_avg") for place, slot in old.optimizer["state"].items()}
        fits = all(
            place in range(len(wanted)) and tuple(getattr(moment, "shape", ())) == wanted[place]
            for place, moment in stored.items()
        )
        if not fits or len(old.optimizer["param_groups"]) != 1:
            raise CheckpointError(
                f"The optimizer state in {old.folder} belongs to another model than "
                f"{self.identity['base_model']}. Name the base model it was made with."
            )


def identity_of(
    base_model: BaseModel, tokenizer: Any, data: TrainingData, config: RunConfig
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be gone on from."""
    settings = {name: getattr(config, name) for name in FIXED_SETTINGS}
    made_of = {
        "architecture": architecture(base_model),
        "base_weights": weights_fingerprint(base_model),
    }
    return {
        "base_model": base_model.name,
        **{name: fact for name, fact in made_of.items() if fact is not None},
        "data": data.fingerprint,
        "tokenizer": tokenizer_digest(tokenizer),
        "classes": list(data.class_names),
        "train_functions": len(data.train),
        "selection_functions": len(data.selection),
        **settings,
    }


def refuse_foreign_checkpoint(stored: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Raise where a checkpoint was made with other data or settings, naming them."""
    known = [name for name in wanted if name in stored or name not in READ_IF_POSSIBLE]
    changed = [name for name in known if stored.get(name) != wanted[name]]
    if changed:
        name = changed[0]
        raise CheckpointError(
            f"The checkpoint in {folder} was made with {name}={stored.get(name)}, this run has "
            f"{name}={wanted[name]}. Go back to that value, or name another run_dir."
        )
