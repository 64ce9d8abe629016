"""Writes an audit as audit.html, one file in two languages that opens offline, and audit.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from enstack.auditing.content import Audit
from enstack.auditing.figures import draw_audit_figures
from enstack.auditing.side_by_side import matched_rows
from enstack.auditing.without_model import TITLES
from enstack.errors import ConfigError
from enstack.reporting.html import render_page
from enstack.reporting.two_languages import Catalog, in_two_languages, read_catalog
from enstack.storage.disks import require_writable
from enstack.storage.files import write_json, write_text
from enstack.storage.json_text import parsed_json
from enstack.storage.links import occupied

__all__ = ["require_place", "write_audit"]

TITLE = b"enstack audit</title>"  # in each page
KEYS = {"data", "functions", "fingerprint", "class_names", "counts"}  # in each audit.json


def require_place(folder: Path) -> None:
    """Make a folder for an audit; ConfigError where none can be, or others' files stand there."""
    require_writable(folder, "--output", ConfigError)
    own = {"audit.html": _is_page, "audit.json": _is_audit}
    for name, is_own in own.items():
        if occupied(folder / name) and not is_own(folder / name):
            raise ConfigError(
                f"--output must be a folder without others' {name}; the one in {folder} is of no "
                "audit, and is kept. Name another folder, or move it elsewhere."
            )


def _is_page(path: Path) -> bool:
    return path.is_file() and TITLE in path.read_bytes()


def _is_audit(path: Path) -> bool:
    try:
        found = parsed_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() >= KEYS


def write_audit(folder: Path, audit: Audit) -> Path:
    """Write an audit into a folder, and return the page's path; equal audits give equal bytes.

    Raises ConfigError for a folder that can't be written to, or holds others' files of that name.
    """
    require_place(folder)
    # Not asdict: the template reads the attributes of what the fields hold.
    values = {field.name: getattr(audit, field.name) for field in dataclasses.fields(audit)}
    first_pair = [matched_rows(*pair.sources) for pair in audit.contradictions.examples[:1]]
    page = render_page(
        "enstack.auditing",
        "audit.html.j2",
        {
            **values,
            "baselines": TITLES,
            "first_pair": first_pair[0] if first_pair else [],
            "pictures": draw_audit_figures(audit),
        },
    )
    write_json(folder / "audit.json", audit.to_json())
    write_text(folder / "audit.html", in_two_languages(page, Catalog(read_catalog())))
    return folder / "audit.html"
