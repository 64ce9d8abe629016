"""What history.jsonl holds, as TensorBoard's event files, for those who look there.

A file is made of a whole history each time, always under one name: after a resume no point is there
twice, and none is missing. What it already holds is a beginning of what it shall hold, so that more
is only written behind it, under the eyes of a TensorBoard that has read so far.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from enstack.base_model_folder import BaseModelFolder
from enstack.config import RunConfig
from enstack.errors import ConfigError
from enstack.progress.say import say
from enstack.storage.disks import fault_within
from enstack.storage.json_text import parsed_json
from enstack.storage.links import detach, make_folder

__all__ = ["EVENT_FILE", "report_curves", "report_epoch", "require_tensorboard"]

EVENT_FILE = "events.out.tfevents.enstack"  # TensorBoard asks for "tfevents" in a name
OF_STEPS = {"loss": "loss", "lr": "learning_rate"}
OF_EPOCHS = ("train_loss", "val_loss", "val_macro_f1", "val_accuracy", "val_mcc")
PATIENCE = 5.0  # seconds, on storage that may hang
Point = tuple[int, str, float]  # where it stands on the horizontal axis, its curve, its value
History = Sequence[Mapping[str, Any]]


def require_tensorboard(config: RunConfig) -> None:
    """Raise ConfigError where TensorBoard's files are asked for, and can't be made here."""
    if config.report_to == "none":
        return
    try:
        _content([])
    # A package that does not suit another one, such as protobuf, raises whatever it likes.
    except Exception as error:
        name = getattr(error, "name", None) or ""  # of an ImportError
        missing = isinstance(error, ModuleNotFoundError) and name.split(".")[0] == "tensorboard"
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        found = "which is not installed" if missing else f"which can't be loaded ({reason:.200})"
        raise ConfigError(
            f"report_to=tensorboard needs the package tensorboard, {found}: install it with `pip "
            "install tensorboard`, or set report_to=none."
        ) from error


def report_epoch(folder: Path, history: History) -> None:
    """Write the curves after an epoch, in the thread that writes run_dir.

    What hinders these files alone holds back nothing else: when training is done they are written
    anew, and then it is told.
    """
    with contextlib.suppress(OSError):
        _write(folder, history)


def report_curves(base_model: BaseModelFolder, folder: Path, config: RunConfig) -> None:
    """Write the curves of a base model that is trained, where they are asked for.

    What can't be written is told: nothing rests on it.
    """
    # A history that is lost, or another one, has been told of.
    if config.report_to == "none" or base_model.history_problem():
        return
    fault = fault_within(PATIENCE, lambda: _write(folder, _records(base_model.history)))
    if fault is not None:
        say(f"⚠️  {folder} can't be written ({fault}): TensorBoard lacks points there.")


def _records(history: Path) -> History:
    lines = history.read_text(encoding="utf-8").splitlines()
    return [parsed_json(line) for line in lines if line.strip()]


def _write(folder: Path, history: History) -> None:
    content, target = _content(history), folder / EVENT_FILE
    make_folder(folder)
    detach(target)
    there = target.read_bytes() if target.exists() else b""
    if content.startswith(there):
        with target.open("ab") as file:
            file.write(content[len(there) :])
    else:  # an epoch was trained again, or another machine left part of a file
        target.write_bytes(content)


def _content(history: History) -> bytes:
    # Here, for few ask for it. Not torch's SummaryWriter: a time and the machine's name are in its
    # files' names, so that each start adds one, and beside TensorFlow it loads all of that.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    writer = RecordWriter(file)
    # A history has no times of day; equal histories leave equal files.
    writer.write(Event(wall_time=0, file_version="brain.Event:2").SerializeToString())
    for step, tag, value in _points(history):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.write(Event(wall_time=0, step=step, summary=summary).SerializeToString())
    return file.getvalue()


def _points(history: History) -> Iterator[Point]:
    """The curves' points: of steps over optimizer steps, of epochs over epochs."""
    rate = None
    for record in _latest(history):
        if record["event"] == "step":
            rate, place = record.get("lr"), record.get("optimizer_steps")
            values = {f"step/{name}": record.get(key) for key, name in OF_STEPS.items()}
        else:
            place = record["epoch"]
            values = {f"epoch/{key}": record.get(key) for key in OF_EPOCHS}
            # The one that its last steps were made with.
            values["epoch/learning_rate"], rate = rate, None
        for tag, value in values.items():
            # Histories of older programs do not say all of it; what was not finite is null.
            if _is_number(place) and _is_number(value):
                yield int(place), tag, float(value)


def _latest(history: History) -> list[Mapping[str, Any]]:
    """The steps and epochs in their order; of what was trained twice, the last."""
    latest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for record in history:
        ends, epoch, batch = record["event"] == "epoch", record.get("epoch"), record.get("batch")
        if ends and _is_number(epoch):
            latest[epoch, ends] = record
        elif record["event"] == "step" and _is_number(epoch) and _is_number(batch):
            latest[epoch, ends, batch] = record
    return [latest[place] for place in sorted(latest)]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
