"""The panel that a notebook shows while a run is at work: stages, bars, curves, Stop button."""

from __future__ import annotations

import contextlib
import html
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from enstack.plots import live_curves
from enstack.progress.bars import Bar
from enstack.progress.kernel import hear_widgets
from enstack.progress.panel_lines import (
    answers_alike,
    checkpoint_line,
    figures_line,
    stages_line,
    warning_lines,
)
from enstack.progress.remaining import Remaining, left_sentence
from enstack.progress.say import in_notebook, say
from enstack.progress.screen import Level, TrainingView, shown_on
from enstack.progress.timed_bars import TimedBars

# Shares of the time that the texts and the curves may take: together under one per cent.
TEXT_SHARE, CURVE_SHARE = 0.002, 0.003
TEXT_SECONDS, CURVE_SECONDS = 0.5, 5.0  # and the shortest time between two of them
HEARING_SECONDS = 0.5  # between two looks for a click, which cost next to nothing
FIRST_CURVES = 2.0  # seconds: before that there is little to see
LEVELS: tuple[Level, ...] = ("pipeline", "epoch", "batch")
FINISHED = "Finished"
WARNINGS = 5  # that are kept in view


@contextlib.contextmanager
def screen_of_run() -> Iterator[None]:
    """Show the panel while the block runs, in a notebook with widgets; elsewhere timed bars."""
    panel = _new_panel() if in_notebook() else None
    if panel is None:
        with shown_on(TimedBars()):
            yield
        return
    with shown_on(panel):
        try:
            yield
        # Ctrl-C and a stop too: a panel that stands still must not look as if work went on.
        except BaseException:
            panel.end("Stopped")
            raise
        panel.end(FINISHED)


def _new_panel() -> Panel | None:
    try:
        import ipywidgets  # noqa: F401 - a notebook can do without, and then has plain bars
    except ImportError:
        return None
    return Panel()


