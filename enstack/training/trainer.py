"""The loop: fine-tune one base model, validate each epoch, keep the best, resume exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from enstack.batches import count_batch
from enstack.errors import EnstackError, Interrupted
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.loader import make_loader, why_waiting
from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.say import say
from enstack.progress.screen import TrainingView, watch
from enstack.progress.stopping import StopRequest, stop_requests
from enstack.training.job import TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.state import TrainingState

LOG_EVERY = 10  # batches; the loss is read from the device then, and only then


def train_base_model(
    job: TrainingJob,
    stops: Callable[[], AbstractContextManager[StopRequest]] = stop_requests,
) -> None:
    """Fine-tune a base model to its last epoch, from wherever it stands.

    stops: what may ask for a stop, Ctrl-C and SIGTERM if nothing else; then it saves at the next
    batch boundary and raises Interrupted.
    """
    training = start_or_resume(job)
    epochs = Bar(job.config.epochs, job.base_model.name, unit="epoch", level="epoch")
    with stops() as stop, Saver(training) as saver, epochs:
        watch(training_view(training, saver))
        epochs.advance(training.progress.epoch - 1)
        while not training.finished():
            train_epoch(training, saver, stop)
            finish_epoch(training, saver, stop)
            epochs.advance()
    # Asked for during the last save: the caller has to stop all the same.
    if stop.requested:
        raise Interrupted(
            f"Interrupted; {job.base_model.name} is trained to its end and saved. "
            "Run the same again to go on."
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
    progress = training.progress
    rows, order = training.rest_of_epoch()
    if progress.batches_done:
        _announce_resume(training, saver, len(order))
    loader = make_loader(
        training.job.data.train.take(rows),
        order,
        pad_token_id=training.job.tokenizer.pad_token_id,
        hardware=training.job.hardware,
    )
    training.model.train()
    groups = AccumulationGroups(
        first=progress.batches_done,
        total=progress.batches_done + len(order),
        size=training.config.accumulation_steps,
    )
    wait = DataWait(why_waiting(Path(training.config.local_dir), training.job.hardware))
    title = f"Epoch {progress.epoch} [Train]"
    examples = training.config.batch_size
    with Bar(len(order), title, seconds_each=True, wait=wait, examples=examples) as bar:
        for batch in wait.watch(loader):
            train_batch(training, batch, groups)
            bar.advance()
            saver.tell()
            _log_if_due(training, bar, {**wait.postfix(), **saver.postfix()})
            _advise_if_due(training, wait)
            _save_if_due(training, groups, saver, stop)
    # An epoch may be too short for the line to have been due.
    training.advised_on_waiting = training.advised_on_waiting or wait.advise()


@dataclass(frozen=True)
class AccumulationGroups:
    """Batches `first` to `total` of an epoch, `size` of them to an optimizer step.

    The last group may be shorter. Saves fall on the ends of groups, so a resumed run starts one.
    """

    first: int
    total: int
    size: int

    def bounds(self, batch: int) -> tuple[int, int]:
        """Where the group of a batch starts and ends."""
        start = self.first + (batch - self.first) // self.size * self.size
        return start, min(start + self.size, self.total)

    def ends_at(self, done: int) -> bool:
        """Whether a group is complete when so many batches are done."""
        return self.bounds(done - 1)[1] == done


def train_batch(
    training: TrainingState, batch: dict[str, torch.Tensor], groups: AccumulationGroups
) -> None:
    """Forward and backward of one batch, and a step where its accumulation group ends."""
    progress = training.progress
    start, end = groups.bounds(progress.batches_done)
    with training.job.hardware.autocast():
        logits = training.model(
            input_ids=batch["input_ids"].to(training.device, non_blocking=True),
            attention_mask=batch["attention_mask"].to(training.device, non_blocking=True),
        ).logits
    labels = batch["labels"].to(training.device, non_blocking=True)
    # In float32: in half precision a softmax is right to three digits only.
    loss = LOSSES[training.job.data.task.problem_type](logits.float(), labels)
    # By the group's own size: a short last group weighs as much as a whole one.
    training.optimizer.backward(loss / (end - start))
    # Detached, or the sum would hold every batch's graph in memory.
    training.epoch_loss += loss.detach()
    training.window_loss += loss.detach()
    training.epoch_batches += 1
    training.window_batches += 1
    progress.segments = count_batch(progress.segments, training.config.batch_size)
    if progress.batches_done == end:
        training.optimizer.step()


def loss_of_flags(logits: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of logits (n, k) and flags (n, k) bool."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, flags.float())


# By the label task's problem_type: the mean loss of logits (n, k) and labels.
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    OneClass.problem_type: torch.nn.functional.cross_entropy,
    SeveralFlags.problem_type: loss_of_flags,
}


def finish_epoch(training: TrainingState, saver: Saver, stop: StopRequest) -> None:
    """Validate, keep the best model, count the epoch as complete, and save."""
    try:
        figures = validate(training, stop)
    # The epoch is saved with all its batches done: the next start only validates it.
    except Interrupted:
        _save_and_stop(training, saver)
    progress = training.progress
    best = figures["val_macro_f1"] > progress.best_macro_f1
    record = {"epoch": progress.epoch, **figures, "best": best}
    progress.history.append({"event": "epoch", **record})
    progress.stale_epochs = 0 if best else progress.stale_epochs + 1
    if best:
        progress.best_epoch = progress.epoch
        progress.best_macro_f1 = figures["val_macro_f1"]
        progress.best_accuracy = figures["val_accuracy"]
    say(_epoch_line(record))
    # Before the save: it stands at the start of the next epoch, and this one is not judged again.
    training.start_epoch()
    saver.log("epoch_finished", **record)
    saver.save(best=figures if best else None)


def validate(training: TrainingState, stop: StopRequest) -> dict[str, float]:
    """Losses, accuracy and macro-F1 of the epoch in work.

    Of flags, the last two are taken at the thresholds that suit these very rows.
    """
    job, data = training.job, training.job.data.selection
    title = f"Epoch {training.progress.epoch} [Validate]"
    probabilities = job.predict(training.model, data, title, stop)
    task = job.data.task
    decisions = task.decide(probabilities, task.choose_thresholds(data.labels, probabilities))
    accuracy, macro_f1 = task.accuracy_and_macro_f1(data.labels, decisions)
    return {
        "train_loss": _mean_loss(training),
        "val_loss": task.log_loss(data.labels, probabilities),
        "val_accuracy": accuracy,
        "val_macro_f1": macro_f1,
    }


def _mean_loss(training: TrainingState) -> float:
    """Of the epoch's batches trained here; NaN where an old checkpoint brought them all."""
    batches = training.epoch_batches
    return float(training.epoch_loss) / batches if batches else math.nan


