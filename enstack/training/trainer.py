"""The loop: fine-tune one base model, validate each epoch, keep the best, resume exactly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from enstack.config import RunConfig
from enstack.counting import counted
from enstack.errors import Interrupted
from enstack.models.loader import make_loader, why_waiting
from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.say import say
from enstack.progress.screen import TrainingView, watch
from enstack.progress.session_end import is_ending
from enstack.progress.stopping import StopRequest, stop_requests
from enstack.training.divergence import functions_of, loss_diverged, warn_of_standstill
from enstack.training.follower import share_training
from enstack.training.job import TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.state import TrainingState
from enstack.training.step import Step, in_steps, train_batch
from enstack.training.validation import epoch_line, validate

LOG_EVERY = 10  # batches; the loss is read from the device then, and only then


def train_base_model(
    job: TrainingJob,
    stops: Callable[[], AbstractContextManager[StopRequest]] = stop_requests,
    begun: Callable[[bool], None] = lambda trains: None,
) -> float | None:
    """Fine-tune a base model to its last epoch, from wherever it stands.

    Returns the seconds that its training took, in all sessions; None where one did not record them.

    begun: told, when nothing is left that could refuse it, whether there is any to do. stops: what
    may ask for a stop, Ctrl-C and SIGTERM if nothing else; then it saves at the next batch boundary
    and raises Interrupted.
    """
    training = start_or_resume(job)
    begun(not training.finished())
    if not training.finished():
        share_training(training)
    epochs = Bar(job.config.epochs, job.base_model.name, unit="epoch", level="epoch")
    with stops() as stop:
        with Saver(training) as saver, epochs:
            watch(training_view(training, saver))
            epochs.advance(training.progress.epoch - 1)
            while not training.finished():
                train_epoch(training, saver, stop)
                finish_epoch(training, saver, stop)
                epochs.advance()
            _announce_end(training, saver)
        # Asked for during the last save: the caller has to stop all the same.
        if stop.requested:
            raise Interrupted(
                f"Interrupted; {job.base_model.name} is trained to its end and saved. "
                "Run the same again to go on."
            )
    return training.progress.seconds


def _announce_end(training: TrainingState, saver: Saver) -> None:
    """Say why training ends before its last epoch, if it does."""
    progress, config = training.progress, training.config
    if progress.epoch <= config.epochs:
        saver.log("stopped_early", epoch=progress.epoch - 1, best_epoch=progress.best_epoch)
        say(
            f"⏹️  Early stopping: macro-F1 has not risen above that of epoch {progress.best_epoch} "
            f"for {counted(progress.stale_epochs, 'epoch')} (early_stopping_patience="
            f"{config.early_stopping_patience}). Epoch {progress.epoch - 1} of {config.epochs} "
            "was the last."
        )


def training_view(training: TrainingState, saver: Saver) -> TrainingView:
    """What a screen may look at while this is trained."""
    return TrainingView(
        name=training.job.base_model.name,
        history=training.progress.history,
        batches=training.total_batches(),
        epochs=training.config.epochs,
        last_checkpoint=saver.last_checkpoint,
    )


def train_epoch(training: TrainingState, saver: Saver, stop: StopRequest) -> None:
    """Train what is left of the epoch in work."""
    progress, config = training.progress, training.config
    rows, order = training.rest_of_epoch()
    if progress.batches_done:
        _announce_resume(training, saver, len(order))
    # Complete, but not validated: there is nothing to show a bar of.
    if not len(order):
        return
    loader = make_loader(
        training.job.data.train.take(rows),
        order,
        pad_token_id=training.job.tokenizer.pad_token_id,
        hardware=training.job.hardware,
    )
    training.model.train()
    total = progress.batches_done + len(order)
    wait = DataWait(why_waiting(Path(config.local_dir), training.job.hardware))
    training.waits.append(wait)
    title, examples = f"Epoch {progress.epoch} [Train]", config.batch_size
    training.computed.begin()
    steps_before = training.optimizer.attempted, training.optimizer.applied_steps()
    with Bar(len(order), title, seconds_each=True, wait=wait, examples=examples) as bar:
        for batches in in_steps(wait.watch(loader), config.accumulation_steps):
            step = Step.of(batches, training)
            for batch in batches:
                train_batch(training, batch, step)
                training.computed.add(batch["attention_mask"])
                bar.advance()
                saver.tell()
                _log_if_due(training, bar, saver, {**wait.postfix(), **saver.postfix()})
                _advise_if_due(training, wait)
            _save_if_due(training, step, total, saver, stop)
    _require_numbers(training, saver)
    warn_of_standstill(training, *steps_before)
    # An epoch may be too short for the line to have been due.
    training.advised_on_waiting = training.advised_on_waiting or wait.advise()


def finish_epoch(training: TrainingState, saver: Saver, stop: StopRequest) -> None:
    """Validate, keep the best model, count the epoch as complete, and save."""
    try:
        figures = validate(training, stop)
    # The epoch is saved with all its batches done: the next start only validates it.
    except Interrupted:
        _save_and_stop(training, saver)
    progress = training.progress
    best = figures["val_macro_f1"] > progress.best_macro_f1
    record = {"epoch": progress.epoch, **figures, "best": best, **_trained_with(training)}
    progress.history.append({"event": "epoch", **record})
    progress.stale_epochs = 0 if best else progress.stale_epochs + 1
    if best:
        progress.best_epoch = progress.epoch
        progress.best_macro_f1 = figures["val_macro_f1"]
        progress.best_accuracy = figures["val_accuracy"]
    say(epoch_line(record))
    # Before the save: it stands at the start of the next epoch, and this one is not judged again.
    training.start_epoch()
    saver.log("epoch_finished", **record)
    saver.save(best=figures if best else None)


def _trained_with(training: TrainingState) -> dict[str, Any]:
    """The settings of an epoch that may be others in the next one."""
    config = training.config
    return {
        "batch_size": config.batch_size,
        "accumulation_steps": config.accumulation_steps,
        "precision": training.job.hardware.precision,
    }


def _require_numbers(training: TrainingState, saver: Saver) -> None:
    """Raise where the loss or the gradients of a batch were no numbers; reads from the device."""
    bad = training.first_bad.batches()
    if bad is None:
        return
    ids = functions_of(training, *bad)
    saver.log(
        "diverged",
        epoch=training.progress.epoch,
        batches=list(bad),
        functions=ids,
    )
    raise loss_diverged(training, *bad, ids)


def _announce_resume(training: TrainingState, saver: Saver, left: int) -> None:
    done = training.progress.batches_done
    # An epoch that was saved before it was validated, or comes from the program before this one.
    validated = "" if left else f": epoch {training.progress.epoch} is only validated"
    say(f"⏭️  Resuming: will skip {done} batches (fast-forward), train {left} batches{validated}")
    saver.log(
        "resumed",
        epoch=training.progress.epoch,
        skipped_batches=done,
        batches_left=left,
    )


def _log_if_due(training: TrainingState, bar: Bar, saver: Saver, postfix: dict[str, Any]) -> None:
    progress = training.progress
    if progress.batches_done % LOG_EVERY:
        return
    # Here numbers are read: to look at each batch's would make the loop wait for the GPU.
    _require_numbers(training, saver)
    loss = training.window_loss.mean()
    training.window_loss.clear()
    rate = training.optimizer.next_rate()
    record = {
        "event": "step",
        "epoch": progress.epoch,
        "batch": progress.batches_done,
        "optimizer_steps": training.optimizer.applied_steps(),
        "loss": loss,
        "lr": rate,
    }
    progress.history.append(record)
    bar.show(loss=loss, lr=rate, **postfix)


def _advise_if_due(training: TrainingState, wait: DataWait) -> None:
    """Once a run, as soon as it is known that the model waits for data."""
    if not training.advised_on_waiting and wait.settled():
        training.advised_on_waiting = wait.advise()


def _save_if_due(
    training: TrainingState, step: Step, total: int, saver: Saver, stop: StopRequest
) -> None:
    """Save every save_steps batches or save_minutes, and on request; total: batches of the epoch.

    Saves fall on the ends of steps, so that a resumed run begins one.
    """
    if stop.requested:
        _save_and_stop(training, saver)
    # Not at the epoch's end, where finish_epoch saves once it is validated.
    if step.last < total and _is_due(training.config, step, saver):
        _require_numbers(training, saver)
        saver.save()


def _is_due(config: RunConfig, step: Step, saver: Saver) -> bool:
    # Who saves at the ends of epochs alone has no room or no time for more.
    if not config.save_steps:
        return False
    # The step that has ended here holds a multiple of save_steps.
    by_count = step.last // config.save_steps > (step.first - 1) // config.save_steps
    by_time = 0 < 60 * config.save_minutes <= saver.seconds_since_save()
    return by_count or by_time


def _save_and_stop(training: TrainingState, saver: Saver) -> NoReturn:
    _require_numbers(training, saver)
    saver.save()
    # The run ends here: a save that failed must not be told as one that is there.
    saver.settle(required=True)
    progress = training.progress
    raise Interrupted(
        f"{_why()}; progress is saved: {training.job.title}, epoch {progress.epoch}, "
        f"{progress.batches_done} of {counted(training.total_batches(), 'batch')}. "
        "Run the same again to go on."
    )


def _why() -> str:
    return "session_hours are nearly over" if is_ending() else "Interrupted"
