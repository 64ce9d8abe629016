"""What an epoch has reached: its losses and figures on the functions that select the best one."""

from __future__ import annotations

from typing import Any

from enstack.progress.stopping import StopRequest
from enstack.training.divergence import refuse_spoilt_validation
from enstack.training.state import TrainingState


def validate(training: TrainingState, stop: StopRequest) -> dict[str, Any]:
    """Losses, accuracy, macro-F1 and MCC of the epoch in work, and the answer that all rows got.

    Of flags, the figures are taken at the thresholds that suit these very rows. train_loss is None
    where an old checkpoint brought the whole epoch, only_answer where there are several.
    """
    job, data = training.job, training.job.data.selection
    title = f"Epoch {training.progress.epoch} [Validate]"
    probabilities = job.predict(training.model, data, title, stop)
    refuse_spoilt_validation(training, probabilities)
    task = job.data.task
    decisions = task.decide(probabilities, task.choose_thresholds(data.labels, probabilities))
    accuracy, macro_f1 = task.accuracy_and_macro_f1(data.labels, decisions)
    return {
        "train_loss": training.epoch_loss.mean() if training.epoch_loss.weight else None,
        "val_loss": task.log_loss(data.labels, probabilities),
        "val_accuracy": accuracy,
        "val_macro_f1": macro_f1,
        "val_mcc": task.mcc(data.labels, decisions),
        "only_answer": task.only_answer(decisions),
    }


def epoch_line(record: dict[str, Any]) -> str:
    """An epoch's figures for the console."""
    train_loss = record["train_loss"]
    known = "not known" if train_loss is None else f"{train_loss:.4f}"
    star = "  ⭐ best so far" if record["best"] else ""
    return (
        f"Epoch {record['epoch']}: train loss {known}, validation loss {record['val_loss']:.4f}, "
        f"accuracy {record['val_accuracy']:.4f}, macro-F1 {record['val_macro_f1']:.4f}{star}"
    )
