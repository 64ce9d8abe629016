"""Writes an audit as audit.html, one file that opens offline, and audit.json."""

from __future__ import annotations

import base64
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from enstack.auditing.figures import draw_audit_figures
from enstack.stacking.baselines import BASELINE_TITLES
from enstack.storage.files import write_json, write_text

__all__ = ["write_audit"]


def write_audit(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Write what `audit.audit` found into a folder, and return the page's path.

    Equal facts give equal bytes.
    """
    write_json(folder / "audit.json", facts)
    write_text(folder / "audit.html", _page(facts, draw_audit_figures(facts)))
    return folder / "audit.html"


def _page(facts: Mapping[str, Any], figures: Mapping[str, bytes]) -> str:
    template = importlib.resources.files("enstack.auditing").joinpath("audit.html.j2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(share=_share)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        facts,
        baselines=BASELINE_TITLES,
        images={name: base64.b64encode(png).decode() for name, png in figures.items()},
    )


def _share(count: int, size: int) -> str:
    return f"{count / size:.1%}" if size else "–"
