"""What a user sees while work goes on: bars, plain lines, and the share of time spent waiting.

Bars are drawn wherever work is done. A screen, such as a notebook's panel, may take them over; it
is the one thing here that is set for the whole process, as standard output is.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

from tqdm.auto import tqdm

TEXT_FORMAT = (
    "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {pace}{postfix}]"
)
NOTEBOOK_FORMAT = TEXT_FORMAT.replace("% ", "% {bar} ")
PLAIN_LINES, PLAIN_SECONDS = 10, 2.0  # a log file gets at most ten lines a bar, and not in bursts
DATA_SHARE_LIMIT = 0.10
WARM_UP_BATCHES = 20  # the first batches open files and start workers: they judge nothing
DATA_ADVICE = "💡 The model waits {share:.0%} of the time for data: {why}."
ADVICE_AFTER = 20.0  # seconds of training after which the share is worth a line

Item = TypeVar("Item")
Level = Literal["pipeline", "epoch", "batch"]


@dataclass(frozen=True)
class LastCheckpoint:
    """The newest checkpoint of a base model in training, verified where it was written."""

    position: str
    saved_at: float  # time.time()
    copied: bool  # to run_dir, and verified there
    copying: str  # how the copy stands, in a few words; nothing where it needs none


@dataclass(frozen=True)
class TrainingView:
    """What a screen may look at while a base model is trained; looking changes nothing.

    history: the records of steps and epochs; it grows. batches: of one epoch. epochs: that are
    asked for. last_checkpoint: None where this start has saved nothing yet.
    """

    name: str
    history: list[dict[str, Any]]
    batches: int
    epochs: int
    last_checkpoint: Callable[[], LastCheckpoint | None]


class Screen(Protocol):
    """What takes over the bars while it is shown."""

    def open(self, bar: Bar) -> None:
        """A bar begins."""

    def redraw(self, bar: Bar) -> bool:
        """A bar has moved; False where the screen can't show it, and plain lines must."""

    def close(self, bar: Bar) -> None:
        """A bar ends."""

    def watch(self, view: TrainingView) -> None:
        """A base model's training begins."""


_screen: Screen | None = None


@contextlib.contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    """Let a screen take over the bars while the block runs."""
    global _screen
    before, _screen = _screen, screen
    try:
        yield
    finally:
        _screen = before


def watch(view: TrainingView) -> None:
    """Offer a training to the screen, if there is one."""
    if _screen is not None:
        _screen.watch(view)


