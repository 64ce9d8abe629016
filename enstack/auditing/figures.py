"""Draws an audit's figures from plain values, as SVG in the style of the report's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from enstack.auditing.content import Audit, FlagsTogether, Lengths
from enstack.plots import (
    BARS,
    COLOURS,
    DASHES,
    INK,
    MUTED,
    STYLE,
    WIDTH_INCHES,
    short_name,
)
from enstack.reporting.pictures import inline_svg
from enstack.rounding import percent

__all__ = ["draw_audit_figures"]


def draw_audit_figures(audit: Audit) -> dict[str, str]:
    """Draw every figure of an audit: SVG by its name, the same for the same audit.

    flags: only where a function has several.
    """
    with matplotlib.rc_context(STYLE):
        figures = {
            "classes": plot_class_shares(audit),
            "duplicates": plot_duplicates_in_train(audit),
            "lengths": plot_length_curves(audit.lengths),
        }
        # Without such a function the picture would be its diagonal alone.
        if audit.flags and audit.flags.n_several:
            figures["flags"] = plot_flags_together(audit.flags)
        return {name: inline_svg(figure, name) for name, figure in figures.items()}


def plot_class_shares(audit: Audit) -> Figure:
    """The share of each class in each split, as bars."""
    names, sizes = audit.class_names, audit.functions
    shares = {
        split: [counts[name] / sizes[split] for name in names]
        for split, counts in audit.counts.items()
    }
    return _bars("Classes, share of the split", names, shares)


def plot_duplicates_in_train(audit: Audit) -> Figure:
    """The share of validation and test that has a duplicate in train, level by level."""
    levels, sizes = audit.duplicates.levels, audit.functions
    shares = {
        split: [counts[split]["train"] / sizes[split] for counts in levels.values()]
        for split in sizes
        if split != "train"
    }
    # Each split keeps the colour that it has among all.
    return _bars("With a duplicate in train", list(levels), shares, list(sizes))


def plot_length_curves(lengths: Sequence[Lengths]) -> Figure:
    """The share of functions that are no longer than a length, a line for each unit but characters.

    A vertical line stands where models cut.
    """
    # The axis counts tokens.
    shown = [of_unit for of_unit in lengths if of_unit.unit != "characters"]
    figure = Figure(figsize=(WIDTH_INCHES, 3.0 + 0.18 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for number, of_unit in enumerate(shown):
        style: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "ls": DASHES[number % len(DASHES)],
        }
        # The axis is logarithmic, where an empty function has no place.
        places = np.maximum(of_unit.percentiles, 1)
        axes.plot(places, np.linspace(0, 1, 101), label=short_name(of_unit.unit, 40), **style)
    limits = {of_unit.max_length for of_unit in shown if of_unit.max_length is not None}
    for max_length in sorted(limits):
        axes.axvline(max_length, color=MUTED, lw=0.8, ls="--")
        axes.text(max_length, 0.02, f"\u00a0{max_length}", color=MUTED, fontsize=8.5)
    _length_axes(axes)
    figure.legend(loc="outside lower left", fontsize=8.5)
    return figure


def plot_flags_together(flags: FlagsTogether) -> Figure:
    """How often two flags stand together; the shade is the share of the row's flag."""
    counts = np.asarray(flags.together, dtype=float)
    totals = np.diag(counts)[:, None]
    # A flag that no function has, has no shares.
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    # A flag always stands with itself: the darkest shade would tell nothing.
    np.fill_diagonal(shares, 0)
    figure = Figure(figsize=(WIDTH_INCHES, 4.0), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(shares))
    axes.pcolormesh(places, places, shares, cmap="Blues", vmin=0, vmax=1.25)
    axes.invert_yaxis()
    for row, column in np.ndindex(*counts.shape):
        _count(axes, row, column, int(counts[row, column]), shares[row, column])
    _flag_ticks(axes, flags.names)
    axes.set_title("Flags that stand together")
    return figure


def _bars(
    title: str,
    names: Sequence[str],
    shares: Mapping[str, Sequence[float]],
    order: Sequence[str] | None = None,
) -> Figure:
    """A group of bars for each name, with one bar a split."""
    height = 1.3 + (0.14 + 0.19 * len(shares)) * len(names)
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    styles = dict(zip(order or list(shares), BARS, strict=False))
    thick = 0.8 / len(shares)
    for number, (split, values) in enumerate(shares.items()):
        places = np.arange(len(names)) - 0.4 + (number + 0.5) * thick
        axes.barh(places, values, height=0.88 * thick, label=split, **styles[split])
        for place, value in zip(places, values, strict=True):
            axes.text(
                value, place, f"\u00a0{percent(value)}", va="center", fontsize=7.5, color=MUTED
            )
    axes.set_yticks(range(len(names)), [short_name(name, 18) for name in names], fontsize=8.5)
    _share_axis(axes, max(max(values) for values in shares.values()), len(names))
    axes.set_title(title)
    figure.legend(loc="outside lower left", ncols=3, fontsize=8.5)
    return figure


def _share_axis(axes: Axes, highest: float, n_names: int) -> None:
    # Upside down, for the first name belongs on top.
    axes.set_ylim(n_names - 0.5, -0.5)
    # Room for the number behind the longest bar.
    axes.set_xlim(0, max(1.18 * highest, 0.01))
    # On a short axis several ticks would read as the same whole per cent.
    axes.xaxis.set_major_formatter(_percents(0 if highest > 0.05 else 1))
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _length_axes(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    # By itself a logarithmic axis writes powers as formulas, which STYLE leaves undrawn.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(_percents())
    axes.set_ylim(0, 1.02)
    axes.tick_params(length=0)
    axes.set_xlabel("tokens")
    axes.set_title("Share of functions that are no longer")
    axes.grid()


def _count(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    text = f"{count:,}" if row == column or not count else f"{count:,}\n{percent(share, 0)}"
    colour = "white" if share > 0.6 else MUTED if row == column or not count else INK
    axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _percents(decimals: int | None = None) -> PercentFormatter:
    """Shares of 1 on an axis, as texts have them."""
    return PercentFormatter(1, decimals, symbol="\u00a0%")


def _flag_ticks(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("... also has this one")
    axes.set_ylabel("a function with this flag ...")
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
