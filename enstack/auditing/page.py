"""Writes an audit as audit.html, one file that opens offline, and audit.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from enstack.auditing.content import Audit
from enstack.auditing.figures import draw_audit_figures
from enstack.auditing.side_by_side import matched_rows
from enstack.reporting.html import render_page
from enstack.stacking.baselines import BASELINE_TITLES
from enstack.storage.files import write_json, write_text

__all__ = ["write_audit"]


def write_audit(folder: Path, audit: Audit) -> Path:
    """Write an audit into a folder, and return the page's path; equal audits give equal bytes."""
    # Not asdict: the template reads the attributes of what the fields hold.
    values = {field.name: getattr(audit, field.name) for field in dataclasses.fields(audit)}
    first_pair = [matched_rows(*pair.sources) for pair in audit.contradictions.examples[:1]]
    page = render_page(
        "enstack.auditing",
        "audit.html.j2",
        draw_audit_figures(audit),
        {**values, "baselines": BASELINE_TITLES, "first_pair": first_pair[0] if first_pair else []},
    )
    write_json(folder / "audit.json", audit.to_json())
    write_text(folder / "audit.html", page)
    return folder / "audit.html"
