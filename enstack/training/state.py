"""One base model in training: how far it has come, and all that a checkpoint must bring back."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from enstack.batches import ORDER, EpochBatches, Segment, rest_of_epoch
from enstack.checkpoints.old_checkpoints import OldCheckpoint
from enstack.errors import CheckpointError
from enstack.metrics.early_stopping import is_tired
from enstack.models.flops import shape_of
from enstack.progress.data_wait import DataWait
from enstack.training.computed import Computed
from enstack.training.divergence import FirstBad
from enstack.training.job import TrainingJob
from enstack.training.loss import LossSum, TaskLoss
from enstack.training.optimizer import ScheduledOptimizer, learning_rates
from enstack.training.random_state import random_state, restore_random_state


@dataclass
class Progress:
    """How far training has come: completed work only, never what a loader has read ahead."""

    epoch: int = 1  # the one in work, from 1
    segments: list[Segment] = field(default_factory=list)  # a batch size may change inside an epoch
    saves: int = 0  # numbers checkpoints: the newest is told without a clock
    best_epoch: int = 0
    best_macro_f1: float = -1.0  # below any: the first epoch is the best so far
    best_accuracy: float = 0.0
    stale_epochs: int = 0
    seconds: float | None = 0.0  # of training up to here, what was done twice once; None: unknown
    # Kept here, so that lines of work that is lost in a kill go with it.
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
        # Older checkpoints do not tell what their training took.
        return cls(
            **{"seconds": None, **state, "segments": [Segment(*pair) for pair in state["segments"]]}
        )


class TrainingState:
    """One base model in training: all that a checkpoint has to bring back."""

    def __init__(self, job: TrainingJob, model: torch.nn.Module) -> None:
        self.job, self.config, self.hardware = job, job.config, job.hardware
        self.device = job.hardware.device
        # Read now: the first save would read the base model's files while the loop waits.
        self.identity = job.identity
        self.model, self.progress = model.to(self.device), Progress()
        self.loss = TaskLoss.of(job.data, job.config, self.device)
        # Since the epoch began, and since the last logged step.
        self.epoch_loss, self.window_loss = LossSum(self.device), LossSum(self.device)
        self.first_bad = FirstBad(self.device)
        self.advised_on_waiting = False
        self.began_with: str | None = None  # digest of the checkpoint that it went on from
        self.computed = Computed(shape_of(model.config))
        self.waits: list[DataWait] = []  # of the epochs in this session
        self._began_at = self._counted_at = time.perf_counter()

    def session_seconds(self) -> float:
        """Seconds of this session's training so far."""
        return time.perf_counter() - self._began_at

    def position(self) -> dict[str, int]:
        """Where a checkpoint stands that were saved now; step 0: the epoch is complete."""
        done = self.progress.batches_done
        return {
            # In the old program's terms, where step 0 stands for a complete epoch.
            "epoch": self.progress.epoch if done else self.progress.epoch - 1,
            "step": done,
            "total_batches": self.total_batches(),
        }

    def epoch_part(self) -> float:
        """The share of its functions that the epoch in work has trained, 0 to 1."""
        done = sum(segment.batch_size * segment.batches for segment in self.progress.segments)
        return min(1.0, done / max(1, len(self.job.data.train)))

    def count_time(self) -> None:
        """Add to the progress the seconds since it was last done, or since this was made."""
        now = time.perf_counter()
        if self.progress.seconds is not None:
            self.progress.seconds += now - self._counted_at
        self._counted_at = now

    def plan(self, attempted_steps: int) -> None:
        """Make the optimizer with a schedule that ends when the last epoch does."""
        config, step = self.config, self.config.accumulation_steps
        # Rounded up: the last group of an epoch may be short, and steps too.
        this_epoch = math.ceil(len(self.rest_of_epoch()[1]) / step)
        whole_epoch = math.ceil(math.ceil(len(self.job.data.train) / config.batch_size) / step)
        left = this_epoch + max(0, config.epochs - self.progress.epoch) * whole_epoch
        # Counted from the steps made, for they may have been made with another batch size.
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
            precision=self.hardware.precision,
        )

    def rest_of_epoch(self) -> tuple[np.ndarray, EpochBatches]:
        """Rows of the training split, and the order over them, that the epoch in work has left."""
        return rest_of_epoch(
            self.job.data.train.lengths,
            self.progress.segments,
            self.config.batch_size,
            seed=self.config.seed,
            epoch=self.progress.epoch,
        )

    def start_epoch(self) -> None:
        """Count the epoch in work as complete, and turn to the next."""
        self.progress.epoch, self.progress.segments = self.progress.epoch + 1, []
        self.epoch_loss.clear()
        self.window_loss.clear()

    def total_batches(self) -> int:
        """Batches of the epoch in work: those finished, at their size, and those to come."""
        return self.progress.batches_done + len(self.rest_of_epoch()[1])

    def finished(self) -> bool:
        """Whether no epoch is left, or none has helped for too long."""
        tired = is_tired(self.progress.stale_epochs, self.config.early_stopping_patience)
        return self.progress.epoch > self.config.epochs or tired

    def state_dict(self) -> dict[str, Any]:
        """The training state: the documented keys, and beside them what exact resume needs.

        `step` counts the finished batches of `epoch`; 0 means that the epoch is complete.
        """
        progress = self.progress
        return {
            **self.position(),
            "best_val_f1": progress.best_macro_f1,
            "best_val_acc": progress.best_accuracy,
            **self.optimizer.state_dict(),
            # For `inspect` alone: whether training is finished.
            "epochs": self.config.epochs,
            "early_stopping_patience": self.config.early_stopping_patience,
            # For the line that says what lays the schedule out anew.
            "batch_size": self.config.batch_size,
            "accumulation_steps": self.config.accumulation_steps,
            "identity": self.identity,
            # For the line that says what another machine carries on.
            "trained_on": self.job.hardware.described(),
            "order": ORDER,
            # For whoever goes on: dropout draws otherwise in another number of them.
            "processes": self.hardware.group.size,
            "progress": progress.state_dict(),
            "random": random_state(),
            "losses": {
                "epoch": self.epoch_loss.total.cpu(),
                "window": self.window_loss.total.cpu(),
                "epoch_weight": self.epoch_loss.weight,
                "window_weight": self.window_loss.weight,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a training state, bit for bit; KeyError for one of another shape."""
        # In another order some functions of this epoch would come twice and others never.
        if state["order"] != ORDER:
            raise KeyError(f"order {state['order']}, here it is {ORDER}")
        self.progress = Progress.from_state_dict(state["progress"])
        # After the progress, which says how many steps are to come.
        self.plan(int(state["attempted_steps"]))
        self.optimizer.load_state_dict(state)
        self._load_losses(state["losses"])
        # Last: nothing may draw between here and the next batch.
        restore_random_state(state["random"])

    def _load_losses(self, losses: dict[str, Any]) -> None:
        for name, loss in (("epoch", self.epoch_loss), ("window", self.window_loss)):
            if f"{name}_weight" in losses:
                loss.load(losses[name], float(losses[f"{name}_weight"]))
                continue
            # Stored as a sum of batches' means: each counts as many functions as a batch has here.
            segments = self.progress.segments
            functions = sum(segment.batch_size * segment.batches for segment in segments)
            size = functions / max(1, self.progress.batches_done)
            loss.load(losses[name] * size, int(losses[f"{name}_batches"]) * size)

    def load_old_checkpoint(self, old: OldCheckpoint) -> None:
        """Go on from a checkpoint of the program before; its random state and order are lost."""
        self._require_shapes(old)
        n_functions = len(self.job.data.train)
        # Its own size, so that as many functions count as done as it has trained.
        batch_size = old.batch_size(n_functions, self.config.batch_size)
        # A complete epoch is entered at its end: it has yet to be validated, and may be the best.
        done = math.ceil(n_functions / batch_size) if old.complete else old.step
        segments = [Segment(batch_size, done)]
        self.progress = Progress(epoch=old.epoch, segments=segments, seconds=None)
        self.plan(old.attempted_steps())
        # Without its schedule, which follows from the steps: one that had run ahead is put right.
        self.optimizer.load_state_dict(
            {
                "optimizer_state_dict": old.optimizer,
                "scaler_state_dict": old.scaler,
                "attempted_steps": old.attempted_steps(),
            }
        )

    def _require_shapes(self, old: OldCheckpoint) -> None:
        """AdamW's moments must be those of this model's parameters, in their order."""
        # torch itself compares only how many there are.
        wanted = [tuple(parameter.shape) for parameter in self.model.parameters()]
        stored = {place: slot.get("exp_avg") for place, slot in old.optimizer["state"].items()}
        fits = all(
            place in range(len(wanted)) and tuple(getattr(moment, "shape", ())) == wanted[place]
            for place, moment in stored.items()
        )
        if not fits or len(old.optimizer["param_groups"]) != 1:
            raise CheckpointError(
                f"The optimizer state in {old.folder} belongs to another model than "
                f"{self.job.base_model.name}. Name the base model it was made with."
            )
