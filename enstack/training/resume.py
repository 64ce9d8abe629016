"""Where a training begins: at its newest checkpoint, at an old one, or at the very beginning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from enstack.checkpoints import newest_whole, slots, state_file
from enstack.checkpoints.old_checkpoints import OldCheckpoint, find_old_checkpoint
from enstack.checkpoints.old_names import no_old_checkpoint, old_candidates
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.errors import CheckpointError
from enstack.metrics.one_class import OneClass
from enstack.models.base_models import (
    HUB_IDS,
    BaseModel,
    architecture,
    load_classifier,
)
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.storage.links import make_folder
from enstack.storage.manifest import read_manifest
from enstack.training.beginnings import refuse_fewer_epochs
from enstack.training.job import Log, TrainingData, TrainingJob, refuse_foreign_checkpoint
from enstack.training.random_state import seed_everything
from enstack.training.state import TrainingState


def check_resume_from(base_models: list[BaseModel], config: RunConfig) -> None:
    """Say what resume_from will be used for, before any base model is trained.

    One that is not there, or serves none of the base models, is refused.
    """
    if not config.resume_from:
        return
    place, alone = Path(config.resume_from), len(config.base_models) == 1
    unserved, served = [], False
    for base_model in base_models:
        folder = RunFolder(Path(config.run_dir)).base_model(base_model.name).path
        # What was saved last may lie there alone: its copy to run_dir had not arrived.
        scratch = RunFolder(config.scratch_dir).base_model(base_model.name).path
        if slots.checkpoints_in(folder) or slots.checkpoints_in(scratch):
            say(
                f"   · resume_from is not used for {base_model.name}: {folder} has a checkpoint of "
                "its own, and training goes on from there"
            )
            served = True
        elif old_candidates(place, base_model.name, alone=alone):
            served = True
        else:
            unserved.append(base_model.name)
    if base_models and not served:
        raise no_old_checkpoint(unserved, place, alone=alone)
    for name in unserved:
        say(f"⚠️  {place} holds no old checkpoint of {name}: it is trained from the start.")


def start_or_resume(job: TrainingJob) -> TrainingState:
    """A training at the newest checkpoint that verifies, at an old one, or at the beginning."""
    make_folder(job.folder)
    # An own checkpoint counts before an old one, which is entered once and then left alone.
    own = newest_whole.newest(job.scratch, job.folder, job.config.keep_checkpoints)
    # Before an old one is looked for: it must not quietly take the place of lost checkpoints.
    if own is None:
        _refuse_lost_checkpoints(job)
    old = None if own else _find_old(job)
    state = _read_own_state(job, own) if own else None
    # Dropout draws from these generators; a state that is loaded puts them where it left them.
    seed_everything(job.config.seed)
    # Both kinds have the hub's own layout, so they are loaded as any base model is.
    source = own or (old.folder if old else None)
    model = load_classifier(
        BaseModel(job.base_model.name, str(source)) if source else job.base_model,
        job.data.class_names,
        seed=job.config.seed,
        problem_type=job.data.task.problem_type,
    )
    training = TrainingState(job, model)
    if state is not None and own is not None:
        training.began_with = slots.checkpoint_digest(own)
        _load(training, state)
        _announce_rate(training, state)
        _announce_hardware(training, state)
        _announce_processes(training, state)
    elif old is not None:
        training.load_old_checkpoint(old)
        _announce_import(old, job.log)
    else:
        training.plan(0)
    _refuse_fewer_epochs(training)
    _choose_best_anew_if_lost(training)
    _announce_epochs(training)
    return training


def _read_own_state(job: TrainingJob, checkpoint: Path) -> dict[str, Any]:
    """The training state of a checkpoint, refused where another job made it."""
    in_run_dir = bool(slots.checkpoints_in(job.folder))
    if not in_run_dir:
        say(
            f"📦 {job.folder} holds no checkpoint; going on from the copy in {job.scratch}. To "
            "start anew, name another run_dir."
        )
    state = state_file.read_state(checkpoint)
    place = job.folder if in_run_dir else job.scratch
    refuse_foreign_checkpoint(state.get("identity", {}), job.identity, place)
    return state


def _refuse_lost_checkpoints(job: TrainingJob) -> None:
    """Where a history or the events tell of checkpoints, training never starts anew in silence."""
    # A user may delete the history with the checkpoints, and leave the events: either one tells.
    lines = RunFolder(Path(job.config.run_dir)).events()
    place = json.dumps(job.place.as_posix())
    # Looked for as text: a line that a kill tore would not parse.
    saved = any('"event": "saved"' in line and f'"folder": {place}' in line for line in lines)
    if saved or (job.folder / slots.HISTORY).exists():
        raise CheckpointError(
            f"{job.folder} holds the history of a training but no checkpoint of it, and training "
            "never starts anew in silence. Put it back, or name another run_dir to start anew."
        )


def _load(training: TrainingState, state: dict[str, Any]) -> None:
    try:
        training.load_state_dict(state)
    # What another version lacks, or holds in another shape, shows as one of these.
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"The checkpoint in {training.job.folder} was written by another version of enstack "
            f"({error}). Go on with that version, or name another run_dir."
        ) from error


def _announce_rate(training: TrainingState, state: dict[str, Any]) -> None:
    """What lays the schedule out anew, so that the rate jumps, is said: epochs, or their steps."""
    asked, before = training.config.epochs, state.get("epochs")
    if training.finished():
        return
    rate_before = float(state["scheduler_state_dict"]["_last_lr"][0])
    if before in (None, asked):
        names = ("batch_size", "accumulation_steps")
        now = {name: getattr(training.config, name) for name in names}
        if told := [f"{k}={v}, before {state[k]}" for k, v in now.items() if state.get(k, v) != v]:
            say(
                f"   · {'; '.join(told)}: the schedule is laid out for the steps that this gives, "
                f"and the learning rate goes on at {training.optimizer.next_rate():.3g}, from "
                f"{rate_before:.3g}"
            )
        return
    say(
        f"⚠️  epochs={asked}, where the schedule was laid out for {before}: the learning rate goes "
        f"on at {training.optimizer.next_rate():.3g}, from {rate_before:.3g}. That is not the same "
        f"as {counted(asked, 'epoch')} at once."
    )


def _announce_hardware(training: TrainingState, state: dict[str, Any]) -> None:
    """Another GPU or precision may go on; what that changes is said."""
    now = training.job.hardware.described()
    before = state.get("trained_on", now)  # older checkpoints do not tell
    if before == now or training.finished():
        return
    scale = {
        (False, True): " The loss scale of fp16 begins anew.",
        (True, False): " The loss scale of fp16 is no longer needed.",
    }.get((before["precision"] == "fp16", now["precision"] == "fp16"), "")
    say(
        f"   · On {now['device']} in {now['precision']}, before on {before['device']} in "
        f"{before['precision']}: weights, moments, order and random state go on as they were, "
        f"and numbers are rounded otherwise from here.{scale}"
    )


def _announce_processes(training: TrainingState, state: dict[str, Any]) -> None:
    """Batches, order and gradients are the same in any number of processes; dropout is not."""
    before, now = state.get("processes", 1), training.hardware.group.size
    if before != now and not training.finished():
        say(
            f"   · Saved by {counted(before, 'process', 'processes')}, gone on with by {now}: "
            "batches and order stay the same, dropout draws otherwise from here on"
        )


def _refuse_fewer_epochs(training: TrainingState) -> None:
    complete = training.progress.epoch - 1
    refuse_fewer_epochs(training.job.folder, complete, training.config.epochs)
    done = training.progress.batches_done
    if complete == training.config.epochs and done:
        say(
            f"⚠️  {counted(done, 'batch')} of epoch {complete + 1} set aside: epochs={complete} is "
            f"asked for. With epochs={complete + 1} or more it is gone on with."
        )


def _choose_best_anew_if_lost(training: TrainingState) -> None:
    """A best model that is gone can't come back: the next epoch's becomes the best, said aloud."""
    progress, folder = training.progress, training.job.folder
    if not progress.best_epoch:
        return
    best = newest_whole.whole_best(training.job.scratch, folder, training.identity)
    # One of a later epoch was saved just before a kill: that epoch is trained again.
    stored = (best and read_manifest(best)) or {}
    if stored.get("best_epoch", 0) >= progress.best_epoch:
        return
    # No epoch is left that could become the best.
    if training.finished():
        raise CheckpointError(
            f"{folder} has lost its best_model, of epoch {progress.best_epoch}. Put it "
            "back, ask for more epochs, or train anew with another run_dir."
        )
    say(
        f"⚠️  best_model, of epoch {progress.best_epoch}, is gone from {folder}. The best "
        "is chosen anew among the epochs from here on."
    )
    # -1 is below any macro-F1: the next epoch becomes the best, whatever it reaches.
    progress.best_epoch, progress.best_macro_f1, progress.best_accuracy = 0, -1.0, 0.0


def _find_old(job: TrainingJob) -> OldCheckpoint | None:
    if job.old_runs is None or not job.config.resume:
        return None
    name, alone = job.base_model.name, len(job.config.base_models) == 1
    n_classes = len(job.data.class_names)
    old = find_old_checkpoint(job.old_runs, name, n_classes=n_classes, alone=alone)
    # With several base models check_resume_from has said which of them begin anew.
    if old is None and job.config.resume_from and alone:
        raise no_old_checkpoint([name], job.old_runs, alone=alone)
    if old is not None:
        _refuse_one_class_each(old, job.data)
        _refuse_other_model(old, job.base_model)
    return old


def _refuse_one_class_each(old: OldCheckpoint, data: TrainingData) -> None:
    """Five classes and five flags make heads of one shape, with another meaning."""
    if data.task.problem_type != OneClass.problem_type:
        raise CheckpointError(
            f"{old.folder} was trained to give each function one class, this run has "
            "label_mode=multilabel. Use the label_mode that it was trained with, or another "
            "run_dir without resume_from."
        )


def _refuse_other_model(old: OldCheckpoint, base_model: BaseModel) -> None:
    """An old checkpoint does not say whose it is: its shape and the folders it lies in do."""
    theirs = architecture(BaseModel(base_model.name, str(old.folder)))
    ours = architecture(base_model)
    # CodeBERT and GraphCodeBERT have one shape: there only the folders' names tell.
    others = {part for part in old.folder.parts if part in HUB_IDS} - {base_model.name}
    misfit = None
    if theirs and ours and theirs != ours:
        misfit = f"it is a {theirs}, {base_model.name} is a {ours}"
    elif others and base_model.name in HUB_IDS and base_model.name not in old.folder.parts:
        misfit = f"it lies in a folder of {', '.join(sorted(others))}"
    if misfit:
        raise CheckpointError(
            f"The old checkpoint {old.folder} must be one of {base_model.name}; {misfit}. Name the "
            "base model that it was made with in base_models."
        )


def _announce_import(old: OldCheckpoint, log: Log) -> None:
    say(f"📦 Going on from the old checkpoint {old.folder} (it is only read)")
    for note in old.notes:
        say(f"   · {note}")
    log("imported", folder=str(old.folder), epoch=old.epoch, step=old.step, notes=old.notes)


def _announce_epochs(training: TrainingState) -> None:
    complete = training.progress.epoch - 1
    if complete and not training.progress.batches_done and not training.finished():
        total = training.config.epochs
        say(f"⏭️  Resuming: {complete} of {counted(total, 'epoch is', 'epochs are')} complete")
