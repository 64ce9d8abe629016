"""A scan as SARIF 2.1.0, as GitHub and editors read it: one run, worst results first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enstack import __version__
from enstack.bundle.honesty import honest_line, unknowns
from enstack.console import printable
from enstack.counting import counted, joined
from enstack.rounding import decimal
from enstack.scanning.findings import Finding, ScannedFunction
from enstack.scanning.paths import relative_uri, root_of
from enstack.scanning.remarks import meaning, remarks
from enstack.scanning.sarif_rules import DOCUMENTATION, rules
from enstack.scanning.scan import Scan, below_budget
from enstack.scanning.table import marked_lines
from enstack.storage.json_text import json_text

__all__ = ["FINGERPRINT", "MOST_RESULTS", "TOOL", "scan_sarif"]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
TOOL = "enstack scan"
# A name of our own: GitHub's upload makes primaryLocationLineHash, and warns of another one.
FINGERPRINT = "enstack/function/v1"
MOST_RESULTS = 5000  # that GitHub shows; of more it keeps those with the highest severity
ROOT = "%SRCROOT%"


def scan_sarif(scan: Scan) -> str:
    """The text of a scan's SARIF form; equal scans give equal text."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(scan)]}
    return json_text(log, ensure_ascii=False, indent=1) + "\n"


def _run(scan: Scan) -> dict[str, Any]:
    listed, root = rules(scan.profile), root_of(scan.named)
    places = {rule["id"]: place for place, rule in enumerate(listed)}
    shown = _shown(scan)
    return {
        "tool": {
            "driver": {
                "name": TOOL,
                "fullName": f"{TOOL} {__version__}",
                "version": __version__,
                "semanticVersion": __version__,
                "informationUri": DOCUMENTATION,
                "fullDescription": {"text": honest_line(scan.profile)},
                "rules": listed,
            }
        },
        "columnKind": "unicodeCodePoints",
        # Without a uri: where the code lies is for the reader to say, and nobody else's business.
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the source tree."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": list(_notifications(scan, len(shown))),
            }
        ],
        "results": [_result(one, places[one.class_name], root, scan) for one in shown],
        "properties": {
            "model": printable(scan.model),
            "files": scan.files,
            "lines": scan.lines,
            "functions": len(scan.functions),
            "findings": len(scan.findings),
            "findingsPer1000Lines": round(scan.per_1000_lines, 3),
        },
    }


def _shown(scan: Scan) -> list[Finding]:
    """The results, worst first; what counts is not displaced by what does not."""
    others = [finding for finding in scan.findings if not finding.counts]
    shown = [*scan.alerts, *others][:MOST_RESULTS]
    return sorted(shown, key=lambda finding: finding.order)


def _notifications(scan: Scan, n_shown: int) -> Iterator[dict[str, Any]]:
    for sentence in (honest_line(scan.profile), *unknowns(scan.profile)):
        yield _notification("note", sentence)
    if told := below_budget(scan):
        yield _notification("warning", told)
    if scan.gone:
        # Not as results with the state "absent": GitHub would show each as an open alert.
        told = f"{counted(len(scan.gone), 'finding')} of the baseline were not found again."
        yield _notification("note", told)
    if n_shown == MOST_RESULTS:
        cut = f"The worst {n_shown:,} of {counted(len(scan.findings), 'finding')} are here."
        yield _notification("warning", f"{cut} The JSON form has all.")
    for reason, count in Counter(one.reason for one in scan.skipped).most_common():
        told = f"{counted(count, 'file')} or folders were not read: {printable(reason)}."
        yield _notification("note", told)


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": _escaped(text)}}


def _result(finding: Finding, rule: int, root: Path, scan: Scan) -> dict[str, Any]:
    function = finding.function
    place = _location(function, root)
    reasons = {"inSource": finding.ignored, "external": finding.known}
    suppressions = [
        {"kind": kind, "justification": printable(reason)}
        for kind, reason in reasons.items()
        if reason is not None
    ]
    return {
        "ruleId": finding.class_name,
        "ruleIndex": rule,
        "level": finding.level,
        "message": {"text": _escaped(_message(finding)) + _links(finding)},
        "locations": [place],
        "partialFingerprints": {FINGERPRINT: function.fingerprint},
        "suppressions": suppressions,
        **_related(finding, place),
        **({"baselineState": finding.state} if scan.compared else {}),
        "rank": round(100 * function.score, 2),
        "properties": {
            "probability": round(finding.probability, 6),
            "threshold": finding.threshold,
        },
    }


def _message(finding: Finding) -> str:
    name, what = printable(finding.function.qualified_name), finding.class_name
    said = f"The function '{name}' looks like {what}: {meaning(what)}."
    odds = f"Probability {decimal(finding.probability, 2)}"
    if finding.threshold is not None:
        odds += f", alerted from {decimal(finding.threshold, 2)}"
    further = "".join(f" {one[0].upper()}{one[1:]}." for one in remarks(finding.function))
    return f"{said} {odds}.{printable(further)}"


def _links(finding: Finding) -> str:
    """The lines that told the model most, each a link to its place among the related ones."""
    links = [f"[{line}]({place})" for place, line in enumerate(marked_lines(finding), start=1)]
    return f" What told the model most: line {joined(links)}." if links else ""


def _related(finding: Finding, place: dict[str, Any]) -> dict[str, Any]:
    file = place["physicalLocation"]["artifactLocation"]
    related = [
        {
            "id": number,
            "message": {"text": "This line told the model much."},
            "physicalLocation": {"artifactLocation": file, "region": {"startLine": line}},
        }
        for number, line in enumerate(marked_lines(finding), start=1)
    ]
    return {"relatedLocations": related} if related else {}


def _location(function: ScannedFunction, root: Path) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": relative_uri(function.path, root), "uriBaseId": ROOT},
            "region": {
                "startLine": function.start_line,
                "startColumn": function.start_column,
                "endLine": function.end_line,
                # In SARIF the column behind the last character.
                "endColumn": function.end_column + 1,
            },
        },
        "logicalLocations": [
            {
                "name": printable(function.name),
                "fullyQualifiedName": printable(function.qualified_name),
                "kind": "function",
            }
        ],
    }


def _escaped(text: str) -> str:
    """A message as SARIF reads it: braces are no placeholders, and brackets no links."""
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")
