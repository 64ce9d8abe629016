"""BaseModelFolder: what a run folder keeps of one base model, and whether it is as written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enstack.errors import CheckpointError
from enstack.metrics.early_stopping import stale_epochs, stopped_early
from enstack.storage.arrays import read_arrays
from enstack.storage.files import sha256_file, sha256_json
from enstack.storage.json_text import json_text, parsed_json
from enstack.storage.links import is_folder
from enstack.storage.manifest import folder_problems, read_manifest

SLOT = re.compile(r"last_checkpoint|previous_checkpoint(_([2-9]|[1-9][0-9]+))?|best_model")


@dataclass(frozen=True)
class StoredProbabilities:
    """What a base model said of the functions of a split, row by row.

    ids: (n,) unicode; probabilities: (n, k) float32; seen: (n,) bool, True where the base model was
    trained on the function or was selected on it; made_from: digests of data, weights, tokenizer,
    configuration and of all ids that were seen, empty in files that are older than these.
    """

    ids: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray
    made_from: dict[str, Any] = field(default_factory=dict)


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

    @property
    def predicted(self) -> Path:
        """Predictions that wait for the others of this base model, by split; gone in the end."""
        return self.path / "predicted"

    @property
    def folds(self) -> list[BaseModelFolder]:
        """Of out-of-fold features, the models that each left one fold out, in their order."""
        numbered = [path for path in self.path.glob("folds/*") if path.name.isdecimal()]
        return [BaseModelFolder(path) for path in sorted(numbered, key=lambda one: int(one.name))]

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
        if is_folder(self.history):
            return f"{self.history} is a folder, move it away"
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

    def truncated_by_class(self) -> dict[str, dict[str, int]]:
        """The same by split and class; empty where the run did not record it."""
        return dict((read_manifest(self.probabilities) or {}).get("truncated_by_class", {}))

    def cost(self) -> dict[str, float | None]:
        """Seconds of training, of the folds' training, of predicting 1,000; empty if not known."""
        return dict((read_manifest(self.probabilities) or {}).get("cost", {}))

    def read_probabilities(self, split: str, ids: np.ndarray) -> StoredProbabilities:
        """The probabilities of a split, whose functions (n,) must be these in this order."""
        arrays = self._read(split, ("ids", "probabilities", "seen", "made_from"))
        origin = _origin(arrays.pop("made_from"))
        stored = StoredProbabilities(**arrays, made_from=origin)
        if not np.array_equal(stored.ids, ids):
            raise self._unusable(split, "its ids differ")
        return stored

    def read_origin(self, split: str) -> dict[str, Any]:
        """The digests of what the probabilities of a split were made from; none of them is read."""
        return _origin(self._read(split, ("made_from",))["made_from"])

    def _read(self, split: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            return read_arrays(self.probabilities / f"{split}.npz", names)
        except (OSError, ValueError) as error:
            raise self._unusable(split, error) from error

    def _unusable(self, split: str, reason: object) -> CheckpointError:
        return CheckpointError(
            f"{self.probabilities / split}.npz must hold the functions of the {split} split in "
            f"their order; {reason}. Move {self.probabilities} elsewhere and run again: those of a "
            "base model are made anew, those of an added model are added by --add again."
        )


def save_probabilities(
    path: Path,
    ids: np.ndarray,
    probabilities: np.ndarray,
    seen: np.ndarray,
    made_from: dict[str, Any],
) -> None:
    """Write ids (n,), probabilities float32 (n, n_classes), seen bool (n,), and their origin.

    seen: whether the model was trained or selected on the row; made_from: digests of weights,
    data, tokenizer and configuration, as JSON.
    """
    origin = np.array(json_text(made_from))
    np.savez(path, ids=ids, probabilities=probabilities, seen=seen, made_from=origin)


def _origin(stored: np.ndarray) -> dict[str, Any]:
    """What a file says of its origin; one digest of all inputs, as older files have it, is none."""
    text = str(stored)
    return dict(parsed_json(text)) if text.startswith("{") else {}


def configuration_digest(made_from: dict[str, Any]) -> str:
    """Tells data and settings from others; made_from: as the manifest of probabilities has it."""
    return sha256_json({key: value for key, value in made_from.items() if key != "best_model"})


def _files_digest(folder: Path) -> str:
    # The manifest's hashes stand for the files: a gigabyte is not read for it.
    return sha256_json((read_manifest(folder) or {}).get("files"))
