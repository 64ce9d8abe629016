"""How far a run has come: epochs done, hours and sessions left by its own pace, its ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enstack.base_model_folder import BaseModelFolder
from enstack.config import base_model_names
from enstack.errors import CheckpointError
from enstack.planning.at_work import at_work_since
from enstack.planning.ledger import Session, Stretch, read_sessions
from enstack.run_folder import RunFolder

__all__ = ["ModelStatus", "Status", "status_of"]


@dataclass(frozen=True)
class ModelStatus:
    """How far a base model is, its folds included.

    done, epochs: epochs trained, with the part of one, and asked for, folds' among them; folds: how
    many; hours_left: of training, None where no session has recorded its pace.
    """

    name: str
    finished: bool
    done: float
    epochs: int
    folds: int
    hours_left: float | None


@dataclass(frozen=True)
class Status:
    """How far a run is. seed: None where the run has one alone.

    hours_left: of training, without tokens, predictions and stacking; None where no session has
    recorded its pace. sessions_left: of session_hours, None where that is not set. reported:
    whether stacking and report are done. at_work_since: when the process began that is at work
    there on this machine, UTC, None where none is. sessions: the ledger. others: the same of other
    seeds.
    """

    run_dir: str
    seed: int | None
    models: list[ModelStatus]
    reported: bool
    hours_left: float | None
    sessions_left: int | None
    at_work_since: str | None
    sessions: list[Session]
    others: list[Status]


def status_of(run: RunFolder) -> Status:
    """Read a run's status; nothing is written. Raises CheckpointError for no run folder."""
    settings = run.settings()
    if not settings.get("base_models"):
        raise _no_run(run)
    given = settings.get("seeds")
    seeds = given if isinstance(given, list) else [None]
    runs = [run, *map(run.of_seed, seeds[1:])]
    at_work = [at_work_since(one, settings) for one in runs]
    ledgers = [read_sessions(one.events(), since) for one, since in zip(runs, at_work, strict=True)]
    # All of them tell how long an epoch takes, the first seed's last.
    paces = [one for ledger in reversed(ledgers) for one in _stretches(ledger)]
    first, *others = (
        _of_seed(one, settings, seed, since, ledger, paces)
        for one, seed, since, ledger in zip(runs, seeds, at_work, ledgers, strict=True)
    )
    return _summed(first, others, settings.get("session_hours"))


def _no_run(run: RunFolder) -> CheckpointError:
    """What to do with a folder that tells of no run."""
    rule = f"{run.path} must hold a run that has begun"
    if not run.path.is_dir():
        return CheckpointError(f"{rule}; it is no folder. Name the run_dir of a run.")
    if run.prepared.is_dir():
        return CheckpointError(
            f"{rule}; it is prepared alone. Run the configuration that it was prepared with."
        )
    return CheckpointError(
        f"{rule}, it has no config.json that tells its base models: a run writes it when training "
        "begins. Name the run_dir of a run; enstack inspect tells what checkpoints hold."
    )


def _stretches(sessions: list[Session]) -> list[Stretch]:
    return [one for session in sessions for one in session.stretches]


def _of_seed(
    run: RunFolder,
    settings: dict[str, Any],
    seed: int | None,
    since: str | None,
    sessions: list[Session],
    paces: list[Stretch],
) -> Status:
    """paces: of all seeds; a base model that has none takes what the others do."""
    names = base_model_names(settings["base_models"])
    pace_of = {name: _pace(name, paces) for name in names}
    known = [pace for pace in pace_of.values() if pace is not None]
    usual = sum(known) / len(known) if known else None
    reached = {one.folder: one.last for one in _stretches(sessions)}
    models = [
        _model(run.base_model(name), settings, reached, usual if pace is None else pace)
        for name, pace in pace_of.items()
    ]
    reported = run.report_page.exists() and all(model.finished for model in models)
    return Status(str(run.path), seed, models, reported, None, None, since, sessions, [])


def _summed(first: Status, others: Sequence[Status], session_hours: Any) -> Status:
    models = [model for one in (first, *others) for model in one.models]
    each = [model.hours_left for model in models]
    hours = None if None in each else sum(filter(None, each))
    sessions = None
    if hours is not None and isinstance(session_hours, int | float):
        sessions = math.ceil(hours / session_hours)
    return Status(
        **{**vars(first), "hours_left": hours, "sessions_left": sessions, "others": list(others)}
    )


def _model(
    folder: BaseModelFolder,
    settings: dict[str, Any],
    reached: dict[str, float],
    pace: float | None,
) -> ModelStatus:
    """reached: epochs of each training, by its folder; pace: seconds of an epoch."""
    name, epochs = folder.path.name, int(settings.get("epochs", 0))
    folds = int(settings["folds"]) if settings.get("meta_features") == "out_of_fold" else 0
    # A fold leaves one part of train out.
    weights = {_place(name): 1.0} | {
        f"{_place(name)}/folds/{fold}": (folds - 1) / folds for fold in range(1, folds + 1)
    }
    done = {place: min(epochs, reached.get(place, 0.0)) for place in weights}
    finished = (folder.probabilities / "manifest.json").exists()
    left = sum(weights[place] * (epochs - done[place]) for place in weights)
    hours = 0.0 if finished else None if pace is None else left * pace / 3600
    return ModelStatus(name, finished, sum(done.values()), epochs * len(weights), folds, hours)


def _place(name: str) -> str:
    return (Path("base_models") / name).as_posix()


def _pace(name: str, stretches: list[Stretch]) -> float | None:
    """Seconds of an epoch, by the newest session that has trained it and recorded how long."""
    for one in reversed(stretches):
        mine = one.folder == _place(name)
        if mine and one.first is not None and one.training_seconds and one.last > one.first:
            return one.training_seconds / (one.last - one.first)
    return None
