"""BaseModelFolder: what a run folder keeps of one base model, and whether it is as written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enstack.errors import CheckpointError
from enstack.metrics.early_stopping import stale_epochs, stopped_early
from enstack.storage.arrays import read_arrays
from enstack.storage.files import sha256_file, sha256_json
from enstack.storage.json_text import parsed_json
from enstack.storage.manifest import folder_problems, read_manifest

SLOT = re.compile(r"last_checkpoint|previous_checkpoint(_([2-9]|[1-9][0-9]+))?|best_model")


@dataclass(frozen=True)
class StoredProbabilities:
    """What a base model said of the functions of a split, row by row.

    ids: (n,) unicode; probabilities: (n, k) float32; seen: (n,) bool, True where the base model was
    trained on the function or was selected on it.
    """

    ids: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class BaseModelFolder:
    """The place of one base model in a run folder."""

    path: Path

    @property
    def best_model(self) -> Path:
        """The weights of the best epoch, with tokenizer and configuration."""
        return self.path / "best_model"

    @property
    def history(self) -> Path:
        """A JSON line for each logged step and each epoch."""
        return self.path / "history.jsonl"

    @property
    def probabilities(self) -> Path:
        """What the best model says of each split."""
        return self.path / "probabilities"

    def checkpoints(self) -> list[Path]:
        """Every checkpoint and best model, those of folds too; none that was kept aside."""
        manifests = sorted(self.path.rglob("manifest.json"))
        return [path.parent for path in manifests if SLOT.fullmatch(path.parent.name)]

    def recorded(self, key: str) -> tuple[Any, Path] | None:
        """What it was made with, and the folder whose manifest says so; None where none does."""
        for folder in (self.probabilities, self.path / "last_checkpoint", self.best_model):
            made_from = (read_manifest(folder) or {}).get("made_from", {})
            if key in made_from:
                return made_from[key], folder
        return None

    def trained_with(self) -> dict[str, Any]:
        """Settings that shaped the training alone, as they were when it ended; empty if unknown."""
        # Trained on since, and stopped before it predicted: then the stored ones are older.
        if self.history_problem():
            return {}
        return dict((read_manifest(self.probabilities) or {}).get("settings", {}))

    def epochs(self) -> list[dict[str, Any]]:
        """The records of its epochs, in order; of one that was trained twice, the last.

        Empty where the history is not the one that its training wrote.
        """
        if self.history_problem():
            return []
        lines = map(parsed_json, self.history.read_text(encoding="utf-8").splitlines())
        latest = {line["epoch"]: line for line in lines if line["event"] == "epoch"}
        return [latest[number] for number in sorted(latest)]

    def stopped_early(self) -> str | None:
        """How its training ended before its last epoch; None where it did not, or none can tell."""
        asked = (read_manifest(self.probabilities) or {}).get("made_from", {})
        epochs = self.epochs()
        return stopped_early(
            epochs[-1]["epoch"] if epochs else None,
            stale_epochs([epoch["best"] for epoch in epochs]),
            asked.get("epochs"),
            asked.get("early_stopping_patience"),
        )

    def on_validation(self) -> tuple[float | None, str | None]:
        """The MCC of the epoch that was kept, and the answer that all functions got, if one."""
        kept: dict[str, Any] = next(
            (epoch for epoch in reversed(self.epochs()) if epoch["best"]), {}
        )
        return kept.get("val_mcc"), kept.get("only_answer")

    def history_digest(self) -> str:
        """Tells the history's bytes from others."""
        return sha256_file(self.history)

    def history_problem(self) -> str | None:
        """What keeps the history from being the one that its training wrote, or None."""
        if not self.history.is_file():
            return f"{self.history} is missing"
        wanted = (read_manifest(self.probabilities) or {}).get("history")
        if wanted is None:
            return self._history_fault()
        same = self.history_digest() == wanted
        return None if same else f"{self.history} has other content than its training wrote"

    def _history_fault(self) -> str | None:
        """Of a run that is older than the history's digest: whether it can be read at all."""
        try:
            lines = self.history.read_text(encoding="utf-8").splitlines()
            damaged = [line for line in lines if "event" not in parsed_json(line)]
        except (ValueError, TypeError):
            damaged = ["unreadable"]
        return f"{self.history} is damaged" if damaged else None

    def can_restore_history(self) -> bool:
        """Whether a checkpoint is left, whose training state holds the history."""
        return any(path.name != "best_model" for path in self.checkpoints())

    def best_model_problem(self, *, content: bool) -> str | None:
        """What keeps the best model from being the one that made the probabilities, or None.

        content: whether to read its files in full, and not only to look at their sizes.
        """
        problems = folder_problems(self.best_model, content=content)
        if problems:
            return problems[0]
        made_from = (read_manifest(self.probabilities) or {}).get("made_from", {})
        predicted_with = made_from.get("best_model", self.best_model_digest())
        return None if predicted_with == self.best_model_digest() else "it has changed since"

    def best_model_digest(self) -> str:
        """Tells the best model's files, as its manifest lists them, from others."""
        return _files_digest(self.best_model)

    def probabilities_digest(self) -> str:
        """Tells the stored probabilities, as their manifest lists them, from others."""
        return _files_digest(self.probabilities)

    def n_truncated(self) -> dict[str, int]:
        """Functions of each split that were too long for the base model."""
        return dict((read_manifest(self.probabilities) or {})["truncated"])

    def read_probabilities(self, split: str, ids: np.ndarray) -> StoredProbabilities:
        """The probabilities of a split, whose functions (n,) must be these in this order."""
        path = self.probabilities / f"{split}.npz"
        try:
            stored = StoredProbabilities(**read_arrays(path, ("ids", "probabilities", "seen")))
            if not np.array_equal(stored.ids, ids):
                raise ValueError("its ids differ")
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} must hold the functions of the {split} split in their order; {error}. "
                "Delete the folder it lies in and run again: it is made anew."
            ) from error
        return stored


def _files_digest(folder: Path) -> str:
    # The manifest's hashes stand for the files: a gigabyte is not read for it.
    return sha256_json((read_manifest(folder) or {}).get("files"))
