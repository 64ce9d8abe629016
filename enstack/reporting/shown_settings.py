"""Settings as a report shows them: what auto was, and nothing of the machine's users and disks."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from typing import Any

from enstack.reporting.content import TrainingCurve

__all__ = ["shown_settings", "without_home"]

# Of a scratch disk no result depends, and whoever reads a report has another one.
NOT_SHOWN = ("local_dir",)
HOMES = r"/(?:home|Users)/[^/\s]+|[A-Za-z]:\\Users\\[^\\\s]+"  # of machines other than this one


def shown_settings(settings: dict[str, Any], training: Sequence[TrainingCurve]) -> dict[str, Any]:
    """The settings of a run for its readers, in their order."""
    shown = {key: value for key, value in settings.items() if key not in NOT_SHOWN}
    used = _precisions(training)
    if shown.get("precision") == "auto" and used:
        shown["precision"] = f"auto, which was {used}"
    hidden: dict[str, Any] = without_home(shown)
    return hidden


def without_home(value: Any) -> Any:
    """The same value with ~ for every home folder in its texts."""
    if isinstance(value, dict):
        return {key: without_home(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_home(item) for item in value]
    return _home_pattern().sub("~", value) if isinstance(value, str) else value


def _home_pattern() -> re.Pattern[str]:
    # As the user wrote it, and as it is behind links; a folder without a name hides nothing.
    home = os.path.expanduser("~").rstrip("/")  # noqa: PTH111
    ours = {re.escape(path) for path in (home, os.path.realpath(home)) if path.count("/")}
    either = "|".join([*sorted(ours), HOMES]) if home else HOMES
    # Whole names alone: /home/ann is no part of /home/anna, nor of /backup/home/ann.
    return re.compile(rf"(?<![\w./~-])(?:{either})(?![\w-])")


def _precisions(training: Sequence[TrainingCurve]) -> str:
    """What base models were trained in, by their epochs' records; "" where none is recorded."""
    said: dict[str, list[str]] = {}
    for curve in training:
        recorded = [epoch.trained_with.get("precision") for epoch in curve.epochs]
        changes = [value for value, _ in itertools.groupby(recorded) if value]
        if changes:
            said.setdefault(", then ".join(changes), []).append(curve.name)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{used} ({', '.join(names)})" for used, names in said.items())
