"""Is this checkpoint whole, what is in it, and where will training go on? Read-only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enstack.checkpoints.finite import checkpoint_fault
from enstack.checkpoints.inspection_text import Position, Verdict, is_trained
from enstack.checkpoints.old_checkpoints import (
    interpret_state,
    note_on_steps,
    optimizer_steps,
)
from enstack.checkpoints.old_integrity import (
    content_problems,
    moments_problems,
    structural_problems,
)
from enstack.checkpoints.old_names import (
    is_leftover,
    is_old_name,
    is_to_predict_with,
    slot_of,
    told_beside,
)
from enstack.checkpoints.run_record import (
    diverged,
    in_its_run,
    in_training,
    recorded,
    recorded_models,
    resume_place,
    without_checkpoint,
)
from enstack.checkpoints.slots import BEST, KEPT, LAST, STATE_FILE, WEIGHTS_FILE, saved_number
from enstack.checkpoints.state_file import read_state
from enstack.checkpoints.steady import looked_at_again
from enstack.config import scratch_dir
from enstack.errors import CheckpointError
from enstack.storage.links import below, require_folder_place
from enstack.storage.manifest import MANIFEST, folder_problems, read_manifest

State = dict[str, Any]
Look = tuple[Position, list[str], list[str]]  # what is known, problems, notes


@looked_at_again
def inspect_path(path: Path) -> Verdict:
    """The verdict on a checkpoint, a base model's folder or a run folder.

    A folder of several checkpoints gives, of each base model, the one that training would go on
    from; the verdict is that of the base model in training, every checkpoint stands under
    `checkpoints`, and whatever is damaged among the problems.
    """
    if not path.is_dir():
        raise CheckpointError(f"A checkpoint is a folder; {path} is none.{told_beside(path)}")
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror or error}.") from None
    if _is_checkpoint(path):
        return inspect_checkpoint(path)
    models = _checkpoints_below(path)
    if not models:
        fault = diverged(path)
        raise CheckpointError(
            f"{path} holds no checkpoint: no {STATE_FILE}, no {WEIGHTS_FILE}, no {LAST} below it."
            + (f" Training diverged before one was saved: {fault}" if fault else "")
        )
    verdicts = {
        name: inspect_checkpoint(folder)
        for folders in models.values()
        for name, folder in folders.items()
    }
    models = {name: _without_leftovers(folders, verdicts) for name, folders in models.items()}
    verdicts = {name: verdicts[name] for folders in models.values() for name in folders}
    chosen = {
        model: in_its_run(
            path,
            dataclasses.replace(
                _goes_on_from(folders, verdicts), base_model=(path / model).resolve().name
            ),
        )
        for model, folders in models.items()
    }
    problems = [f"{name}: {fault}" for name, one in verdicts.items() for fault in one.problems]
    problems += _in_the_way(path)
    named = {one.base_model or model: one for model, one in chosen.items()}
    for name in recorded_models(path):
        named.setdefault(name, without_checkpoint(path, name))
    return dataclasses.replace(
        in_training(path, list(chosen.values())),
        path=path,
        problems=problems,
        checkpoints=verdicts,
        base_models=named,
    )


def inspect_checkpoint(folder: Path) -> Verdict:
    """The verdict on one checkpoint folder."""
    state, fault = _state_of(folder)
    # One of ours whose manifest was lost is no old checkpoint, but an unfinished one.
    ours = (folder / MANIFEST).exists() or (state is not None and "identity" in state)
    look = _look_at_ours if ours else _look_at_old
    position, problems, notes = look(folder, state)
    return Verdict(
        folder,
        layout="enstack" if ours else "legacy",
        base_model=folder.resolve().parent.name,
        problems=problems or ([fault] if fault else []),
        notes=notes,
        position=position,
        weights_bytes=_size(folder / WEIGHTS_FILE),
        state_bytes=_size(folder / STATE_FILE),
    )


def _state_of(folder: Path) -> tuple[State | None, str | None]:
    """The training state, or why it can't be read; neither where there is none."""
    if not (folder / STATE_FILE).is_file():
        return None, None
    try:
        # Mapped: a verdict needs the position and a few shapes, not a gigabyte of moments.
        return read_state(folder, mapped=True), None
    except CheckpointError as error:
        return None, str(error).rstrip(".")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _look_at_ours(folder: Path, state: State | None) -> Look:
    problems = folder_problems(folder, agrees_with=_base_model_of(folder)) or _not_numbers(folder)
    if state is None:
        # A best model has no training state: its manifest names the epoch.
        best_epoch = (read_manifest(folder) or {}).get("best_epoch")
        return Position(epoch=best_epoch), problems, []
    try:
        return _position(state), problems, []
    except CheckpointError as error:
        # A file that differs from its manifest is the cause, a state that lacks a key what follows.
        return Position(), problems or [str(error)], []


def _not_numbers(folder: Path) -> list[str]:
    """Of files that are as they were written: whether training had diverged by then."""
    fault = checkpoint_fault(folder)
    return [fault] if fault else []


def _base_model_of(folder: Path) -> dict[str, str]:
    """The base model that a checkpoint in a run folder must be of; nothing is known elsewhere."""
    in_run = folder.parents[1].name == "base_models" if len(folder.parents) > 1 else False
    return {"base_model": folder.parent.name} if in_run else {}


