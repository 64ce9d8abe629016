"""What a user sees while work goes on: bars, plain lines, and the share of time spent waiting."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from tqdm.auto import tqdm

TEXT_FORMAT = (
    "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {pace}{postfix}]"
)
NOTEBOOK_FORMAT = TEXT_FORMAT.replace("% ", "% {bar} ")
PLAIN_LINES, PLAIN_SECONDS = 10, 2.0  # a log file gets at most ten lines a bar, and not in bursts
DATA_SHARE_LIMIT = 0.10
WARM_UP_BATCHES = 20  # the first batches open files and start workers: they judge nothing
DATA_ADVICE = (
    "💡 The model waits {share:.0%} of the time for data. Put local_dir on the machine's own disk "
    "(not on Drive), or raise num_workers."
)

Item = TypeVar("Item")


def say(text: str) -> None:
    """Print a line for the user, without tearing a bar that is being drawn."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter or Colab kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Bar:
    """A progress bar on a terminal and in a notebook, a few plain lines elsewhere.

    seconds_each: show seconds for one ("0.47s/it") however fast it goes, so that runs compare.
    unit: what is counted.
    """

    def __init__(
        self, total: int, description: str, *, seconds_each: bool = False, unit: str = "it"
    ) -> None:
        self.seconds_each, self.unit = seconds_each, unit
        self.total, self.description = total, description
        self.done, self.postfix = 0, ""
        self.started = self.last_line = time.perf_counter()
        self._drawn: Any = None

    def __enter__(self) -> Bar:
        if in_notebook() or sys.stderr.isatty():
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
        if self._drawn is not None:
            self._drawn.close()

    def advance(self, count: int = 1) -> None:
        """Count finished batches, and redraw the bar when it is time to."""
        before, self.done = self.done, self.done + count
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
    """Measures which share of the time the loop waits for its next batch."""

    def __init__(self) -> None:
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
        passed = time.perf_counter() - self.started
        return self.waited / passed if self.batches > WARM_UP_BATCHES and passed > 0 else 0.0

    def facts(self) -> dict[str, float]:
        """What belongs behind the bar: nothing, or `data` when the share is too high."""
        share = self.share()
        return {"data": share} if share > DATA_SHARE_LIMIT else {}

    def advise(self) -> bool:
        """Say what to do when too much time goes into waiting; whether that was said."""
        share = self.share()
        if share > DATA_SHARE_LIMIT:
            say(DATA_ADVICE.format(share=share))
        return share > DATA_SHARE_LIMIT