def say(text: str) -> None:
    """Print a line for the user, without tearing a bar that is being drawn."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)


def duration(seconds: float) -> str:
    """A length of time for people: 42 s, 10 min, 1 h 40 min."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter or Colab kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Bar:
    """A progress bar on a terminal and in a notebook, a few plain lines elsewhere.

    seconds_each: show seconds for one ("0.47s/it") however fast it goes, so that runs compare.
    unit: what is counted. level: bars around others are shown on a screen only. wait: measures
    what the bar's loop waits for; examples: of one batch, for a pace in examples.
    """

    def __init__(
        self,
        total: int,
        description: str,
        *,
        seconds_each: bool = False,
        unit: str = "it",
        level: Level = "batch",
        wait: DataWait | None = None,
        examples: int = 0,
    ) -> None:
        self.seconds_each, self.unit, self.level = seconds_each, unit, level
        self.wait, self.examples = wait, examples
        self.total, self.description = total, description
        self.done, self.postfix = 0, ""
        self.started = self.last_line = time.perf_counter()
        self._drawn: Any = None
        self._screen = _screen

    def __enter__(self) -> Bar:
        if self._screen is not None:
            self._screen.open(self)
        elif self.level == "batch" and (in_notebook() or sys.stderr.isatty()):
            self._drawn = _PacedBar(
                total=self.total,
                desc=self.description,
                bar_format=NOTEBOOK_FORMAT if in_notebook() else TEXT_FORMAT,
                unit=self.unit,
            )
            self._drawn.seconds_each = self.seconds_each
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._screen is not None:
            self._screen.close(self)
        if self._drawn is not None:
            self._drawn.close()

    def advance(self, count: int = 1) -> None:
        """Count finished batches, and redraw the bar when it is time to."""
        before, self.done = self.done, self.done + count
        if self._screen is not None and self._screen.redraw(self):
            return
        if self._drawn is not None:
            self._drawn.update(count)
        elif self._line_due(before):
            self.last_line = time.perf_counter()
            print(self.line(), flush=True)

    def show(self, **facts: float | str) -> None:
        """Put figures behind the bar: loss, lr, the share of time spent waiting, the copy."""
        self.postfix = ", ".join(f"{name}={_figure(name, fact)}" for name, fact in facts.items())
        if self._drawn is not None:
            self._drawn.set_postfix_str(self.postfix, refresh=False)

    def line(self) -> str:
        """The bar as one line of text."""
        elapsed = max(time.perf_counter() - self.started, 1e-9)
        return str(
            tqdm.format_meter(
                self.done,
                self.total,
                elapsed,
                prefix=self.description,
                bar_format=TEXT_FORMAT,
                postfix=self.postfix or None,
                # A field of our own, which tqdm's hints do not know.
                pace=_pace(self.done / elapsed, self.seconds_each, self.unit),  # type: ignore[call-arg]
            )
        )

    def _line_due(self, before: int) -> bool:
        if self.level != "batch":
            return False
        if self.done == self.total:
            return True
        tenth = max(1, self.total // PLAIN_LINES)
        waited = time.perf_counter() - self.last_line
        return self.done // tenth > before // tenth and waited > PLAIN_SECONDS


class _PacedBar(tqdm):  # type: ignore[type-arg]
    """A tqdm bar that writes its pace as this project does."""

    seconds_each = False

    @property
    def format_dict(self) -> dict[str, Any]:
        facts = super().format_dict
        elapsed = facts["elapsed"]
        rate = facts["rate"] or (facts["n"] / elapsed if elapsed else None)
        return {**facts, "pace": _pace(rate, self.seconds_each, facts["unit"])}


def _pace(rate: float | None, seconds_each: bool, unit: str) -> str:
    if not rate:
        return f"?{unit}/s"
    return f"{1 / rate:.2f}s/{unit}" if seconds_each or rate < 1 else f"{rate:.1f}{unit}/s"


def _figure(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return {"lr": f"{value:.1e}", "data": f"{value:.0%}"}.get(name, f"{value:.4f}")


class DataWait:
    """Measures which share of the time the loop waits for its next batch.

    why: what the waiting comes from and what to do, for the line of advice.
    """

    def __init__(self, why: str = "see num_workers and local_dir") -> None:
        self.why = why
        self.waited, self.batches = 0.0, 0
        self.started = time.perf_counter()

    def watch(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield the batches, timing each wait; the first ones are not counted."""
        iterator = iter(batches)
        while True:
            before = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.batches += 1
            if self.batches > WARM_UP_BATCHES:
                self.waited += time.perf_counter() - before
            else:
                self.started = time.perf_counter()
            yield batch

    def share(self) -> float:
        """Time waited over time passed, 0 to 1."""
        passed = self._passed()
        return self.waited / passed if self.batches > WARM_UP_BATCHES and passed > 0 else 0.0

    def facts(self) -> dict[str, float]:
        """What belongs behind the bar: nothing, or `data` when the share is too high."""
        share = self.share()
        return {"data": share} if share > DATA_SHARE_LIMIT else {}

    def settled(self) -> bool:
        """Whether enough time has passed for the share to mean something."""
        return self._passed() > ADVICE_AFTER

    def advise(self) -> bool:
        """Say why the loop waits and what to do, when it waits too much; whether that was said."""
        share = self.share()
        if share > DATA_SHARE_LIMIT:
            say(DATA_ADVICE.format(share=share, why=self.why))
        return share > DATA_SHARE_LIMIT

    def _passed(self) -> float:
        return time.perf_counter() - self.started