class Pace:
    """Says when something is due, so that it never takes more than a share of the time."""

    def __init__(self, share: float, seconds: float, first: float = 0.0) -> None:
        self.share, self.seconds = share, seconds
        self.spent, self.times = 0.0, 0
        self._next = time.perf_counter() + first

    def due(self) -> bool:
        """Whether it is time again."""
        return time.perf_counter() >= self._next

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Measure the block; the dearer such blocks are, the longer until the next."""
        before = time.perf_counter()
        yield
        now = time.perf_counter()
        self.spent, self.times = self.spent + now - before, self.times + 1
        # By the mean of all so far, so that together they keep to their share.
        self._next = now + max(self.seconds, self.spent / self.times / self.share)


class Panel:
    """A screen made of widgets. Everything it shows is read from the bars and the training."""

    def __init__(self) -> None:
        import ipywidgets as widgets
        from IPython.display import HTML, display

        # A pace of its own: at that of the texts, which each new bar puts off, a click was heard
        # after 7 to 11 seconds where epochs are short.
        self._ears = Pace(1.0, HEARING_SECONDS)
        self._texts = Pace(TEXT_SHARE, TEXT_SECONDS)
        self._curve_pace = Pace(CURVE_SHARE, CURVE_SECONDS, FIRST_CURVES)
        self._rows = {level: Row(widgets) for level in LEVELS}
        self._stages, self._warned = widgets.HTML(), widgets.HTML()
        self._figures, self._checkpoint = widgets.HTML(), widgets.HTML()
        self._stop = widgets.Button(
            description="Stop and save",
            icon="stop",
            button_style="warning",
            tooltip="Finishes the batch at work, saves, and stops; run the cell again to go on.",
        )
        self._stop.on_click(self._ask_to_stop)
        foot = widgets.HBox(
            [self._stop, widgets.VBox([self._figures, self._checkpoint])],
            layout=widgets.Layout(align_items="center", grid_gap="12px"),
        )
        rows = [row.box for row in self._rows.values()]
        lines = [self._stages, *rows, self._warned, foot]
        display(widgets.VBox(lines, layout=widgets.Layout(margin="4px 0 8px 0")))
        # Its place is taken now, above all lines that are printed later.
        self._curves: Any = display(HTML(""), display_id=True)
        self._views: dict[str, TrainingView] = {}
        self._at_work: TrainingView | None = None
        self._bars: dict[Level, Bar] = {}
        self._remaining, self._warnings = Remaining(), list[str]()
        self._epochs_drawn, self._broken = 0, False

    @property
    def seconds_spent(self) -> float:
        """What showing has cost so far."""
        return self._ears.spent + self._texts.spent + self._curve_pace.spent

    def open(self, bar: Bar) -> bool:
        """Show a new bar in the row of its level."""
        self._bars[bar.level] = bar
        self._remaining.open(bar)
        if bar.level == "epoch":
            self._epochs_drawn = 0
        self._guarded(self._show_texts)
        return True

    def redraw(self, bar: Bar) -> bool:
        """Show how things stand, when that is due; False once the panel has failed."""
        if self._ears.due() and not self._broken:
            self._guarded(self._hear)
        if self._texts.due() and not self._broken:
            self._guarded(self._show_texts)
        # At each epoch's end at the latest, else a short run would show none.
        epoch_over = bar.level == "epoch" and bar.done > self._epochs_drawn
        if self._views and (epoch_over or self._curve_pace.due()) and not self._broken:
            self._epochs_drawn = bar.done if epoch_over else self._epochs_drawn
            self._guarded(self._show_curves)
        return not self._broken

    def close(self, bar: Bar) -> None:
        """Leave a bar as it ended, until another takes its row."""
        self._guarded(self._show_texts)
        self._remaining.close(bar)
        if bar.level == "epoch":
            # Trained: what is to be said of it then comes as a warning, which stays.
            self._at_work = None

    def watch(self, view: TrainingView) -> None:
        """Draw the curves of a base model that is being trained from now on."""
        # Out and in again, for the last one is taken for the one at work.
        self._views.pop(view.name, None)
        self._views[view.name] = self._at_work = view
        self._remaining.watch(view)

    def warn(self, text: str) -> None:
        """Keep a warning above the button, the newest last."""
        self._warnings = [*(said for said in self._warnings if said != text), text][-WARNINGS:]
        self._guarded(self._show_texts)

    def end(self, verdict: str) -> None:
        """Show the last state; there is nothing left to stop."""
        self._stop.layout.display = "none"
        if self._views:
            self._guarded(self._show_curves)
        self._guarded(self._show_texts)
        self._figures.value = f"<b>{verdict}</b>"
        if verdict == FINISHED:
            # They would stand there as if something were at work.
            self._rows["epoch"].hide()
            self._rows["batch"].hide()

    def _hear(self) -> None:
        with self._ears.counted():
            hear_widgets()

    def _ask_to_stop(self, _: object) -> None:
        """As the notebook's own stop button does, and Ctrl-C; a second press adds nothing."""
        # More signals would only be told that it is stopping, and a third stops without a save.
        if self._stop.disabled:
            return
        self._stop.disabled, self._stop.description = True, "Stopping …"
        # One road for this button, Ctrl-C and the notebook's own stop.
        os.kill(os.getpid(), signal.SIGINT)

    def _guarded(self, show: Any) -> None:
        """A panel that fails says so and steps back: training matters more."""
        if self._broken:
            return
        try:
            show()
        except Exception as error:
            self._broken = True
            say(f"⚠️  The panel can't be drawn any more ({error!r}); plain lines go on below.")

    def _show_texts(self) -> None:
        with self._texts.counted():
            for level, bar in self._bars.items():
                self._rows[level].show(bar)
            batch, pipeline = self._bars.get("batch"), self._bars.get("pipeline")
            if pipeline is not None and pipeline.parts:
                self._stages.value = self._stage_line(pipeline)
            self._figures.value = figures_line(batch) if batch else ""
            alike = answers_alike(self._at_work) if self._at_work else []
            self._warned.value = warning_lines([*self._warnings, *alike])
            if self._views:
                self._checkpoint.value = checkpoint_line(list(self._views.values())[-1])

    def _stage_line(self, pipeline: Bar) -> str:
        """The stages with ticks, and how long all that is left will take."""
        left = self._remaining.seconds()
        line = stages_line(pipeline.parts, pipeline.done)
        return line if left is None else f"{line}<br>{left_sentence(left)}"

    def _show_curves(self) -> None:
        from IPython.display import Image

        histories = {name: list(view.history) for name, view in self._views.items()}
        if not any(histories.values()):
            return
        with self._curve_pace.counted():
            now = list(self._views.values())[-1]
            picture = live_curves(histories, now.batches, now.epochs)
            self._curves.update(Image(data=picture, format="png", width=760))


class Row:
    """One bar of the panel: what it counts, how far it is, and the pace in words."""

    def __init__(self, widgets: Any) -> None:
        self._title, self._text = widgets.HTML(), widgets.HTML()
        self._bar = widgets.FloatProgress(min=0, max=1, bar_style="info")
        self._title.layout = widgets.Layout(width="260px")
        self._bar.layout = widgets.Layout(width="220px")
        self.box = widgets.HBox([self._title, self._bar, self._text])
        self.box.layout = widgets.Layout(align_items="center", grid_gap="8px", display="none")

    def hide(self) -> None:
        """Take no room any more."""
        self.box.layout.display = "none"

    def show(self, bar: Bar) -> None:
        """Show a bar as it stands."""
        self.box.layout.display = None
        share = bar.done / bar.total
        # Users name base models as they like, and the widget shows HTML.
        self._title.value = html.escape(bar.description)
        self._bar.value = share
        self._bar.bar_style = "success" if bar.done >= bar.total else "info"
        pace = bar.line().removeprefix(f"{bar.description}: ") if bar.level == "batch" else ""
        text = pace or f"{bar.done} of {bar.total} {bar.unit}s"
        self._text.value = f"<span style='font-family: monospace'>{html.escape(text)}</span>"
