"""A target: a ratio that may not pass a limit."""

from __future__ import annotations

from typing import Any


def at_most(name: str, ratio: float, limit: float) -> dict[str, Any]:
    """A ratio that should not be above a limit."""
    return {"name": name, "ratio": ratio, "rule": "at most", "limit": limit, "met": ratio <= limit}


def at_least(name: str, ratio: float, limit: float) -> dict[str, Any]:
    """A ratio that should not be below a limit."""
    return {"name": name, "ratio": ratio, "rule": "at least", "limit": limit, "met": ratio >= limit}


def line(target: dict[str, Any]) -> str:
    """The target, what was found, and whether it is met."""
    verdict = "met" if target["met"] else "MISSED"
    found = f"{target['ratio']:.3g} ({target['rule']} {target['limit']:g})"
    return f"{verdict:6}  {target['name']}: {found}"
