"""What a run's own record tells an inspection: its base models, and how each of them stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enstack.base_model_folder import BaseModelFolder
from enstack.checkpoints.inspection_text import Verdict, is_trained
from enstack.checkpoints.slots import LAST
from enstack.config import base_model_names
from enstack.storage.files import read_json_object
from enstack.storage.json_text import parsed_json
from enstack.storage.manifest import read_manifest

# After one of these a divergence before it is over.
PROGRESS = ("saved", "epoch_finished", "base_model_finished", "run_finished")


def in_training(path: Path, chosen: list[Verdict]) -> Verdict:
    """The verdict on the base model that a run would go on with: its first that is unfinished.

    Without a record of a run, or where all are finished, on the one that has come least far.
    """
    by_name = {one.base_model: one for one in chosen}
    listed = [by_name[name] for name in recorded_models(path) if name in by_name]
    unfinished = next((one for one in listed if not one.done), None)
    one = unfinished or min(chosen, key=lambda one: (one.done, *resume_place(one)))
    # A run is stopped by a divergence: it is of the one that it was training.
    return one if one.done else dataclasses.replace(one, diverged=diverged(path))


def in_its_run(path: Path, verdict: Verdict) -> Verdict:
    """The verdict on a base model with what the run folder it lies in says: asked for, finished."""
    settings, at = recorded(path), verdict.position
    # More epochs may be asked for than when it was saved.
    at = dataclasses.replace(
        at,
        epochs=_number(settings, "epochs", at.epochs),
        patience=_number(settings, "early_stopping_patience", at.patience),
    )
    finished = at.epochs is not None and _predicted(path, str(verdict.base_model), at.epochs)
    folder = BaseModelFolder(path / "base_models" / str(verdict.base_model))
    stopped = folder.stopped_early() if finished else None
    verdict = dataclasses.replace(verdict, position=at, finished=finished, stopped=stopped)
    return dataclasses.replace(verdict, notes=[*verdict.notes, *_lost_checkpoints(verdict)])


def without_checkpoint(path: Path, name: str) -> Verdict:
    """The verdict on a base model of a run of which no checkpoint and no best model is there."""
    folder, epochs = path / "base_models" / name, _number(recorded(path), "epochs", None)
    finished = epochs is not None and _predicted(path, name, epochs)
    note = "its results stand, but neither checkpoint nor best model" if finished else "not begun"
    note += " is left" if finished else ""
    return Verdict(folder, None, notes=[note], base_model=name, finished=finished)


def diverged(path: Path) -> str | None:
    """What a run said when its training diverged; None where none did, or it has gone on since."""
    told = None
    for event in _events(path / "events.jsonl"):
        if event.get("event") == "run_stopped" and event.get("reason") == "DivergenceError":
            told = str(event.get("message"))
        elif event.get("event") in PROGRESS:
            told = None
    return told


def recorded(path: Path) -> dict[str, Any]:
    """The settings of a run, where the path is a run folder."""
    config = path / "config.json"
    return read_json_object(config) if config.is_file() else {}


def recorded_models(path: Path) -> list[str]:
    """The base models of a run in their order, by the names they go by."""
    asked = recorded(path).get("base_models")
    return base_model_names(asked) if isinstance(asked, list) else []


def resume_place(verdict: Verdict) -> tuple[int, int]:
    """Epoch and batch to go on at, for comparing; what can't be gone on from comes first."""
    return verdict.position.resume_epoch or 0, verdict.position.resume_step or 0


def _number(settings: dict[str, Any], key: str, otherwise: int | None) -> int | None:
    value = settings.get(key)
    return value if isinstance(value, int) else otherwise


def _predicted(path: Path, name: str, epochs: int) -> bool:
    """Whether a base model is finished for so many epochs, such as one that stopped early."""
    folder = path / "base_models" / name / "probabilities"
    return ((read_manifest(folder) or {}).get("made_from") or {}).get("epochs") == epochs


def _lost_checkpoints(verdict: Verdict) -> Iterator[str]:
    """Where results stand: that more epochs would begin further back, or can't begin at all."""
    name = verdict.path.name
    if not verdict.finished or verdict.layout != "enstack" or name == LAST:
        return
    if not is_trained(name) or verdict.position.resume_epoch is None:
        yield (
            "no checkpoint is left that training could go on from: the results stand, but more "
            "epochs can't be trained; put a checkpoint back for that, or name another run_dir"
        )
    else:
        yield (
            f"{LAST} is gone or damaged: the results stand, and with more epochs training would "
            f"go on from {name}, at {verdict.position.place}"
        )


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The events that can be read: a kill may have torn a line."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = parsed_json(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
