"""What can't be gone on with is refused before anything is trained, or recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.checkpoints import slots, state_file
from enstack.config import FIXED_SETTINGS, RunConfig
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.run_folder import RunFolder
from enstack.storage.links import names_in
from enstack.storage.manifest import read_manifest
from enstack.training.job import identity, refuse_foreign_checkpoint


def refuse_foreign_checkpoints(
    base_models: list[BaseModel],
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
) -> None:
    """Raise CheckpointError where a base model's newest checkpoint is of something else.

    Whether it is whole is not asked here, for that takes a full read: training begins with it. But
    another base model may be trained for hours before that.
    """
    for base_model in base_models:
        folder = run.base_model(base_model.name).path
        scratch = RunFolder(config.scratch_dir).base_model(base_model.name).path
        state = _newest_state([scratch, folder])
        if state is None:
            continue
        wanted = identity(
            base_model,
            load_tokenizer(base_model),
            config,
            task=data.task,
            fingerprint=data.fingerprint,
            n_train=len(data.splits["train"]),
            n_selection=len(plan.selection),
            folds_digest=plan.folds_digest,
        )
        refuse_foreign_checkpoint(state.get("identity", {}), wanted, folder)
        refuse_fewer_epochs(folder, _complete_epochs(state), config.epochs)


def refuse_fewer_epochs(folder: Path, complete: int, epochs: int) -> None:
    """Raise CheckpointError where more epochs are trained than are asked for."""
    if complete > epochs:
        raise CheckpointError(
            f"{folder} is trained for {counted(complete, 'epoch')} already, epochs={epochs} is "
            f"asked for. Use epochs={complete} or more, or name another run_dir."
        )


def settings_of_checkpoints(run: RunFolder) -> dict[str, Any]:
    """What makes a run this run, as its checkpoints have it; empty where none can be read."""
    for folder in names_in(run.base_models):
        stored = (_newest_state([folder]) or {}).get("identity", {})
        if stored:
            return {key: stored[key] for key in FIXED_SETTINGS if key in stored}
    return {}


def _newest_state(places: list[Path]) -> dict[str, Any] | None:
    """The training state with the highest number among those that can be read."""
    found = [path for place in places for path in slots.checkpoints_in(place)]
    finished = [path for path in found if read_manifest(path) is not None]
    for path in sorted(finished, key=slots.saved_number, reverse=True):
        try:
            return state_file.read_state(path, mapped=True)
        except CheckpointError:
            continue  # training names it, and takes the one before
    return None


def _complete_epochs(state: dict[str, Any]) -> int:
    progress = state.get("progress")
    # One of another version: training says so.
    return int(progress["epoch"]) - 1 if isinstance(progress, dict) and "epoch" in progress else 0
