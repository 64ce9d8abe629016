"""A run that lies elsewhere, perhaps where nothing can be written, brought to run_dir to go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from enstack.base_model_folder import SLOT, BaseModelFolder
from enstack.checkpoints import slots
from enstack.checkpoints.old_names import no_old_checkpoint, old_candidates
from enstack.checkpoints.slots import BESIDE, BEST, LAST, OpenCheckpoint
from enstack.config import RunConfig, base_model_names
from enstack.errors import CheckpointError
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.storage.folders import folder_beside
from enstack.storage.links import below, make_folder
from enstack.storage.manifest import read_manifest

__all__ = ["bring_run"]

# The report is made anew; base models come last, and as one.
BESIDE_BASE_MODELS = (
    "config.json",
    "data.json",
    "subset.json",
    "folds.npz",
    "division.npz",
    "events.jsonl",
    "prepared",
    "added",
    "tensorboard",
    "stacking",
)


def bring_run(config: RunConfig, run: RunFolder) -> RunConfig:
    """Copy the run that resume_from names into the run folder, unless one lies there already.

    resume_from: a run folder, or a checkpoint in one, from which its base model then goes on.
    Returns the configuration without it; one that names something else, or nothing, is left as it
    is. Nothing is written there. Raises CheckpointError where no checkpoint there is whole.
    """
    place = Path(config.resume_from) if config.resume_from else None
    if place is None:
        return config
    # What was saved and never copied belongs to this run_dir too.
    begun = run.has_trained() or any(config.scratch_dir.glob("**/manifest.json"))
    if not _is_ours(place):
        if not begun:
            _require_an_old_checkpoint(config, place)
        return config
    chosen = place if _is_slot(place) else None
    source = RunFolder(place.parents[2] if chosen else place)
    same = source.path.resolve() == run.path.resolve()
    if chosen is not None:
        _require_a_checkpoint(chosen, inside_run_dir=same)
    if begun:
        if not same:
            say(f"   · resume_from is not used: {run.path} holds a run of its own, and goes on")
    else:
        say(f"📦 Bringing the run in {source.path} to {run.path} (it is only read)")
        _bring(source, run, chosen)
        run.log("brought", place=str(place))
    return config.model_copy(update={"resume_from": ""})


def _is_ours(place: Path) -> bool:
    return _is_slot(place) or RunFolder(place).has_trained()


def _is_slot(place: Path) -> bool:
    """Whether it is a checkpoint or best model of a run, with its manifest."""
    return (
        place.parent.parent.name == "base_models"
        and SLOT.fullmatch(place.name) is not None
        and read_manifest(place) is not None
    )


def _require_an_old_checkpoint(config: RunConfig, place: Path) -> None:
    """Refuse what serves no base model, before data is read; training says which ones it serves."""
    names = base_model_names(config.base_models)
    alone = len(names) == 1
    if not any(old_candidates(place, name, alone=alone) for name in names):
        raise no_old_checkpoint(names, place, alone=alone)


def _require_a_checkpoint(chosen: Path, *, inside_run_dir: bool) -> None:
    if chosen.name == BEST:
        raise CheckpointError(
            f"resume_from must name a checkpoint, which has the optimizer's state; {chosen} has "
            f"weights alone. Name {LAST} beside it, or train anew from these weights, with "
            f"base_models={chosen}."
        )
    if inside_run_dir:
        raise CheckpointError(
            f"resume_from must lie outside of run_dir, where what is newer stays; {chosen} lies "
            "in it. Name another run_dir, and the run goes on there from this checkpoint."
        )


def _bring(source: RunFolder, run: RunFolder, chosen: Path | None) -> None:
    """Copy a run and its other seeds; until its base models are in place it counts as not begun."""
    for name in BESIDE_BASE_MODELS:
        _copy(source.path / name, run.path / name)
    for seed in sorted((source.path / "seeds").glob("*/")):
        other = RunFolder(seed)
        if other.has_trained():
            _bring(other, run.of_seed(int(seed.name)), None)
    with folder_beside(run.base_models) as beside:
        for folder in sorted(source.base_models.glob("*/")):
            only = chosen if chosen is not None and chosen.parent == folder else None
            _bring_base_model(BaseModelFolder(folder), beside / folder.name, only)


def _bring_base_model(source: BaseModelFolder, target: Path, chosen: Path | None) -> None:
    """Its newest whole checkpoint, or the chosen one, its best model and what it has told so far.

    What it said of the functions was said by its end: from an older checkpoint it is said anew.
    """
    make_folder(target)
    newest_first = sorted(slots.checkpoints_in(source.path), key=slots.saved_number, reverse=True)
    _bring_newest(newest_first if chosen is None else [chosen], target)
    if source.best_model.is_dir():
        _bring_slot(source.best_model, target, BEST)
    _copy(source.history, target / source.history.name)
    if chosen is None:
        for said in (source.probabilities, source.predicted):
            _copy(said, target / said.name)
    for fold in source.folds:
        _bring_base_model(fold, target / "folds" / fold.path.name, None)


def _bring_newest(checkpoints: Iterable[Path], target: Path) -> None:
    faults = []
    for checkpoint in checkpoints:
        fault = _bring_slot(checkpoint, target, LAST)
        if fault is None:
            return
        faults.append(fault)
    if faults:
        raise CheckpointError(
            f"No checkpoint that resume_from names is whole: {' '.join(faults)} Nothing was begun. "
            "Put a good copy there, name another one, or leave resume_from out to train anew."
        )


def _bring_slot(path: Path, target: Path, name: str) -> str | None:
    """Copy a checkpoint or best model, hashed on the way; what is wrong with it, which is said."""
    try:
        with OpenCheckpoint(path) as source:
            slots.write(target, name, source.copy, **source.details)
    except CheckpointError as error:
        slots.discard(target / BESIDE[name])
        say(f"⚠️  {path} is damaged, and is not brought: {error}")
        return str(error)
    slots.install(target, name, keep=1)
    return None


def _copy(source: Path, target: Path) -> None:
    """A file, or a folder's, but no links; whoever reads them verifies them."""
    files = below(source) if source.is_dir() else [source]
    for path in files:
        if path.is_file() and not path.is_symlink():
            place = target / path.relative_to(source) if path != source else target
            make_folder(place.parent)
            shutil.copyfile(path, place)
