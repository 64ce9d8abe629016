"""Tables without splits: functions that are alike in nothing, or as copies, with their groups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def own_function(number: int) -> str:
    """A function that is a near-duplicate of no other number's."""
    words = " ".join(f"v{number}_{place} = w{number}_{place};" for place in range(12))
    return f"int f{number}(void) {{ {words} return {number}; }}"


def rows_of(n: int, **groups: Any) -> list[Row]:
    """So many rows, every third vulnerable; groups: a column's value by the row's number."""
    return [
        {
            "func": own_function(number),
            "label": int(number % 3 == 0),
            **{column: value(number) for column, value in groups.items()},
        }
        for number in range(n)
    ]


def write_table(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
