"""Saves in the background: the loop waits for a copy in host memory, and for nothing else."""

from __future__ import annotations

import functools
import io
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import numpy as np
import torch

from enstack.checkpoints import slots
from enstack.checkpoints.host_buffers import HostBuffers
from enstack.checkpoints.mirror import PATIENCE, Mirror
from enstack.checkpoints.slots import (
    BEST,
    HISTORY,
    KEPT_ON_SCRATCH,
    LAST,
    SEEN_FILE,
    STATE_FILE,
    WEIGHTS_FILE,
)
from enstack.checkpoints.weights import write_weights
from enstack.errors import CheckpointError, EnstackError, reason_of
from enstack.models.base_models import classifier_files
from enstack.progress.say import say
from enstack.progress.screen import LastCheckpoint
from enstack.progress.session_end import keep_for_saves
from enstack.storage.files import timestamp, write_text
from enstack.storage.json_text import json_text
from enstack.storage.links import make_folder
from enstack.storage.manifest import HashedFolder
from enstack.training.divergence import refuse_spoilt_save
from enstack.training.job import TrainingData
from enstack.training.state import TrainingState

WORTH_A_LINE = 1.0  # seconds of waiting
A_LOOK = 0.1  # seconds; at most so long a signal waits to be heard


class Saver:
    """Saves one training: host memory, then the scratch disk, then run_dir; one save in flight.

    As a context it waits in the end until run_dir has all, and says what is safe where. run_dir is
    written by the mirror's thread alone.
    """

    def __init__(self, training: TrainingState) -> None:
        self.training, self.job = training, training.job
        self._place = self.job.place.as_posix()
        self.mirror = Mirror(self.job.scratch, self.job.folder, self.job.config.keep_checkpoints)
        self._buffers = HostBuffers()
        # One thread, so that saves reach the disk in the order in which they were asked for.
        self._writer = ThreadPoolExecutor(1, "checkpoint-writer")
        self._in_flight: Future[None] | None = None
        self._holds_best = False
        self._saved: tuple[dict[str, int], float] | None = None  # its position, and time.time()
        self._told_of_wait = False
        self._asked_at, self._waited = time.monotonic(), 0.0  # seconds that saves held the loop up

    def __enter__(self) -> Saver:
        # Once for all saves: training changes neither configuration nor tokenizer.
        self._beside = classifier_files(self.training.model, self.job.tokenizer)
        self._seen = _seen_ids(self.job.data)
        make_folder(self.job.scratch)
        # The scratch disk may be a new machine's: the history goes on from what the state holds.
        if self.training.progress.saves:
            self._write_history(self.training.progress.history)
        self.mirror.start()
        if not self.training.finished():
            begun = {"part": self.training.epoch_part(), "checkpoint": self.training.began_with}
            self.log("training_begun", folder=self._place, **self.training.position(), **begun)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # A third Ctrl-C in a notebook, or worse, waits for nothing.
            if error is None or isinstance(error, Exception):
                self._finish(error)
        except KeyboardInterrupt:
            say(f"⚠️  {self._left_behind('the wait for the copy was broken off')}")
            raise
        finally:
            self._writer.shutdown()
            self.mirror.close()
        if error is None and self.training.finished():
            # run_dir has it all, read back and verified.
            slots.clear(self.job.scratch)

    def log(self, event: str, **details: Any) -> None:
        """Have an event written to run_dir, dated now."""
        # Dated here: while Drive is away it is written much later.
        details = {"time": timestamp(), "base_model": self.job.base_model.name, **details}
        self.mirror.later(functools.partial(self.job.log, event, **details))

    def tell(self) -> None:
        """Say what has happened in the background since the last time."""
        if self._in_flight is not None and self._in_flight.done():
            self.settle()
        for line in self.mirror.news():
            say(line)
        keep_for_saves(self.mirror.longest)

    def postfix(self) -> dict[str, str]:
        """What belongs behind the bar: nothing, or how the copy to run_dir stands."""
        status = self.mirror.status()
        return {"copy": status} if status else {}

    def last_checkpoint(self) -> LastCheckpoint | None:
        """The newest checkpoint of this start, verified on the scratch disk; None before the first.

        Where several are on their way to run_dir, it counts as copied when all of them are.
        """
        if self._saved is None:
            return None
        position, saved_at = self._saved
        mirror = self.mirror
        return LastCheckpoint(
            _where(position), saved_at, copied=mirror.complete(), copying=mirror.status()
        )

    def seconds_since_save(self) -> float:
        """Seconds since a save was asked for, or this began."""
        return time.monotonic() - self._asked_at

    def save(self, best: dict[str, float] | None = None) -> None:
        """Save a checkpoint, after waiting for the one before it.

        best: the figures of the epoch that has just ended, where its model is the best so far.
        """
        self._asked_at = time.monotonic()
        # The save in flight still reads from the buffers that this one is copied into.
        self.settle()
        # Before the state is taken, so that it holds the number of its own save.
        self.training.progress.saves += 1
        self.training.count_time()
        state = {"weights": self.training.model.state_dict(), "state": self.training.state_dict()}
        self._holds_best = best is not None
        # Copied in the loop's own thread: once this returns, training may change the weights.
        copy = self._buffers.copy(state)
        self._waited += self.seconds_since_save()
        self._in_flight = self._writer.submit(self._write, copy, best, self._account())

    def _account(self) -> dict[str, float]:
        """What this session's training took so far, and what of it went into waiting."""
        training = self.training
        seconds = {
            "training_seconds": training.session_seconds(),
            "saving_seconds": self._waited,
            "waiting_seconds": sum(wait.waited for wait in training.waits),
        }
        rounded = {name: round(value, 3) for name, value in seconds.items()}
        return rounded | training.computed.account() | {"part": training.epoch_part()}

    def settle(self, *, required: bool = False) -> None:
        """Wait for the save in flight; one that failed is said aloud.

        Raises CheckpointError where it is required, or held a best model: training on would leave
        the best epoch without its weights, and the run goes on from the save before. Raises
        DivergenceError where there were no numbers to be saved.
        """
        saving, self._in_flight = self._in_flight, None
        if saving is None:
            return
        try:
            # Looked at: one that comes while another is handled would be heard after the wait.
            while not wait([saving], A_LOOK).done:
                pass
            saving.result()
        # torch says with a RuntimeError that it could not write.
        except (OSError, RuntimeError, CheckpointError) as error:
            self.log("save_failed", reason=reason_of(error))
            message = f"A checkpoint could not be saved in {self.job.scratch}: "
            message += f"{reason_of(error)}. "
            if required or self._holds_best:
                raise CheckpointError(
                    message + "Make room there, or set local_dir; what was saved before is kept."
                ) from error
            say(f"⚠️  {message}Training goes on; the next save is tried as usual.")

    def _write(
        self, copy: dict[str, Any], best: dict[str, float] | None, account: dict[str, float]
    ) -> None:
        """In the writer's thread: best model, checkpoint and history, each once it is verified."""
        state, weights = copy["state"], copy["weights"]
        progress = state["progress"]
        # Looked at here, in the copy: the loop has better things to do.
        refuse_spoilt_save(self.training, weights, state)
        # The best model first: a checkpoint must not name a best epoch whose weights are lost.
        if best is not None:
            details = {"best_epoch": progress["best_epoch"], **best, "made_from": state["identity"]}
            self._write_folder(BEST, weights, {SEEN_FILE: self._seen}, None, details)
        position = {key: state[key] for key in ("epoch", "step", "total_batches")}
        about = {"made_from": state["identity"], "trained_on": state["trained_on"], **position}
        self._write_folder(LAST, weights, {}, state, {"saved": progress["saves"], **about})
        # After the checkpoint: a resume takes a history for the sign that one was saved.
        self._write_history(progress["history"])
        self._saved = position, time.time()
        checkpoint = slots.checkpoint_digest(self.job.scratch / LAST)
        self.log("saved", folder=self._place, **position, checkpoint=checkpoint, **account)
        if self.job.epoch_saved is not None and not position["step"]:
            self.mirror.later(functools.partial(self.job.epoch_saved, progress["history"]))

    def _write_folder(
        self,
        name: str,
        weights: dict[str, torch.Tensor],
        more: dict[str, bytes],
        state: dict[str, Any] | None,
        details: dict[str, Any],
    ) -> None:
        def write_files(new: HashedFolder) -> None:
            with new.file(WEIGHTS_FILE) as file:
                write_weights(file, weights)
            for file_name, content in {**self._beside, **more}.items():
                with new.file(file_name) as file:
                    file.write(content)
            if state is not None:
                with new.file(STATE_FILE) as file:
                    torch.save(state, file)  # type: ignore[arg-type] # it only writes

        # Writing takes seconds and needs no lock: the mirror waits for the renames alone.
        slots.write(self.job.scratch, name, write_files, **details)
        with self.mirror.moving:
            slots.install(self.job.scratch, name, keep=KEPT_ON_SCRATCH)

    def _write_history(self, history: list[dict[str, Any]]) -> None:
        lines = "".join(json_text(record) + "\n" for record in history)
        write_text(self.job.scratch / HISTORY, lines)

    def _finish(self, error: BaseException | None) -> None:
        """End the save in flight, and bring all to run_dir, whatever became of that save."""
        try:
            # Where an error ends the run already, a failed save is said, and does not hide it.
            self.settle(required=error is None)
        except EnstackError as failed:
            self._bring(failed)
            raise
        self._bring(error)

    def _bring(self, error: BaseException | None) -> None:
        """Wait until run_dir has everything; what can't be brought is said, or raised."""
        self.tell()
        complete = self.mirror.wait(self._tell_of_wait)
        self.tell()
        if complete:
            if self._saved is not None:
                say(f"💾 {self._where()} is safe in {self.job.folder}, copied and verified.")
        # An error that ends the run already is the one to be raised.
        elif error is None:
            raise CheckpointError(self._left_behind(self.mirror.trouble()))
        else:
            say(f"⚠️  {self._left_behind(self.mirror.trouble())}")

    def _tell_of_wait(self, waited: float) -> None:
        """Say once what is waited for, unless that is over in no time; then, what becomes of it."""
        if waited > WORTH_A_LINE and not self._told_of_wait:
            self._told_of_wait = True
            trouble = self.mirror.trouble()
            say(
                f"⏳ Waiting for {self.job.folder} to take what was saved"
                f"{f' ({trouble})' if trouble else ''}, for {PATIENCE:.0f} s without progress at "
                f"most. All is safe in {self.job.scratch}; a third Ctrl-C leaves it there."
            )
        self.tell()

    def _left_behind(self, reason: str) -> str:
        return (
            f"{self.job.folder} lacks what was saved last ({reason}). {self._where()} is "
            f"safe in {self.job.scratch}: run the same again on this machine, and it is "
            "copied; if this machine goes, it is lost."
        )

    def _where(self) -> str:
        if self._saved is None:
            return self.job.title
        return f"{self.job.title}, {_where(self._saved[0])},"


def _where(position: dict[str, int]) -> str:
    epoch, step = position["epoch"], position["step"]
    return f"epoch {epoch}, {f'batch {step}' if step else 'complete'}"


def _seen_ids(data: TrainingData) -> bytes:
    """The functions that a best model has seen, in training or in being chosen, as .npz bytes."""
    file = io.BytesIO()
    # Ids, not rows: subsets and splits number their rows anew.
    ids = np.concatenate([data.train.ids, data.selection.ids])
    np.savez_compressed(file, ids=ids)
    return file.getvalue()