def _look_at_old(folder: Path, state: State | None) -> Look:
    """What the import of an old checkpoint makes of it, so that both always say the same."""
    needs_state = not is_to_predict_with(folder.name)
    problems = structural_problems(folder, needs_state=needs_state)
    if state is None:
        return Position(), problems or content_problems(folder), []
    try:
        old = interpret_state(folder, state)
    except CheckpointError as error:
        return Position(), problems or [str(error).rstrip(".")], []
    if not problems:
        # Reading it all tells nothing more of files that are missing, cut or of two models.
        problems = moments_problems(folder, old.optimizer)
        problems += content_problems(folder, old.optimizer)
    skipped = note_on_steps(old) if old.skipped_steps() else []  # the figures say it already
    position = dataclasses.replace(
        _resumes(old.epoch, old.step, old.total_batches, old.complete),
        optimizer_steps=old.applied_steps,
        skipped_optimizer_steps=old.skipped_steps(),
    )
    return position, problems, [note for note in old.notes if note not in skipped]


def _is_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def _checkpoints_below(path: Path) -> dict[str, dict[str, Path]]:
    """By base model, the checkpoints and best models with their names, but no leftovers.

    Those that wait on the scratch disk for their copy to a run folder belong to it.
    """
    models: dict[str, dict[str, Path]] = {}
    for place, where in ((path, ""), (_scratch_of(path), "scratch disk: ")):
        for folder in below(place) if place else ():
            name = folder.relative_to(place)  # type: ignore[arg-type]
            # Names with a dot are saves that were not put in place, and what waits to be removed.
            above = name.parts[: -1 if is_leftover(folder.name) else None]
            hidden = any(part.startswith(".") for part in above)
            if not hidden and _is_kept(folder.name) and folder.is_dir():
                model = models.setdefault(name.parent.as_posix(), {})
                model[where + name.as_posix()] = folder
    return models


def _in_the_way(path: Path) -> Iterator[str]:
    """Files that stand where a base model or a checkpoint belongs: training goes on over none."""
    models = [path / "base_models" / name for name in recorded_models(path)]
    for place in filter(None, (path, _scratch_of(path))):
        for one in below(place):
            if one in models or KEPT.fullmatch(one.name) or one.name == BEST:
                try:
                    require_folder_place(one)
                except NotADirectoryError as error:
                    yield f"{one.relative_to(place)}: {error.strerror}"


def _scratch_of(path: Path) -> Path | None:
    """Where this machine keeps what a run folder still lacks."""
    # The run's own record tells: whoever inspects names a folder, and no settings.
    local_dir = recorded(path).get("local_dir")
    return scratch_dir(Path(local_dir), path) if isinstance(local_dir, str) else None


def _is_kept(name: str) -> bool:
    return is_old_name(name) or is_to_predict_with(name) or KEPT.fullmatch(name) is not None


def _without_leftovers(folders: dict[str, Path], verdicts: dict[str, Verdict]) -> dict[str, Path]:
    """Without what killed saves left, where it is torn, or its checkpoint stands whole."""
    whole = {path for name, path in folders.items() if verdicts[name].valid}
    kept = {
        name: path
        for name, path in folders.items()
        if not is_leftover(path.name)
        or (path in whole and path.with_name(slot_of(path.name)) not in whole)
    }
    # A torn one is all that is left to be named where there is nothing else to go on from.
    return kept if any(verdicts[name].valid and is_trained(name) for name in kept) else folders


def _goes_on_from(folders: dict[str, Path], verdicts: dict[str, Verdict]) -> Verdict:
    """The verdict on the newest whole checkpoint of a base model; without one, on the first."""
    # A best model may be newer than any checkpoint, and still nothing goes on from it.
    trained = [name for name in folders if is_trained(name)]
    whole = [name for name in trained if verdicts[name].valid]
    if not whole:
        first = verdicts[(trained or list(folders))[0]]
        nowhere = dataclasses.replace(
            first.position, resume_epoch=None, resume_step=None, remaining_batches=None
        )
        return dataclasses.replace(first, position=nowhere, notes=[])

    def age(name: str) -> tuple[Any, ...]:
        """Ours after old ones; ours by their number, old ones by how far they have come."""
        one = verdicts[name]
        # As training chooses: what inspect says must be what a run then does.
        return one.layout == "enstack", saved_number(folders[name]), resume_place(one)

    return verdicts[max(whole, key=age)]


def _position(state: State) -> Position:
    """Where a training state of ours stands."""
    try:
        epoch, step = int(state["epoch"]), int(state["step"])
        total = int(state.get("total_batches") or 0) or None
        applied = optimizer_steps(state["optimizer_state_dict"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{STATE_FILE} lacks what training needs: {error!r}.") from error
    complete = step == 0 or (total is not None and step >= total)
    attempted = state.get("attempted_steps")
    return dataclasses.replace(
        _resumes(epoch, step, total, complete),
        optimizer_steps=applied,
        skipped_optimizer_steps=None if attempted is None else int(attempted) - applied,
        epochs=state.get("epochs"),
        patience=state.get("early_stopping_patience"),
        stale_epochs=(state.get("progress") or {}).get("stale_epochs"),
    )


def _resumes(epoch: int, step: int, total: int | None, complete: bool) -> Position:
    """Where training goes on; step 0, or one at the epoch's end, is a complete epoch."""
    return Position(
        epoch=epoch,
        step=step,
        total_batches=total,
        epoch_complete=complete,
        resume_epoch=epoch + 1 if complete else epoch,
        resume_step=0 if complete else step,
        remaining_batches=total if complete else total and total - step,
    )
