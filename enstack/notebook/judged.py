"""What models say of functions, as HTML for a cell: verdict, probabilities of each model, code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enstack.bundle.honesty import honest_line, unknowns
from enstack.bundle.profile import ScanningProfile
from enstack.bundle.trained_model import TrainedModel
from enstack.console import printable
from enstack.reporting.html import render_page
from enstack.rounding import percent
from enstack.scanning.files import functions_of
from enstack.scanning.findings import Finding, ScannedFunction
from enstack.scanning.remarks import remarks
from enstack.scanning.scan import Scan
from enstack.scanning.shape import shaped
from enstack.stacking.titles import title

__all__ = ["MOST_SHOWN", "judged_page"]

MOST_SHOWN = 20  # functions, the worst ones: every base model is asked about each


@dataclass(frozen=True)
class ModelRow:
    """What one model says of a function: of each class its share, as text, and from 0 to 1."""

    model: str
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Shown:
    """A function as a cell shows it.

    code: its lines, each with its number in the file, and from 0 to 1 how much it speaks for the
    worst finding.
    """

    name: str
    place: str
    findings: list[Finding]
    remarks: list[str]
    rows: list[ModelRow]
    code: list[tuple[int, str, float]]


def judged_page(scan: Scan, model: TrainedModel, place: Path) -> str:
    """What a scan of a place says, worst first, with what each base model says of it."""
    worst = _worst_first(scan)[:MOST_SHOWN]
    values = {
        "scan": scan,
        "shown": list(_shown(scan, worst, model, place)),
        "classes": model.class_names,
        "unknowns": unknowns(scan.profile),
        "honest": honest_line(scan.profile),
    }
    return render_page("enstack.notebook", "judged.html.j2", values)


def _worst_first(scan: Scan) -> list[ScannedFunction]:
    alerted = {id(finding.function): place for place, finding in enumerate(reversed(scan.findings))}
    return sorted(scan.functions, key=lambda one: (-alerted.get(id(one), -1), -one.score))


def _shown(
    scan: Scan, worst: Sequence[ScannedFunction], model: TrainedModel, place: Path
) -> Iterator[Shown]:
    texts = _texts(worst)
    rows = _rows(texts, model, scan.profile)
    for one, text, of_models in zip(worst, texts, rows, strict=True):
        said = [(percent(p), float(p)) for p in one.probabilities]
        inside = one.path.is_relative_to(place) and one.path != place
        findings = [finding for finding in scan.findings if finding.function is one]
        yield Shown(
            name=one.qualified_name,
            place=f"{one.path.relative_to(place)}, " if inside else "",
            findings=findings,
            remarks=remarks(one),
            rows=[ModelRow(f"{title(model.name)}, calibrated", said), *of_models],
            code=_code(text, one.start_line, findings),
        )


def _code(text: str, start: int, findings: Sequence[Finding]) -> list[tuple[int, str, float]]:
    scored = (findings[0].lines if findings else None) or ()
    scores = {one.line: one.score for one in scored}
    most = max(scores.values(), default=1.0)
    lines = printable(text.expandtabs(4), keep="\n").split("\n")
    return [(n, line, scores.get(n, 0.0) / most) for n, line in enumerate(lines, start)]


def _texts(functions: Sequence[ScannedFunction]) -> list[str]:
    """Their code, which a scan keeps of findings alone."""
    paths = list(dict.fromkeys(one.path for one in functions))
    found = functions_of(paths).functions if paths else []
    by_place = {(one.path, one.start.line, one.start.column): one.text for one in found}
    return [by_place[one.path, one.start_line, one.start_column] for one in functions]


def _rows(
    texts: Sequence[str], model: TrainedModel, profile: ScanningProfile
) -> list[list[ModelRow]]:
    """Of each text what each base model says of it, as far as it reads."""
    if not texts:
        return []
    read = [shaped(text, comments=profile.comments is not False).text for text in texts]
    end = "\n" if profile.final_newline else ""
    said = {one.name: one.predict_proba([text + end for text in read]) for one in model.base_models}
    return [
        [_row(name, every[place]) for name, every in said.items()] for place in range(len(read))
    ]


def _row(name: str, probabilities: np.ndarray) -> ModelRow:
    return ModelRow(name, [(percent(p), float(p)) for p in probabilities.tolist()])
