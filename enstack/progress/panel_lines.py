"""What the panel writes: lines of HTML made of bars and trainings."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence

from enstack.progress.bars import Bar
from enstack.progress.data_wait import DATA_SHARE_LIMIT
from enstack.progress.say import duration
from enstack.progress.screen import Part, TrainingView
from enstack.rounding import percent

GREEN, AMBER = "#2e7d32", "#b26a00"


def stages_line(parts: Sequence[Part], done: int) -> str:
    """The names of all parts: ticked, at work, to come; as HTML."""
    marks = [
        f"<span style='color: {GREEN}'>✓ {html.escape(part.name)}</span>"
        if number < done
        else f"<b>▶ {html.escape(part.name)}</b>"
        if number == done
        else f"<span style='opacity: .6'>{html.escape(part.name)}</span>"
        for number, part in enumerate(parts)
    ]
    return " &nbsp;·&nbsp; ".join(marks)


def figures_line(bar: Bar) -> str:
    """Examples per second, and the share of time spent waiting for data."""
    elapsed = time.perf_counter() - bar.started
    parts = []
    if bar.examples and bar.done and elapsed > 0:
        parts.append(f"{bar.done * bar.examples / elapsed:,.1f} examples/s")
    if bar.wait is not None:
        share = bar.wait.share()
        colour = AMBER if share > DATA_SHARE_LIMIT else GREEN
        parts.append(
            f"<span style='color: {colour}'>{percent(share, 0)} of the time waits for data</span>"
        )
    return " · ".join(parts)


def checkpoint_line(view: TrainingView) -> str:
    """The newest checkpoint of a training, its age, and how its copy stands."""
    last = view.last_checkpoint()
    if last is None:
        return f"💾 {html.escape(view.name)}: nothing saved since this start"
    age = duration(time.time() - last.saved_at)
    copy = "copied to the run folder and verified" if last.copied else "copying to the run folder"
    if last.copying and not last.copied:
        copy += f": {last.copying}"
    text = f"{view.name}, {last.position}: saved {age} ago, verified on this machine; {copy}"
    return f"💾 {html.escape(text)}"


def warning_lines(warnings: Sequence[str]) -> str:
    """Warnings, a line each."""
    lines = "<br>".join(html.escape(text) for text in warnings)
    return f"<div style='color: {AMBER}; line-height: 1.4'>{lines}</div>" if lines else ""


def answers_alike(view: TrainingView) -> list[str]:
    """A warning where the last epoch of a training gave all functions the same answer."""
    last = next((one for one in reversed(view.history) if one["event"] == "epoch"), None)
    if last is None or (answer := last.get("only_answer")) is None:
        return []
    return [
        f"⚠️  {view.name} gives every validation function the same answer ({answer}) in "
        f"epoch {last['epoch']}: it has learnt nothing that tells them apart."
    ]
