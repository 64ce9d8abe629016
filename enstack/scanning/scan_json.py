"""A scan as JSON, and the schema of it: every function, every finding, and what is not known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from enstack import __version__
from enstack.bundle.honesty import honest_line, unknowns
from enstack.scanning.findings import Finding, Level, ScannedFunction, ScoredLine
from enstack.scanning.paths import shown_path
from enstack.scanning.scan import Scan
from enstack.storage.json_text import json_text, json_values

__all__ = ["SCAN_EDITION", "scan_json", "scan_schema"]

SCAN_EDITION = 1  # raise when a key changes its meaning or goes
ADDRESS = "https://github.com/enstack/enstack/blob/main/docs/scan.schema.json"


@dataclass(frozen=True)
class Range:
    """Lines and columns from 1; columns are characters, that of the end is the last one's."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class NearFunction:
    """A training function that is nearly the same; similarity: 1 for a copy."""

    id: str
    similarity: float


@dataclass(frozen=True)
class JudgedFunction:
    """A function; score: of being vulnerable, or where nothing tells, of its likeliest class."""

    path: str
    name: str
    qualified_name: str
    range: Range
    read_by: str
    score: float
    probabilities: dict[str, float]
    sure: bool | None
    out_of_distribution: list[str]
    near_training_function: NearFunction | None
    windows: int
    worst_window: tuple[int, int] | None
    first_window_score: float
    end_unread: bool
    fingerprint: str


@dataclass(frozen=True)
class JudgedFinding:
    """An alert; function: its place in functions.

    ignored: what a comment says that ignores it; known: why it is no news. Either is None where it
    is not so; else the finding does not count. state: beside what is known; None where nothing was
    named. below_budget: whether as many as were asked for are worse. lines: those of the
    function that told the model most, the strongest first; None where they were not looked for.
    """

    function: int
    path: str
    line: int
    name: str
    class_name: str
    level: Level
    probability: float
    threshold: float | None
    ignored: str | None
    known: str | None
    state: Literal["new", "unchanged"] | None
    below_budget: bool
    lines: list[ScoredLine] | None
    fingerprint: str


@dataclass(frozen=True)
class GoneFinding:
    """A finding of the baseline that was not found again, as the baseline has it."""

    path: str
    line: int
    name: str
    class_name: str
    fingerprint: str


@dataclass(frozen=True)
class OnTest:
    """Of so many test functions, how many are vulnerable, were alerted, and rightly so.

    of_class: alerts that named a class, and how many of these functions have it.
    """

    functions: int
    vulnerable: int
    alerts: int
    right: int
    of_class: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class ScanningModel:
    """The model, and what its alerts were worth on test."""

    shown: str
    name: str
    label_mode: str
    class_names: list[str]
    trained_on: str
    temperature: float
    thresholds: dict[str, float] | None
    error_from: float | None
    sure_from: float | None
    measured: OnTest | None


@dataclass(frozen=True)
class Summary:
    """How much was read, and how much of it counts: neither ignored nor known, of any budget."""

    files: int
    lines: int
    functions: int
    findings: int
    counting: int
    ignored: int
    known: int
    gone: int
    budget: int | None
    below_budget: int
    per_1000_lines: float


@dataclass(frozen=True)
class Unread:
    """A file that was not read."""

    path: str
    reason: str


@dataclass(frozen=True)
class ScanReport:
    """A scan. limits: what must be said beside any finding, a sentence each, the first always."""

    tool: Literal["enstack scan"]
    version: str
    edition: int
    limits: list[str]
    model: ScanningModel
    summary: Summary
    findings: list[JudgedFinding]
    gone: list[GoneFinding]
    functions: list[JudgedFunction]
    skipped: list[Unread]
    leftovers: dict[str, int]


def scan_json(scan: Scan) -> str:
    """The text of a scan's JSON form; equal scans give equal text."""
    return json_text(dataclasses.asdict(_report(scan)), ensure_ascii=False, indent=1) + "\n"


