"""Draws the report's figures from plain values, without any global plotting state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from enstack.plots import (
    COLOURS,
    INK,
    MUTED,
    STYLE,
    WIDTH_INCHES,
    draw_curve,
    line_style,
    png_bytes,
    short_name,
)
from enstack.reporting.content import Epoch, ReportContent, TrainingCurve
from enstack.reporting.curve_figures import (
    FAINT,
    MOST_CLASSES,
    THIS_MODEL,
    largest_classes,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
)
from enstack.reporting.evaluation import Evaluation
from enstack.reporting.pictures import inline_svg
from enstack.rounding import decimal, percent

DIAMOND: Any = {
    "linestyle": "",
    "marker": "D",
    "markerfacecolor": "white",
    "markeredgecolor": COLOURS[1],
    "markeredgewidth": 1.5,
}
BESIDE_DIAMOND = 7.5  # points, more than half of one with its edge
# Under this many functions of a class, its F1 proves little.
SMALL_CLASS = 30


@dataclass(frozen=True)
class Pictures:
    """PNG files by name; SVG elements of those that stand on the page."""

    files: dict[str, bytes]
    on_page: dict[str, str]


def draw_figures(content: ReportContent) -> Pictures:
    """Draw every figure of a report, the same for the same content."""
    training, chosen, base = content.training, content.chosen, content.best_base
    # For these figures alone: a caller's own plotting settings stay as they are.
    with matplotlib.rc_context(STYLE):
        figures = {
            "training_loss": plot_training_curves(training, "Loss", "train_loss", "val_loss"),
            "validation_macro_f1": plot_training_curves(
                training, "Macro-F1 on validation", "val_macro_f1"
            ),
            "confusion_matrix": plot_confusion_matrix(chosen),
            "class_f1": plot_class_f1(chosen, base),
            "reliability": plot_reliability(chosen, base),
            "precision_recall": plot_precision_recall(chosen),
            "risk_coverage": plot_risk_coverage(chosen, base),
        }
        return Pictures(
            files={name: png_bytes(figure) for name, figure in figures.items()},
            # A table says there what the confusion matrix shows: it can be read aloud, and moved.
            on_page={
                name: inline_svg(figure, name)
                for name, figure in figures.items()
                if name != "confusion_matrix"
            },
        )


def plot_training_curves(
    training: Sequence[TrainingCurve], title: str, value: str, dotted: str | None = None
) -> Figure:
    """One line per base model over the epochs; the epoch that was kept is ringed.

    `value` names the solid line, `dotted` a second one in the same colour. A value that is None
    (a loss that was not finite) leaves a gap.
    """
    notes = _style_notes(dotted)
    # Room for the legend's lines, so that many base models do not squeeze the curves.
    height = 2.6 + 0.18 * (len(training) + len(notes))
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    for number, model in enumerate(training):
        numbers = [epoch.epoch for epoch in model.epochs]
        draw_curve(axes, numbers, _values(model.epochs, value), line_style(number))
        if dotted is not None:
            style = {**line_style(number), **FAINT}
            draw_curve(axes, numbers, _values(model.epochs, dotted), style)
        else:
            _ring_best(axes, model.epochs, value, number)
    _epoch_axis(axes, [epoch.epoch for model in training for epoch in model.epochs])
    axes.grid(axis="y")
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.tick_params(length=0)
    _legend(figure, [model.name for model in training], notes)
    return figure


def plot_confusion_matrix(evaluation: Evaluation) -> Figure:
    """Counts of true against predicted classes; the shade is the share of the true class."""
    counts = np.asarray(evaluation.confusion, dtype=float)
    classes = [short_name(name, 14) for name in evaluation.confusion_classes]
    totals = counts.sum(axis=1, keepdims=True)
    # A class without test functions has no shares: its row stays white.
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    figure = Figure(
        figsize=(WIDTH_INCHES, min(5.2, 1.5 + 0.52 * len(classes))), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    # Of many classes the shades are to be seen, and there is no room for counts.
    for row, column in np.ndindex(*counts.shape) if len(classes) <= MOST_CLASSES else ():
        _cell(axes, row, column, int(counts[row, column]), shares[row, column])
    _class_ticks(axes, classes)
    axes.set_title("Confusion on test")
    return figure


def plot_class_f1(evaluation: Evaluation, base: Evaluation | None) -> Figure:
    """One F1 bar per class with the number of its functions; `base` is marked by a diamond.

    Of many classes the largest are drawn.
    """
    entries = largest_classes(evaluation.per_class)
    figure = Figure(figsize=(WIDTH_INCHES, 1.15 + 0.42 * len(entries)), layout="constrained")
    axes = figure.add_subplot()
    for position, entry in enumerate(entries):
        _class_bar(axes, position, entry)
    if base is not None:
        of_base = {entry["class"]: entry["f1"] for entry in base.per_class}
        values = [of_base[entry["class"]] for entry in entries]
        # At 0 and at 1 half of the diamond lies outside the axes.
        axes.plot(values, range(len(values)), **DIAMOND, clip_on=False)
    _class_axis(axes, entries)
    axes.set_title("F1 per class on test")
    _class_legend(figure, entries, base.title if base else None)
    return figure


def _values(epochs: Sequence[Epoch], name: str) -> list[float | None]:
    return [getattr(epoch, name) for epoch in epochs]


def _ring_best(axes: Axes, epochs: Sequence[Epoch], value: str, number: int) -> None:
    # Each epoch that was the best so far is marked so; the last of them was kept.
    kept = [epoch for epoch in epochs if epoch.best and getattr(epoch, value) is not None]
    if kept:
        axes.plot(
            kept[-1].epoch,
            getattr(kept[-1], value),
            "o",
            mfc="none",
            mec=line_style(number)["color"],
            ms=10,
            mew=1.2,
        )


def _epoch_axis(axes: Axes, epochs: Sequence[int]) -> None:
    first, last = (min(epochs), max(epochs)) if epochs else (1, 1)
    # Half an epoch more at both ends: with one epoch the axis would have no length.
    axes.set_xlim(first - 0.5, last + 0.5)
    # min_n_ticks: with one epoch, matplotlib would number tenths to have two ticks.
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))


def _style_notes(dotted: str | None) -> list[tuple[str, dict[str, Any]]]:
    if dotted is None:
        ring = {"marker": "o", "linestyle": "", "mfc": "none", "ms": 9}
        return [("epoch kept", {"color": MUTED, **ring})]
    return [
        ("train", {"color": MUTED, "marker": "o"}),
        ("validation", {"color": MUTED, "marker": "o", **FAINT}),
    ]


def _legend(
    figure: Figure, names: Sequence[str], notes: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    entries = [(short_name(name), line_style(number)) for number, name in enumerate(names)]
    entries += [(label, style) for label, style in notes]
    handles = [Line2D([], [], **style) for _, style in entries]
    labels = [label for label, _ in entries]
    figure.legend(handles, labels, loc="outside lower left", fontsize=8.5)


def _cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    if count:
        text = f"{count:,}\n{percent(share, 0)}"
        colour = "white" if share > 0.6 else INK  # ink can't be read on dark blue
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour)


def _class_ticks(axes: Axes, classes: Sequence[str]) -> None:
    places = range(len(classes))
    # Longer names than that, side by side, would run into each other.
    tilted = sum(map(len, classes)) > 40
    axes.set_xticks(
        places, classes, rotation=30 if tilted else 0, ha="right" if tilted else "center"
    )
    axes.set_yticks(places, classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[:].set_visible(False)
    # White rules between the cells keep pale neighbours apart.
    axes.set_xticks(np.arange(len(classes) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(classes) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)


def _class_bar(axes: Axes, position: int, entry: Mapping[str, Any]) -> None:
    small = entry["support"] < SMALL_CLASS
    axes.barh(position, entry["f1"], height=0.62, linewidth=0.8, **_bar_style(small))
    # Right of the axis, which ends at 1, so that no bar runs through the number.
    f1 = f"{decimal(entry['f1'])}   " if entry["support"] else ""
    text = f"{f1}n = {entry['support']:,}"
    axes.text(1.04, position, text, va="center", fontsize=8.5)


def _bar_style(small: bool) -> dict[str, Any]:
    """Hatched and pale for a small class, so that print shows it too."""
    style = {"facecolor": "white", "hatch": "/////"} if small else {"facecolor": COLOURS[0]}
    return {**style, "edgecolor": COLOURS[0]}


def _class_axis(axes: Axes, entries: Sequence[Mapping[str, Any]]) -> None:
    labels = [short_name(entry["class"], 18) for entry in entries]
    axes.set_yticks(range(len(entries)), labels, fontsize=8.5)
    # At 0, half of a diamond lies to the left of the axis: the names begin beyond it.
    axes.tick_params(axis="y", pad=BESIDE_DIAMOND)
    axes.set_xlim(0, 1)
    # Upside down, for the first class belongs on top.
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _class_legend(figure: Figure, entries: Sequence[Mapping[str, Any]], base: str | None) -> None:
    handles: list[Artist] = [Patch(**_bar_style(small=False))]
    labels = [THIS_MODEL]
    if base is not None:
        handles.append(Line2D([], [], **DIAMOND))
        labels.append(f"best base model ({short_name(base)})")
    if any(entry["support"] < SMALL_CLASS for entry in entries):
        handles.append(Patch(**_bar_style(small=True)))
        labels.append(f"hatched: n under {SMALL_CLASS}, proves little")
    figure.legend(handles, labels, loc="outside lower left", ncols=1, fontsize=8.5)
