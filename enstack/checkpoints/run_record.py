"""What a run's own record tells an inspection: its base models, and the one in training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from enstack.checkpoints.inspection_text import Verdict
from enstack.config import base_model_names
from enstack.storage.files import read_json_object
from enstack.storage.manifest import read_manifest


def in_training(path: Path, chosen: list[Verdict]) -> Verdict:
    """The verdict on the base model that a run would go on with: its first that is unfinished.

    Without a record of a run, or where all are finished, on the one that has come least far.
    """
    epochs = recorded(path).get("epochs")
    by_name = {one.base_model: one for one in chosen}
    if isinstance(epochs, int):
        for one in (by_name[name] for name in recorded_models(path) if name in by_name):
            # More epochs may be asked for than when it was saved.
            if (one.position.resume_epoch or 1) <= epochs and not _predicted(path, one, epochs):
                at = dataclasses.replace(one.position, epochs=epochs)
                return dataclasses.replace(one, position=at)
    return min(chosen, key=resume_place)


def recorded(path: Path) -> dict[str, Any]:
    """The settings of a run, where the path is a run folder."""
    config = path / "config.json"
    return read_json_object(config) if config.is_file() else {}


def recorded_models(path: Path) -> list[str]:
    """The base models of a run in their order, by the names they go by."""
    asked = recorded(path).get("base_models")
    return base_model_names(asked) if isinstance(asked, list) else []


def _predicted(path: Path, verdict: Verdict, epochs: int) -> bool:
    """Whether a base model is finished for so many epochs, such as one that stopped early."""
    folder = path / "base_models" / str(verdict.base_model) / "probabilities"
    return ((read_manifest(folder) or {}).get("made_from") or {}).get("epochs") == epochs


def resume_place(verdict: Verdict) -> tuple[int, int]:
    """Epoch and batch to go on at, for comparing; what can't be gone on from comes first."""
    return verdict.position.resume_epoch or 0, verdict.position.resume_step or 0
