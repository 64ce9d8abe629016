"""Pictures on the page: their words are text of the page, and nothing of a file is left in them."""

from __future__ import annotations

import io
import re

import matplotlib
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from enstack.plots import STYLE
from enstack.reporting.pictures import as_element

HOSTILE = '<script>$x_1$ & "y" don\'t'
FILE = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" width="9pt"
 height="9pt" viewBox="0 0 9 9" version="1.1">
 <defs><style type="text/css">*{{stroke-linejoin: round}}</style></defs>
 <g id="figure_1"><g id="text_1"><text style="{style}" x="1.2345678" y="-0.0123">Loss</text></g></g>
</svg>"""


def element(label: str = "tiny-a", name: str = "loss") -> str:
    """A drawn figure, past what stands for drawing in other tests."""
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure()
        axes = figure.add_subplot()
        axes.plot([1, 2, 4], marker="o", label=label)
        axes.bar([0], [1], hatch="//")
        axes.set_title("Loss")
        axes.legend()
        FigureCanvasSVG(figure).print_svg(file)
    return as_element(file.getvalue(), name, "Loss")


def ids(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', svg)


def test_a_picture_is_named_by_the_title_within_it() -> None:
    svg = element()
    assert re.match(r'<svg viewBox="[^"]+" role="img" aria-labelledby="loss-title">', svg)
    assert (
        len(
            re.findall(
                r'<text id="loss-title"[^>]*>Loss</text>|<text [^>]*id="loss-title">Loss<', svg
            )
        )
        == 1
    )


def test_a_picture_brings_no_fonts_styles_or_links_into_the_page() -> None:
    svg = element()
    assert not re.search(r"font-family|font:|<style|<metadata|xmlns|https?:", svg)
    assert "font-size" in svg


def test_ids_are_kept_where_something_refers_to_them_and_no_two_pictures_share_one() -> None:
    one, other = element(name="one"), element(name="other")
    for svg, name in ((one, "one"), (other, "other")):
        assert set(ids(svg)) - {f"{name}-title"} == set(re.findall(r"#([mph][0-9a-f]{9,})", svg))
    assert not set(ids(one)) & set(ids(other))


def test_what_users_named_is_escaped_in_a_picture() -> None:
    svg = element(HOSTILE)
    assert "&lt;script&gt;$x_1$ &amp;" in svg
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        (
            "font-size: 9px; font-family: 'DejaVu Sans'; fill: #111111",
            "font-size: 9px; fill: #111111",
        ),
        ("font-family: 'DejaVu Sans'", ""),
        ("font: 9.5px 'DejaVu Sans', sans-serif; fill: #111111", "font-size: 9.5px; fill: #111111"),
        ("font: 700 9px 'DejaVu Sans'", "font-weight: 700; font-size: 9px"),
        ("font: bold 9px 'DejaVu Sans'; x: 1", "font-weight: bold; font-size: 9px; x: 1"),
    ],
)
def test_sizes_stay_as_every_matplotlib_writes_them_and_families_go(style: str, kept: str) -> None:
    svg = as_element(FILE.format(style=style), "loss", "Loss")
    assert svg == (
        '<svg viewBox="0 0 9 9" role="img" aria-labelledby="loss-title">'
        f'<text style="{kept}" x="1.2" y="0" id="loss-title">Loss</text></svg>'
    )
