"""A page as one HTML file that opens offline: a package's template, filled."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import jinja2

from enstack.console import printable, unbroken
from enstack.counting import counted, joined
from enstack.reporting.costs import amount
from enstack.reporting.leaderboard import interval, number
from enstack.rounding import decimal, percent

__all__ = ["render_page"]

# A user's code and the page's own style stay as they are.
VERBATIM = re.compile(r"(<(?:pre|style)\b.*?</(?:pre|style)>)", re.DOTALL)
UTC_MINUTE = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[\d:.]*(?:\+00:00|Z)$")


def render_page(package: str, template: str, values: Mapping[str, Any]) -> str:
    """The page that a package's template makes of values; equal values give equal text."""
    page = _environment(package).get_template(template).render(values)
    parts = enumerate(VERBATIM.split(page))
    return "".join(part if number % 2 else unbroken(part) for number, part in parts)


@functools.cache
def _environment(package: str) -> jinja2.Environment:
    """A package's templates, each compiled once."""
    # What users named is escaped; a name that the template misspells is an error, not a gap.
    environment = jinja2.Environment(
        # What pages share lies here.
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(one, ".") for one in (package, "enstack.reporting")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, amount=amount, interval=interval, moment=moment, place=place, share=share
    )
    environment.filters.update(decimal=decimal, percent=percent, code=code)
    environment.globals.update(counted=counted, joined=joined, share=share)
    return environment


def moment(time: str) -> str:
    """A time as events hold it, for people: "2026-11-27 12:18 UTC"; anything else as it stands."""
    matched = UTC_MINUTE.match(time)
    return f"{matched[1]} {matched[2]} UTC" if matched else time


def place(value: float, axis: tuple[float, float]) -> float:
    """Where a value lies on an axis, in percent of its length; beyond the ends, at the end."""
    along = (value - axis[0]) / (axis[1] - axis[0])
    return round(100 * min(max(along, 0.0), 1.0), 2)


def share(count: int, size: int) -> str:
    """A count's part of a whole, in percent; a dash where there is no whole."""
    return percent(count / size) if size else "–"


def code(text: str) -> str:
    """Code that shows on a page as it is read: what can't be seen, or turns lines, stands as ?."""
    return printable(text.replace("\r\n", "\n"), keep="\n\t")
