"""Writes what a run found: report.html (one file), report.json, figures, the console's table."""

from __future__ import annotations

import base64
import importlib.resources
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from enstack.reporting.figures import SMALL_CLASS, draw_figures
from enstack.reporting.findings import load_results
from enstack.reporting.stored_run import KINDS, Row, read_leaderboard
from enstack.storage.files import write_bytes, write_json, write_text

__all__ = ["REPORT_EDITION", "leaderboard_text", "load_results", "write_report"]

REPORT_EDITION = 6  # raise when the page shows more, so that finished runs get it too
MEASURES = ("accuracy", "AUC", "MCC")


def write_report(run_dir: Path) -> Path:
    """Write report/ of a run folder from what is stored there, and return report.html's path.

    Equal inputs give equal bytes. Raises CheckpointError when an input is missing or damaged.
    """
    results = load_results(run_dir)
    figures = draw_figures(results)
    folder = Path(run_dir) / "report"
    for name, png in figures.items():
        write_bytes(folder / "figures" / f"{name}.png", png)
    write_json(folder / "report.json", results)
    write_text(folder / "report.html", _page(results, figures))
    return folder / "report.html"


def leaderboard_text(run_dir: Path) -> str:
    """The leaderboard as aligned text of at most 100 columns, best macro-F1 first."""
    rows = read_leaderboard(Path(run_dir) / "stacking" / "leaderboard.csv")
    titles = [_fit(_printable(row["title"]), 30) for row in rows]
    width = max(map(len, [*titles, "name"]))
    head = _text_line("#", "kind", "name".ljust(width), "macro-F1", "95 % interval", *MEASURES)
    lines = [
        _text_line(
            str(rank),
            KINDS[row["kind"]],
            title.ljust(width),
            _number(row["macro_f1"]),
            _interval(row, "macro_f1"),
            *map(_number, (row["accuracy"], row["auc"], row["mcc"])),
        )
        for rank, (row, title) in enumerate(zip(rows, titles, strict=True), start=1)
    ]
    foot = f"Measured on {rows[0]['n']:,} test functions; the intervals are bootstrapped."
    return "\n".join([head, "-" * len(head), *lines, foot])


def _text_line(rank: str, kind: str, name: str, value: str, bounds: str, *others: str) -> str:
    tail = "".join(f"  {other:>{width}}" for other, width in zip(others, (8, 5, 6), strict=True))
    return f"{rank:>3}  {kind:<10}  {name}  {value:>8}  {bounds:>13}{tail}"


def _number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _interval(row: Mapping[str, Any], measure: str) -> str:
    low, high = (_number(row[f"{measure}_{end}"]) for end in ("low", "high"))
    return "–" if low == high == "–" else f"{low}–{high}"


def _printable(text: str) -> str:
    """Control characters of a name must not reach a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _fit(text: str, width: int) -> str:
    half = (width - 1) // 2
    return text if len(text) <= width else f"{text[:half]}…{text[half - width + 1 :]}"


def _page(results: Mapping[str, Any], figures: Mapping[str, bytes]) -> str:
    """The page, with every figure in it; what users named is escaped by the template engine."""
    template = importlib.resources.files("enstack.reporting").joinpath("report.html.j2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, interval=_interval, place=_place)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        results,
        kinds=KINDS,
        small_class=SMALL_CLASS,
        axis=_axis(results["leaderboard"]),
        reasons=_reasons(results["data"]["dropped"]),
        reach=_reach(results["comparisons"]),
        images={name: base64.b64encode(png).decode() for name, png in figures.items()},
    )


def _reasons(dropped: Mapping[str, Mapping[str, int]]) -> list[str]:
    """For which any function is left out, in the order of data.json."""
    counted = [reason for counts in dropped.values() for reason, n in counts.items() if n]
    return list(dict.fromkeys(counted))


def _axis(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the axis that the macro-F1 intervals are drawn on.

    The plainest baseline is left out: far below all else, it would squeeze what is to be compared.
    """
    plainest = ("baseline:majority", "baseline:frequency")
    shown = [row for row in rows if row["key"] not in plainest] or list(rows)
    columns = ("macro_f1", "macro_f1_low", "macro_f1_high")
    values = [row[column] for row in shown for column in columns if row[column] is not None]
    # Twentieths, and never an axis without length, though all values be one.
    low, high = math.floor(min(values) * 20 - 1e-9), math.ceil(max(values) * 20 + 1e-9)
    return max(low, 0) / 20, min(high, 20) / 20


def _reach(comparisons: Sequence[Mapping[str, Any]]) -> float:
    """How far the axis of the differences goes to either side of zero."""
    ends: list[float] = [
        abs(pair[end]) for pair in comparisons for end in ("low", "high", "difference")
    ]
    return max([*ends, 0.01]) * 1.1


def _place(value: float, axis: tuple[float, float]) -> float:
    """Where a value lies on an axis, in percent of its length; beyond the ends, at the end."""
    share = (value - axis[0]) / (axis[1] - axis[0])
    return round(100 * min(max(share, 0.0), 1.0), 2)
