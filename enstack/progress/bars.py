"""A progress bar on a terminal, in a notebook, on a screen, or as plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm  # a widget in notebooks, text elsewhere

from enstack.console import Output, printable, put
from enstack.progress.data_wait import DataWait
from enstack.progress.say import in_notebook
from enstack.progress.screen import Level, Part, current_screen

# With a field of our own for the pace: tqdm's pads its figures, flips between it/s and s/it by
# itself, and said 0.00s/it.
TEXT_FORMAT = (
    "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {pace}{postfix}]"
)
# There {bar} is the place of a widget.
NOTEBOOK_FORMAT = TEXT_FORMAT.replace("% ", "% {bar} ")
PLAIN_LINES, PLAIN_SECONDS = 10, 2.0  # a log file gets at most ten lines a bar, and not in bursts


class Bar:
    """A progress bar on a terminal and in a notebook, a few plain lines elsewhere.

    seconds_each: show seconds for one ("0.47s/it") however fast it goes, so that runs compare.
    unit: what is counted. level: bars around others are shown on a screen only. wait: measures
    what the bar's loop waits for; examples: of one batch, for a pace in examples. parts: the names
    of what is counted, where each has one. A bar of nothing is not shown.
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
        parts: Sequence[Part] = (),
    ) -> None:
        self.seconds_each, self.unit, self.level = seconds_each, unit, level
        self.wait, self.examples, self.parts = wait, examples, tuple(parts)
        self.total, self.description = total, printable(description)
        self.done, self.postfix = 0, ""
        self.extra = ""  # what a screen adds behind the figures
        self.started = self.last_line = time.perf_counter()
        self._drawn: Any = None
        # Kept, so that a bar ends on the screen on which it began.
        self._screen = current_screen() if total else None

    def __enter__(self) -> Bar:
        shown = self._screen is not None and self._screen.open(self)
        # Where tqdm draws.
        if not shown and self._drawable():
            self._drawn = _PacedBar(
                total=self.total,
                desc=self.description,
                bar_format=NOTEBOOK_FORMAT if in_notebook() else TEXT_FORMAT,
                # None: where tqdm draws by itself, a widget in a notebook.
                file=None if in_notebook() else Output.around(sys.stderr),
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
            put(self.line(), sys.stdout)

    def show(self, **figures: float | str) -> None:
        """Put figures behind the bar: loss, lr, the share of time spent waiting, the copy."""
        self.show_text(
            ", ".join(f"{name}={_figure(name, value)}" for name, value in figures.items())
        )

    def show_text(self, text: str) -> None:
        """Put a text behind the bar."""
        self.postfix = text
        if self._drawn is not None:
            # It is drawn by the next update, which keeps to tqdm's own intervals.
            self._drawn.set_postfix_str(self._postfix(), refresh=False)

    def _postfix(self) -> str:
        return ", ".join(filter(None, (self.postfix, self.extra)))

    def line(self) -> str:
        """The bar as one line of text."""
        # Two looks at a clock may give the same time.
        elapsed = max(time.perf_counter() - self.started, 1e-9)
        return str(
            tqdm.format_meter(
                self.done,
                self.total,
                elapsed,
                prefix=self.description,
                bar_format=TEXT_FORMAT,
                postfix=self._postfix() or None,
                # A field of our own, which tqdm's hints do not know.
                pace=_pace(self.done / elapsed, self.seconds_each, self.unit),  # type: ignore[call-arg]
            )
        )

    def _drawable(self) -> bool:
        """Whether tqdm would draw this bar: nothing to count is no bar, nor are the outer ones."""
        if not self.total or self.level != "batch":
            return False
        return in_notebook() or Output.around(sys.stderr).isatty()

    def _line_due(self, before: int) -> bool:
        if self.level != "batch":
            return False
        # The last line always, however soon after another: it says that all was done.
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
        fields = super().format_dict
        elapsed = fields["elapsed"]
        # tqdm smooths its rate, and has none at first.
        rate = fields["rate"] or (fields["n"] / elapsed if elapsed else None)
        return {**fields, "pace": _pace(rate, self.seconds_each, fields["unit"])}


def _pace(rate: float | None, seconds_each: bool, unit: str) -> str:
    if not rate:
        return f"?{unit}/s"
    return f"{1 / rate:.2f}s/{unit}" if seconds_each or rate < 1 else f"{rate:.1f}{unit}/s"


def _figure(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return {"lr": f"{value:.1e}", "data": f"{value:.0%}"}.get(name, f"{value:.4f}")
