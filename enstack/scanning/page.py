"""A scan as a page: one HTML file that opens offline, the worst findings first with their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from enstack.bundle.honesty import honest_line, unknowns
from enstack.console import printable
from enstack.reporting.html import render_page
from enstack.scanning.findings import LEVELS, Finding
from enstack.scanning.paths import shown_path
from enstack.scanning.remarks import meaning, remarks
from enstack.scanning.scan import Scan, below_budget
from enstack.scanning.source_text import lines_of
from enstack.scanning.table import WORTH_A_LOOK, counts, marked_lines, shown_lines

__all__ = ["scan_page"]

SHOWN, LISTED = 100, 400  # findings with code, and behind them those with a line each
CODE_LINES = 40  # of each, at most: who wants more has the file


@dataclass(frozen=True)
class CodeLine:
    """A line of code; number: in its file, None where lines are left out.

    kind: "marked" for one that told the model much, "window" for one that was judged where a
    function is too long, else empty.
    """

    number: int | None
    text: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Card:
    """A finding with its code, as the page shows it."""

    finding: Finding
    path: str
    meaning: str
    remarks: list[str]
    lines: list[CodeLine]


def scan_page(scan: Scan) -> str:
    """The page's text; equal scans give equal text."""
    alerts = scan.alerts
    levels = Counter(finding.level for finding in scan.counting)
    look = {kind: n for kind, n in scan.leftovers.items() if kind in WORTH_A_LOOK}
    values = {
        "scan": scan,
        "cards": [_card(finding) for finding in alerts[:SHOWN]],
        "listed": [(shown_path(one.function.path), one) for one in alerts[SHOWN:][:LISTED]],
        "unlisted": len(alerts[SHOWN + LISTED :]),
        "levels": {level: levels[level] for level in reversed(LEVELS) if levels[level]},
        "counts": counts(scan),
        "below": below_budget(scan),
        "skipped": Counter(one.reason for one in scan.skipped).most_common(),
        "look": look,
        "unknowns": unknowns(scan.profile),
        "honest": honest_line(scan.profile),
    }
    return render_page("enstack.scanning", "scan.html.j2", values)


def _card(finding: Finding) -> Card:
    return Card(
        finding=finding,
        path=shown_path(finding.function.path),
        meaning=meaning(finding.class_name),
        remarks=remarks(finding.function),
        lines=list(_code(finding)),
    )


def _code(finding: Finding) -> Iterator[CodeLine]:
    if finding.code is None:
        return
    lines, start = lines_of(finding.code), finding.function.start_line
    first, last = finding.function.window_lines or (0, -1)
    before, marked = start - 1, marked_lines(finding)
    for number in shown_lines(finding, len(lines), CODE_LINES):
        if number > before + 1:
            yield CodeLine(None)
        text = printable(lines[number - start].expandtabs(4))
        window = "window" if first <= number <= last else ""
        yield CodeLine(number, text, "marked" if number in marked else window)
        before = number
    if before < start + len(lines) - 1:
        yield CodeLine(None)
