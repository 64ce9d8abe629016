"""What stands for a drawn picture in tests tells figures apart; drawing itself is still tried."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from enstack.plots import png_bytes


def figure_with(*values: float, title: str = "Loss", colour: str = "red") -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot(values, color=colour, label="micro")
    axes.bar(range(len(values)), values)
    axes.imshow([values])
    axes.fill_between(range(len(values)), values)
    axes.text(0, 0, "a note")
    axes.set_title(title)
    return figure


def another_note(figure: Figure) -> None:
    figure.axes[0].texts[0].set_text("another note")


def another_bar(figure: Figure) -> None:
    figure.axes[0].patches[0].set_height(7)


def another_cell(figure: Figure) -> None:
    figure.axes[0].images[0].set_data([[9.0, 9.0, 9.0]])


def a_legend(figure: Figure) -> None:
    figure.legend()


@pytest.mark.parametrize("change", [another_note, another_bar, another_cell, a_legend])
def test_any_change_of_a_figure_is_another_picture(change: Callable[[Figure], None]) -> None:
    first, other = figure_with(1, 2, 3), figure_with(1, 2, 3)
    assert png_bytes(first) == png_bytes(other)
    change(other)
    assert png_bytes(first) != png_bytes(other)


def test_other_values_titles_and_colours_are_other_pictures() -> None:
    figures = [
        figure_with(1, 2, 3),
        figure_with(1, 2, np.nan),
        figure_with(1, 2, 3, title="F1"),
        figure_with(1, 2, 3, colour="blue"),
    ]
    assert len({png_bytes(figure) for figure in figures}) == 4


def test_a_figure_of_a_new_kind_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("drawing")

    monkeypatch.setattr(FigureCanvasAgg, "print_png", fail)
    figure = Figure()
    for _ in range(13):  # as no page has it
        figure.add_subplot().fill([0, 1, 1], [0, 0, np.nan])
    with pytest.raises(ZeroDivisionError, match="drawing"):
        png_bytes(figure)