def scan_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of it: every key is there, and no other one."""
    schema = TypeAdapter(ScanReport).json_schema(mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        if "properties" in part:
            part |= {"required": list(part["properties"]), "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{ADDRESS}?edition={SCAN_EDITION}",
        **schema,
        "title": "enstack scan --format json",
    }


def _report(scan: Scan) -> ScanReport:
    places = {id(one): place for place, one in enumerate(scan.functions)}
    below = {id(one) for one in scan.counting[len(scan.alerts) :]}
    return ScanReport(
        tool="enstack scan",
        version=__version__,
        edition=SCAN_EDITION,
        limits=[honest_line(scan.profile), *unknowns(scan.profile)],
        model=_model(scan),
        summary=Summary(
            files=scan.files,
            lines=scan.lines,
            functions=len(scan.functions),
            findings=len(scan.findings),
            counting=len(scan.counting),
            ignored=sum(one.ignored is not None for one in scan.findings),
            known=sum(one.known is not None for one in scan.findings),
            gone=len(scan.gone),
            budget=scan.budget,
            below_budget=len(scan.counting) - len(scan.alerts),
            per_1000_lines=scan.per_1000_lines,
        ),
        findings=[
            _finding(one, places[id(one.function)], scan.compared, id(one) in below)
            for one in scan.findings
        ],
        gone=[
            GoneFinding(one.shown, one.line, one.name, one.class_name, one.fingerprint)
            for one in scan.gone
        ],
        functions=[_function(one, scan.profile.class_names) for one in scan.functions],
        skipped=[Unread(shown_path(one.path), one.reason) for one in scan.skipped],
        leftovers=scan.leftovers,
    )


def _model(scan: Scan) -> ScanningModel:
    profile, measured = scan.profile, scan.profile.measured
    thresholds = None
    if profile.thresholds is not None:
        chosen = json_values(profile.thresholds)
        thresholds = {
            name: value
            for name, value, asked in zip(
                profile.class_names, chosen, profile.rule.asked, strict=True
            )
            if asked
        }
    return ScanningModel(
        shown=scan.model,
        name=profile.name,
        label_mode=profile.label_mode,
        class_names=list(profile.class_names),
        trained_on=profile.source,
        temperature=profile.temperature,
        thresholds=thresholds,
        error_from=profile.error_from,
        sure_from=profile.sure_from,
        measured=None
        if measured is None
        else OnTest(
            measured.n, measured.vulnerable, measured.alerts, measured.right, measured.of_class
        ),
    )


def _function(one: ScannedFunction, class_names: tuple[str, ...]) -> JudgedFunction:
    return JudgedFunction(
        path=shown_path(one.path),
        name=one.name,
        qualified_name=one.qualified_name,
        range=Range(one.start_line, one.start_column, one.end_line, one.end_column),
        read_by=one.way,
        score=one.score,
        probabilities=dict(zip(class_names, one.probabilities, strict=True)),
        sure=one.sure,
        out_of_distribution=list(one.strange),
        near_training_function=None if one.near is None else NearFunction(*one.near),
        windows=one.windows,
        worst_window=one.window_lines,
        first_window_score=one.first_score,
        end_unread=one.unread,
        fingerprint=one.fingerprint,
    )


def _finding(one: Finding, place: int, compared: bool, below: bool) -> JudgedFinding:
    return JudgedFinding(
        function=place,
        path=shown_path(one.function.path),
        line=one.function.start_line,
        name=one.function.qualified_name,
        class_name=one.class_name,
        level=one.level,
        probability=one.probability,
        threshold=one.threshold,
        ignored=one.ignored,
        known=one.known,
        state=one.state if compared else None,
        below_budget=below,
        lines=None if one.lines is None else list(one.lines),
        fingerprint=one.function.fingerprint,
    )
