"""The style of all pictures, and the curves that are drawn while models are trained."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, which colour-blind readers tell apart; markers tell the rest in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.")
# Of bars side by side: full, hatched and light, so that print in grey tells them apart too.
BARS: tuple[dict[str, Any], ...] = (
    {"facecolor": COLOURS[0], "edgecolor": COLOURS[0]},
    {"facecolor": "#F6C9A0", "edgecolor": "#8A3B00", "hatch": "////"},
    {"facecolor": "white", "edgecolor": "#00563F", "hatch": "...."},
)
INK, MUTED, RULE = "#1c2430", "#5b6675", "#dfe4ea"
DOTS_PER_INCH = 200
WIDTH_INCHES = 4.4
STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 9.5,
    # Names come from users: a dollar sign in one is no formula.
    "text.parse_math": False,
    "text.usetex": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "white",
    "axes.linewidth": 0.8,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlepad": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def live_curves(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], batches: int, epochs: int
) -> bytes:
    """Loss over the epochs and macro-F1 of each, while models are trained, as PNG bytes.

    histories: the records of every base model so far, by name, the one at work last; its loss is
    drawn. batches: of one epoch, which places a step between two epochs. epochs: of the whole
    training, so that one sees what is left.
    """
    with matplotlib.rc_context({**STYLE, "font.size": 8.5, "axes.titlesize": 9.0}):
        figure = Figure(figsize=(8.4, 2.1))
        left, right = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.06, right=0.985, bottom=0.17, top=0.86, wspace=0.16)
        name, history = list(histories.items())[-1]
        # The colour that this model has among the curves at the right.
        _live_loss(left, history, batches, COLOURS[(len(histories) - 1) % len(COLOURS)])
        left.set_title(f"Training loss over the epochs, {short_name(name)}")
        # Set by hand: with nothing to draw yet, axes ran from -0.04 to 0.04.
        left.set_xlim(0, epochs)
        for number, (other, history) in enumerate(histories.items()):
            records = [record for record in history if record["event"] == "epoch"]
            numbers = [record["epoch"] for record in records]
            scores = [record["val_macro_f1"] for record in records]
            draw_curve(right, numbers, scores, {**line_style(number), "label": short_name(other)})
        right.set_title("Macro-F1 on validation, by epoch")
        right.set_xlim(0.5, epochs + 0.5)
        right.set_ylim(0, 1)
        right.legend(fontsize=8, loc="upper left")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
            axes.grid(axis="y")
        return png_bytes(figure, dots_per_inch=110)


def _live_loss(axes: Axes, history: Sequence[Mapping[str, Any]], batches: int, colour: str) -> None:
    steps = [record for record in history if record["event"] == "step"]
    places = [step["epoch"] - 1 + step["batch"] / max(1, batches) for step in steps]
    # A few points make no line that one could see.
    marker = "o" if len(steps) < 10 else None
    axes.plot(places, [step["loss"] for step in steps], lw=1.2, ms=3, marker=marker, color=colour)


def png_bytes(figure: Figure, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A figure as a PNG file: equal figures are equal bytes."""
    # Agg draws into memory: no display is needed, nor pyplot, which keeps each figure alive.
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name may use letters that the font lacks; a box stands there, and the page has it right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # No version and no date: equal inputs make equal bytes.
        figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dash of the line with that number, each pair told apart in print."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def draw_curve(
    axes: Axes, epochs: Sequence[int], values: Sequence[float | None], style: Mapping[str, Any]
) -> None:
    """One value of each epoch as a line; a value that is None leaves a gap."""
    axes.plot(epochs, [np.nan if value is None else value for value in values], **style)


def short_name(name: str, limit: int = 28) -> str:
    """A name cut in its middle, so that both ends still tell it from its like."""
    # matplotlib leaves labels that start with an underscore out of legends.
    name = f" {name}" if name.startswith("_") else name
    half = (limit - 1) // 2
    return name if len(name) <= limit else f"{name[:half]}…{name[-half:]}"
