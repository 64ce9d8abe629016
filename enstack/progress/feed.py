"""What a run in another process shows: told there in a file, line by line, and shown again here."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.say import say
from enstack.progress.screen import LastCheckpoint, Part, TrainingView, current_screen, watch
from enstack.storage.json_text import json_text, parsed_json

__all__ = ["Feed", "FeedFollower", "FeedScreen", "Said"]

EVERY = 0.25  # seconds between two looks at a bar of batches: 12 hours are some 20 MB


class Feed:
    """A file of JSON objects, one a line, of which each says `what` it tells.

    A feed that can't be written is given up: the run matters more.
    """

    def __init__(self, path: Path) -> None:
        # By lines, so that whoever follows never waits for a buffer to fill.
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._one_at_a_time = threading.Lock()  # saves are told of in threads of their own

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        with self._one_at_a_time, contextlib.suppress(OSError):
            self._file.close()

    def tell(self, what: str, **details: Any) -> None:
        """Tell one thing."""
        line = json_text({"what": what, **details}) + "\n"
        with self._one_at_a_time, contextlib.suppress(OSError):
            if not self._file.closed:
                self._file.write(line)


class Said(io.TextIOBase):
    """A stream whose text is told in a feed, in whole lines."""

    def __init__(self, feed: Feed) -> None:
        self._feed, self._text = feed, ""

    def write(self, text: str) -> int:
        """Tell the text once its line is whole."""
        self._text += text
        if self._text.endswith("\n"):
            whole, self._text = self._text[:-1], ""
            self._feed.tell("said", text=whole)
        return len(text)


class FeedScreen:
    """A screen that tells a feed what it should show."""

    def __init__(self, feed: Feed) -> None:
        self._feed, self._next = feed, 0.0
        self._view: TrainingView | None = None
        self._records, self._checkpoint = 0, dict[str, Any]()

    def open(self, bar: Bar) -> bool:
        """A bar begins."""
        self._feed.tell(
            "opened",
            bar=id(bar),
            total=bar.total,
            description=bar.description,
            seconds_each=bar.seconds_each,
            unit=bar.unit,
            level=bar.level,
            examples=bar.examples,
            parts=[[part.name, part.epochs] for part in bar.parts],
            waits=bar.wait is not None,
            started=bar.started,
        )
        return True

    def redraw(self, bar: Bar) -> bool:
        """A bar has moved."""
        now = time.monotonic()
        if bar.level != "batch" or bar.done >= bar.total or now >= self._next:
            self._next = now + EVERY
            self._look(bar)
        return True

    def close(self, bar: Bar) -> None:
        """A bar ends."""
        self._look(bar)
        self._feed.tell("closed", bar=id(bar))

    def watch(self, view: TrainingView) -> None:
        """A base model's training begins."""
        self._view, self._records, self._checkpoint = view, 0, {}
        self._feed.tell("watched", name=view.name, batches=view.batches, epochs=view.epochs)

    def warn(self, text: str) -> None:
        """It was said already, and is to be kept in view."""
        self._feed.tell("warned", text=text)

    def _look(self, bar: Bar) -> None:
        """Tell how a bar stands, and before it what is new of the training."""
        if self._view is not None:
            self._look_at_training(self._view)
        share = bar.wait.share() if bar.wait is not None else 0.0
        self._feed.tell("at", bar=id(bar), done=bar.done, text=bar.postfix, waits=share)

    def _look_at_training(self, view: TrainingView) -> None:
        records = view.history[self._records :]
        if records:
            self._records += len(records)
            self._feed.tell("trained", records=records)
        last = view.last_checkpoint()
        if last is not None and (checkpoint := asdict(last)) != self._checkpoint:
            self._checkpoint = checkpoint
            self._feed.tell("saved", **checkpoint)


class _ToldWait(DataWait):
    """The share of waiting that another process has measured."""

    told = 0.0

    def share(self) -> float:
        """As it was told last."""
        return self.told


class FeedFollower:
    """Shows on the screen of this process what another tells in its feed.

    fault: the error that it has told, as `what` tells it; None where it has told none.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._rest = path, 0, b""
        self._bars: dict[int, Bar] = {}
        self._history: list[dict[str, Any]] = []
        self._checkpoints: dict[str, LastCheckpoint] = {}
        self._at_work = ""
        self.fault: dict[str, str] | None = None

    def look(self) -> None:
        """Show what is new; a line that is not whole yet waits for its rest."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:  # not begun
            file.seek(self._read)
            new = file.read()
            self._read += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                told = parsed_json(line)
                getattr(self, f"_{told.pop('what')}")(**told)

    def end(self) -> None:
        """End the bars of a process that did not: nothing moves them any more."""
        for number in list(self._bars):
            self._closed(number)

    def _said(self, text: str) -> None:
        say(text)

    def _warned(self, text: str) -> None:
        screen = current_screen()
        if screen is not None:
            screen.warn(text)

    def _opened(
        self, bar: int, *, started: float, waits: bool, parts: list[Any], **told: Any
    ) -> None:
        named = [Part(*part) for part in parts]
        shown = Bar(**told, parts=named, wait=_ToldWait() if waits else None)
        # The clock of one machine: the pace is that of the work, not that of being told.
        shown.started = started
        self._bars[bar] = shown.__enter__()

    def _at(self, bar: int, done: int, text: str, waits: float) -> None:
        shown = self._bars[bar]
        if isinstance(shown.wait, _ToldWait):
            shown.wait.told = waits
        shown.show_text(text)
        if done > shown.done:
            shown.advance(done - shown.done)

    def _closed(self, bar: int) -> None:
        self._bars.pop(bar).__exit__(None, None, None)

    def _watched(self, name: str, batches: int, epochs: int) -> None:
        # Of one training alone: those before it keep theirs.
        self._history, self._at_work = [], name
        self._checkpoints.pop(name, None)
        watch(
            TrainingView(name, self._history, batches, epochs, lambda: self._checkpoints.get(name))
        )

    def _trained(self, records: list[dict[str, Any]]) -> None:
        self._history += records

    def _saved(self, **checkpoint: Any) -> None:
        self._checkpoints[self._at_work] = LastCheckpoint(**checkpoint)

    def _failed(self, **fault: str) -> None:
        self.fault = fault
