"""Pictures that tell their figures apart without a pixel: drawing took a quarter of every run."""

from __future__ import annotations

import hashlib
import html
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

DOTS_PER_INCH = 30


@pytest.fixture(autouse=True, scope="session")
def small_pictures() -> Iterator[None]:
    """A PNG of one pixel and a digest: equal figures are equal bytes, other figures are others.

    An SVG holds the figure's words instead. The first figure of each kind is drawn all the same,
    for what only drawing finds. A kind is what artists a figure has, and which of them have gaps.
    """
    draw, drawn = Figure.savefig, set()

    def savefig(figure: Figure, target: Any, **settings: Any) -> None:
        artists = list(_artists(figure))
        facts = [_facts(artist) for artist in artists]
        kind = tuple((type(a).__name__, "nan" in f) for a, f in zip(artists, facts, strict=True))
        if kind not in drawn:
            draw(figure, io.BytesIO(), **{**settings, "dpi": DOTS_PER_INCH})
            drawn.add(kind)
        if settings["format"] == "svg":
            target.write(_svg(figure))
            return
        digest = PngInfo()
        digest.add_text("figure", hashlib.sha256("\n".join(facts).encode()).hexdigest())
        Image.new("L", (1, 1)).save(target, format="png", pnginfo=digest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", savefig)
        yield


def _artists(figure: Figure) -> Iterator[Artist]:
    """What was put into a figure, without the ticks, which follow from it."""
    yield from figure.legends
    for axes in figure.axes:
        yield axes
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label)
        yield from axes.get_children()


def _svg(figure: Figure) -> str:
    # Not the ticks' words, which are other ones once a figure has been drawn.
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    texts = [one for one in _artists(figure) if isinstance(one, Text)] + legends
    words = [html.escape(text.get_text()) for text in texts]
    elements = "".join(f"<text>{word}</text>" for word in words if word)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{elements}</svg>'


def _facts(artist: Artist) -> str:
    """What an artist shows, as text: its numbers to the last digit, its words and its colours."""
    shown: list[Any] = [type(artist).__name__, artist.get_label()]
    match artist:
        case Text():
            shown += [artist.get_text(), artist.get_position(), artist.get_color()]
        case Line2D():
            shown += [artist.get_xydata().tolist(), artist.get_color(), artist.get_linestyle()]
            shown += [artist.get_marker()]
        case Patch():
            vertices = artist.get_transform().frozen().get_matrix()
            shown += [vertices.tolist(), artist.get_path().vertices.tolist()]
            shown += [artist.get_facecolor(), artist.get_edgecolor(), artist.get_hatch()]
        case Collection():
            shown += [path.vertices.tolist() for path in artist.get_paths()]
            shown += [np.asarray(artist.get_offsets()).tolist(), artist.get_facecolor().tolist()]
        case AxesImage():
            shown += [np.asarray(artist.get_array()).tolist()]
        case Axes():
            shown += [artist.get_xlim(), artist.get_ylim(), artist.get_xticks().tolist()]
            shown += [text.get_text() for text in artist.get_yticklabels()]
    if isinstance(artist, Axes) is False and hasattr(artist, "get_texts"):
        shown += [text.get_text() for text in artist.get_texts()]
    return repr(shown)
