"""From which finding on a scan counts as failed, as `--fail-on` says it."""

from __future__ import annotations

from enstack.errors import ConfigError
from enstack.scanning.findings import LEVELS, Finding, Level
from enstack.scanning.scan import Scan

__all__ = ["Limit", "fails", "parsed_limit"]

Limit = Level | float


def parsed_limit(text: str | None) -> Limit | None:
    """A level, or a probability from 0 to 1; None where nothing fails a scan.

    Raises ConfigError for anything else.
    """
    if text is None:
        return None
    for level in LEVELS:
        if text.strip().lower() == level:
            return level
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # Not 87 for .87: in percent it would fail no scan, and nobody would see it.
    if not 0 <= value <= 1:
        raise ConfigError(
            f"--fail-on must be {', '.join(LEVELS)}, or a probability from 0 to 1; found "
            f"{text!r:.40}."
        )
    return value


def fails(scan: Scan, limit: Limit) -> bool:
    """Whether a finding that counts is at or over the limit."""
    return any(_reaches(finding, limit) for finding in scan.counting)


def _reaches(finding: Finding, limit: Limit) -> bool:
    if isinstance(limit, str):
        return LEVELS.index(finding.level) >= LEVELS.index(limit)
    return finding.probability >= limit
