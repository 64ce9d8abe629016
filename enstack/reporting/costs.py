"""What each row of a leaderboard costs, for readers: as it was measured, and how it prints."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from enstack.reporting.stored_files import read_object, unusable
from enstack.stacking.costs import Cost

__all__ = ["COST_TITLES", "amount", "cost_cells", "read_costs"]

# By the fields of a cost, in the order of tables.
COST_TITLES = {
    "training_minutes": "min of training",
    "seconds_per_1000": "s for 1,000 functions",
}
UNKNOWN = Cost(None, None)


def read_costs(path: Path) -> dict[str, Cost]:
    """stacking/costs.json by the rows' keys; empty where a run is older than it.

    Raises CheckpointError for a file that is damaged.
    """
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, Cost]).validate_python(read_object(path))
    except ValidationError as error:
        raise unusable(path, error) from error


def cost_cells(cost: Cost | None) -> dict[str, str]:
    """A row's cost by the titles of its cells; dashes where it is not known."""
    return {title: amount(getattr(cost or UNKNOWN, field)) for field, title in COST_TITLES.items()}


def amount(value: float | None) -> str:
    """Minutes or seconds for people: "94.1", "<0.1"; a dash where there are none."""
    if value is None or not math.isfinite(value):
        return "–"
    return "<0.1" if 0 < value < 0.05 else f"{value:,.1f}"
