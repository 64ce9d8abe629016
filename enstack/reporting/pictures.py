"""A figure as SVG within a page: its words are the page's, in its font and in two languages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

__all__ = ["as_element", "inline_svg"]

NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
NUMBER = re.compile(r"-?\d+\.\d+")
# Older matplotlibs write a font in one declaration, newer ones in several.
FONT = re.compile(r"\bfont: (?:(\w+) )?([\d.]+px)[^;]*")
FAMILY = re.compile(r"font-family: [^;]*(?:; |$)")


def inline_svg(figure: Figure, name: str) -> str:
    """A figure as an element of a page, named by its title; equal figures give equal text."""
    file = io.StringIO()
    # matplotlib makes ids of the salt: those of two pictures on a page must differ.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata=NO_METADATA)
    return as_element(file.getvalue(), name, figure.axes[0].get_title(loc="left"))


def as_element(file: str, name: str, title: str) -> str:
    """What matplotlib wrote as an SVG file, in half of its length.

    Fonts are the page's, and so is the size. Ids that nothing refers to are left out: they would
    stand in every picture of a page.
    """
    root = ElementTree.fromstring(file)
    used = set(re.findall(r"#([\w.-]+)", file))
    _clear(root, used)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.attrib = dict(_attributes(element, used))
        if element.tag == "text" and element.text == title:
            element.set("id", f"{name}-title")
    labelled = {"role": "img", "aria-labelledby": f"{name}-title"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **labelled}
    return ElementTree.tostring(root, encoding="unicode")


def _clear(element: ElementTree.Element, used: set[str]) -> None:
    """Take out groups that change nothing, the file's own style, and spaces between elements."""
    for child in list(element):
        _clear(child, used)
        kind = child.tag.partition("}")[2]
        child.tail = None
        if kind == "g" and child.get("id") not in used and child.attrib.keys() <= {"id"}:
            place = list(element).index(child)
            element[place : place + 1] = list(child)
        elif kind in ("style", "metadata") or (kind == "defs" and not len(child)):
            element.remove(child)
    if not element.tag.endswith("}text"):
        element.text = None


def _attributes(element: ElementTree.Element, used: set[str]) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key.endswith("}href"):
            yield "href", value
        elif key == "style":
            yield key, _style(value)
        elif key in ("d", "x", "y", "transform"):
            yield key, _short(value)
        elif key != "id" or value in used:
            yield key, value


def _style(style: str) -> str:
    """Declarations without a font's family, which would win over the page's."""
    style = FONT.sub(r"font-weight: \1; font-size: \2", style).replace("font-weight: ;", "")
    return FAMILY.sub("", style).strip("; ")


def _short(numbers: str) -> str:
    """Numbers to a tenth of a point, which nobody can see."""
    return " ".join(NUMBER.sub(lambda n: f"{round(float(n[0]), 1) + 0:g}", numbers).split())
