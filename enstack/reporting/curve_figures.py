"""Draws the curves of one model on test: reliability, precision over recall, risk over coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from enstack.plots import COLOURS, INK, MUTED, WIDTH_INCHES, line_style, short_name
from enstack.reporting.evaluation import Evaluation, PrecisionRecall
from enstack.rounding import decimal

__all__ = [
    "FAINT",
    "MOST_CLASSES",
    "THIS_MODEL",
    "largest_classes",
    "plot_precision_recall",
    "plot_reliability",
    "plot_risk_coverage",
]

# Of a second line in the same colour; a single epoch makes no line, so it has markers too.
FAINT: Any = {"linestyle": ":", "linewidth": 1.3, "markerfacecolor": "white", "markersize": 3.5}
MOST_CLASSES = 12  # in a picture; tables have all
THIS_MODEL = "this model"
MARKS = 6  # on a curve, so that print in grey tells it from the others


def plot_reliability(evaluation: Evaluation, base: Evaluation | None) -> Figure:
    """Accuracy against confidence, a dot a bin, larger where more functions are; `base` dotted.

    Dots under the diagonal are claims that did not come true.
    """
    figure, axes = _unit_square("Reliability on test", "confidence", "share that is right")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
    # The chosen row comes last, and so lies on top.
    for one, style in ((base, FAINT), (evaluation, {})):
        if one is not None:
            _reliability_line(axes, one, style, COLOURS[0] if one is evaluation else COLOURS[1])
    figure.legend(loc="outside lower left", fontsize=8.5)
    return figure


def _reliability_line(
    axes: Axes, evaluation: Evaluation, style: Mapping[str, Any], colour: str
) -> None:
    calibration = evaluation.reliability
    places = [part.confidence for part in calibration.bins]
    values = [part.accuracy for part in calibration.bins]
    largest = max(part.n for part in calibration.bins)
    label = f"{_who(evaluation, base=bool(style))}: ECE {decimal(calibration.ece)}"
    # A model that is always as sure has one bin, and one dot.
    axes.plot(places, values, marker="o", color=colour, label=label, **style)
    if not style:
        # Areas in points squared, as scatter takes them; the 8 keep the smallest bin in sight.
        areas = [90 * part.n / largest + 8 for part in calibration.bins]
        axes.scatter(places, values, s=areas, color=colour, zorder=3)


def plot_precision_recall(evaluation: Evaluation) -> Figure:
    """Precision over recall, a line of each class; in ink of whether functions are vulnerable.

    A class that no test function has, or that all have, has no line, nor has one beyond the
    largest.
    """
    shown = largest_classes(evaluation.per_class)
    legend = max(4, 1 + len(shown) // 2)
    title = "Precision over recall on test"
    figure, axes = _unit_square(title, "recall", "precision", legend)
    for number, entry in enumerate(shown):
        label = f"{short_name(entry['class'], 18)}: {_area(entry['average_precision'])}"
        curve = evaluation.curves[entry["class"]]
        _precision_recall_line(axes, curve, {**line_style(number), "label": label})
    if evaluation.detection is not None:
        label = f"vulnerable or not: {_area(evaluation.detection.average_precision)}"
        style = {"color": INK, "linewidth": 2.4, "label": label}
        _precision_recall_line(axes, evaluation.detection.curve, style)
    if axes.lines:
        figure.legend(loc="outside lower left", ncols=2, fontsize=8.5)
    return figure


def largest_classes(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The classes that pictures have room for, those of most test functions, in their order."""
    largest = sorted(range(len(entries)), key=lambda place: -entries[place]["support"])
    return [entries[place] for place in sorted(largest[:MOST_CLASSES])]


def plot_risk_coverage(evaluation: Evaluation, base: Evaluation | None) -> Figure:
    """What share is wrong where only the surest decisions are taken; `base` dotted."""
    figure, axes = _unit_square("Risk over coverage on test", "coverage", "share that is wrong")
    shown = {COLOURS[1]: base, COLOURS[0]: evaluation}
    highest = 0.05  # of a model that is never wrong the axis still needs a length
    for colour, one in shown.items():
        if one is not None:
            curve = one.risk_coverage
            style = {} if one is evaluation else FAINT
            label = f"{_who(one, base=bool(style))}: area {decimal(curve.aurc)}"
            axes.plot(curve.coverage, curve.risk, color=colour, label=label, **style)
            highest = max(highest, *curve.risk)
    # Few models are wrong of nearly all: the rest of the height would be empty.
    axes.set_ylim(0, min(1.02, 1.15 * highest))
    figure.legend(loc="outside lower left", fontsize=8.5)
    return figure


def _unit_square(title: str, x: str, y: str, legend: int = 2) -> tuple[Figure, Axes]:
    """Axes from 0 to 1; legend: the lines of text that it gets room for."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.24 + 0.18 * legend), layout="constrained")
    axes = figure.add_subplot()
    # A little beyond 1, for a dot at the very end would be cut in half.
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    axes.grid()
    return figure, axes


def _precision_recall_line(axes: Axes, curve: PrecisionRecall, style: Mapping[str, Any]) -> None:
    if curve.recall:
        axes.plot(curve.recall, curve.precision, markevery=1 / MARKS, **style)


def _who(evaluation: Evaluation, base: bool) -> str:
    """A line's model; the page says before the pictures which the shown one is."""
    return f"best base model ({short_name(evaluation.title)})" if base else THIS_MODEL


def _area(value: float | None) -> str:
    return "–" if value is None else decimal(value)
