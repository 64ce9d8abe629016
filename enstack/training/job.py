"""One base model to fine-tune: what, on which functions, with which settings, and where."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enstack.config import FIXED_SETTINGS, RunConfig
from enstack.errors import CheckpointError
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import (
    BaseModel,
    architecture,
    tokenizer_digest,
    weights_fingerprint,
)
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.models.tokens import LabelledTokens
from enstack.progress.stopping import StopRequest

# Recorded only where they can be read: a hub may be out of reach.
READ_IF_POSSIBLE = ("architecture", "base_weights")
BEFORE_IT_WAS_A_SETTING = {"class_weights": "none"}
Log = Callable[..., None]  # takes an event and its details
EpochSaved = Callable[[Sequence[Mapping[str, Any]]], None]  # takes the history's records


@dataclass(frozen=True)
class TrainingData:
    """What one base model trains on and is selected on.

    folds_digest: of the run's folds, where it keeps what is alike together in them.
    """

    train: LabelledTokens
    selection: LabelledTokens
    task: LabelTask
    fingerprint: str
    folds_digest: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, or flags, of the task."""
        return self.task.class_names


@dataclass(frozen=True)
class TrainingJob:
    """One base model to fine-tune, and all that is settled before its training begins.

    folder: the base model's place in the run folder. log: takes an event and its details.
    old_runs: where checkpoints of the program before this one may lie, looked at when the folder
    holds none. epoch_saved: called with the history after each epoch, by the thread that writes
    run_dir.
    """

    base_model: BaseModel
    tokenizer: Any
    data: TrainingData
    config: RunConfig
    hardware: Hardware
    folder: Path
    log: Log
    old_runs: Path | None = None
    epoch_saved: EpochSaved | None = None

    # Both are worked out once, when a training begins: from then on run_dir is left to the
    # mirror's thread, and a Drive that hangs must not be asked where a link leads.
    @functools.cached_property
    def place(self) -> Path:
        """The folder, relative to the run folder."""
        return self.folder.resolve().relative_to(Path(self.config.run_dir).resolve())

    @property
    def title(self) -> str:
        """Its base model, and of a fold's training which fold that is."""
        of_fold = self.folder.parent.name == "folds"
        return (
            f"{self.base_model.name}, fold {self.folder.name}" if of_fold else self.base_model.name
        )

    @functools.cached_property
    def scratch(self) -> Path:
        """The base model's place on the scratch disk."""
        return self.config.scratch_dir / self.place

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be gone on from."""
        return identity(
            self.base_model,
            self.tokenizer,
            self.config,
            task=self.data.task,
            fingerprint=self.data.fingerprint,
            n_train=len(self.data.train),
            n_selection=len(self.data.selection),
            folds_digest=self.data.folds_digest,
        )

    def predict(
        self, model: Any, examples: LabelledTokens, title: str, stop: StopRequest
    ) -> np.ndarray:
        """Probabilities float32 (n_examples, n_classes) by a model on this job's device."""
        return predict_probabilities(
            model,
            examples,
            self.hardware,
            # Without gradients and optimizer there is room for twice as many.
            batch_size=2 * self.config.batch_size,
            pad_token_id=self.tokenizer.pad_token_id,
            title=title,
            stop=stop,
        )

    def with_train_rows(self, rows: np.ndarray, folder: Path) -> TrainingJob:
        """The same on some of the training rows, in a folder of its own, begun anew."""
        data = dataclasses.replace(self.data, train=self.data.train.take(rows))
        # No old checkpoint was trained on just these rows.
        return dataclasses.replace(self, data=data, folder=folder, old_runs=None, epoch_saved=None)


def identity(
    base_model: BaseModel,
    tokenizer: Any,
    config: RunConfig,
    *,
    task: LabelTask,
    fingerprint: str,
    n_train: int,
    n_selection: int,
    folds_digest: str | None,
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be gone on from; numbers are of functions."""
    made_of = {
        "architecture": architecture(base_model),
        "base_weights": weights_fingerprint(base_model),
    }
    return {
        "base_model": base_model.name,
        **{name: known for name, known in made_of.items() if known is not None},
        "data": fingerprint,
        # With another vocabulary the same ids would stand for other words.
        "tokenizer": tokenizer_digest(tokenizer),
        # In their order, which is that of the head's rows.
        "classes": list(task.class_names),
        "train_functions": n_train,
        "selection_functions": n_selection,
        # As many rows may be other rows. Runs without folds, or of folds by class alone, name none.
        **({} if folds_digest is None else {"folds_digest": folds_digest}),
        **{name: getattr(config, name) for name in FIXED_SETTINGS},
    }


def refuse_foreign_checkpoint(stored: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Raise where a checkpoint was made with other data or settings, naming them."""
    # Older checkpoints do not name what there was only one way of then.
    stored = {**BEFORE_IT_WAS_A_SETTING, **stored}
    # A checkpoint that was saved without them, or before they were recorded, still goes on.
    known = [name for name in wanted if name in stored or name not in READ_IF_POSSIBLE]
    changed = [name for name in known if stored.get(name) != wanted[name]]
    if changed:
        name = changed[0]
        made, advice = f"was made with {name}={stored.get(name)}", "Go back to that value, or name"
        if stored.get(name) is None:
            made, advice = f"does not say with which {name} it was made", "Name"
        raise CheckpointError(
            f"The checkpoint in {folder} {made}, this run has {name}={wanted[name]}. {advice} "
            "another run_dir."
        )