def _announce_resume(training: TrainingState, saver: Saver, left: int) -> None:
    done = training.progress.batches_done
    say(f"⏭️  Resuming: will skip {done} batches (fast-forward), train {left} batches")
    saver.log(
        "resumed",
        epoch=training.progress.epoch,
        skipped_batches=done,
        batches_left=left,
    )


def _log_if_due(training: TrainingState, bar: Bar, postfix: dict[str, Any]) -> None:
    progress = training.progress
    if progress.batches_done % LOG_EVERY:
        return
    loss = float(training.window_loss) / training.window_batches
    # Here the number is at hand: to look at each batch's would make the loop wait for the GPU.
    if math.isnan(loss):
        raise EnstackError(
            f"The loss must be a number; it became NaN by batch {progress.batches_done} of epoch "
            f"{progress.epoch}. Lower learning_rate, or set precision=fp32."
        )
    training.window_loss.zero_()
    training.window_batches = 0
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
    training: TrainingState, groups: AccumulationGroups, saver: Saver, stop: StopRequest
) -> None:
    """Save every save_steps batches and on request, where an accumulation group ends."""
    done, save_steps = training.progress.batches_done, training.config.save_steps
    if not groups.ends_at(done):
        return
    if stop.requested:
        _save_and_stop(training, saver)
    start, _ = groups.bounds(done - 1)
    # The group that ends here holds a multiple of save_steps.
    due = save_steps > 0 and done // save_steps > start // save_steps
    # Not at the epoch's end, where finish_epoch saves once it is validated.
    if due and done < groups.total:
        saver.save()


def _save_and_stop(training: TrainingState, saver: Saver) -> NoReturn:
    saver.save()
    # The run ends here: a save that failed must not be told as one that is there.
    saver.settle(required=True)
    progress = training.progress
    raise Interrupted(
        f"Interrupted; progress is saved: {training.job.base_model.name}, epoch "
        f"{progress.epoch}, {progress.batches_done} of {training.total_batches()} batches. "
        "Run the same again to go on."
    )


def _epoch_line(record: dict[str, Any]) -> str:
    star = "  ⭐ best so far" if record["best"] else ""
    return (
        f"Epoch {record['epoch']}: train loss {record['train_loss']:.4f}, validation loss "
        f"{record['val_loss']:.4f}, accuracy {record['val_accuracy']:.4f}, macro-F1 "
        f"{record['val_macro_f1']:.4f}{star}"
    )
