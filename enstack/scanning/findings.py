"""A judged function, and the findings that a model's alerts on it are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from enstack.bundle.profile import ScanningProfile
from enstack.duplicates.known_functions import Nearest
from enstack.duplicates.lexer import lexer_tokens
from enstack.scanning.functions import Function
from enstack.scanning.ignore_comments import IgnoreComment
from enstack.scanning.judging import Judged
from enstack.scanning.shape import Shaped

__all__ = [
    "LEVELS",
    "Finding",
    "Level",
    "ScannedFunction",
    "ScoredLine",
    "findings_in",
    "fingerprint",
    "scanned_function",
]

Level = Literal["note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("note", "warning", "error")


@dataclass(frozen=True, slots=True)
class ScannedFunction:
    """A function of a file and what a model says of it; lines and columns count from 1.

    end_column: of the last character. way: what read its head, see scanning.functions. score: of
    being vulnerable, where the model tells; probabilities: of each class, calibrated, of the window
    that is most alarming, with its lines where there are several. first_score: of the text as the
    model reads it, cut. sure: whether the model would not abstain; None where nothing tells.
    strange: why it is unlike training functions. fingerprint: of its tokens, and which one it is
    of those that have the same.
    """

    path: Path
    name: str
    qualified_name: str
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    way: str
    score: float
    first_score: float
    probabilities: tuple[float, ...]
    windows: int
    window_lines: tuple[int, int] | None
    unread: bool
    sure: bool | None
    strange: tuple[str, ...]
    near: Nearest | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """A line of a file, from 1, and its share of what told the model."""

    line: int
    score: float


@dataclass(frozen=True)
class Finding:
    """An alert: a function, and the class that reached its threshold.

    threshold: None where the likeliest class is alerted. ignored: what a comment says that ignores
    it, which may be nothing; None without one. known: why it is no news, see scanning.known; None
    where it is, or was compared with nothing. code: the function's text, kept of the worst ones.
    lines: the function's lines that told the model most, the strongest first; None where they were
    not looked for, which is done for the worst findings alone.
    """

    function: ScannedFunction
    class_name: str
    probability: float
    threshold: float | None
    level: Level
    ignored: str | None = None
    known: str | None = None
    code: str | None = None
    lines: tuple[ScoredLine, ...] | None = None

    @property
    def counts(self) -> bool:
        """Whether it is news to somebody who looks: neither ignored nor known."""
        return self.ignored is None and self.known is None

    @property
    def state(self) -> Literal["new", "unchanged"]:
        """What it is beside what it was compared with."""
        return "new" if self.known is None else "unchanged"

    @property
    def order(self) -> tuple[Any, ...]:
        """Worst first, then by place, so that equal scans are equal."""
        one = self.function
        return (
            -LEVELS.index(self.level),
            -one.score,
            -self.probability,
            str(one.path),
            one.start_line,
            one.start_column,
            self.class_name,
        )


def fingerprint(text: str) -> str:
    """A function's digest, whatever its layout, comments and place; hex, 32 digits."""
    digest = hashlib.sha256("\0".join(lexer_tokens(text)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def scanned_function(
    function: Function, shaped: Shaped, judged: Judged, profile: ScanningProfile
) -> ScannedFunction:
    """A function of a file with what was said of it, in the shape that the model has read."""
    rows = np.stack([judged.probabilities, judged.first])
    score, first_score = profile.rule.scores(rows).tolist()
    sure = None
    if profile.sure_from is not None:
        sure = bool(profile.task.confidence(rows[:1], None)[0] >= profile.sure_from)
    window_lines = None
    if judged.windows > 1:
        # A window's lines are those of the shaped text, which may have lost some.
        first, last = (shaped.lines[min(line, len(shaped.lines)) - 1] for line in judged.lines)
        window_lines = function.start.line + first - 1, function.start.line + last - 1
    return ScannedFunction(
        path=function.path,
        name=function.name,
        qualified_name=function.qualified_name,
        start_line=function.start.line,
        start_column=function.start.column,
        end_line=function.end.line,
        end_column=function.end.column,
        way=function.way,
        score=score,
        first_score=first_score,
        probabilities=tuple(judged.probabilities.tolist()),
        windows=judged.windows,
        window_lines=window_lines,
        unread=judged.unread,
        sure=sure,
        strange=judged.strange,
        near=judged.near,
        fingerprint=fingerprint(function.text),
    )


def findings_in(
    function: ScannedFunction, profile: ScanningProfile, ignored: list[IgnoreComment]
) -> Iterator[Finding]:
    """The findings of a function: none, or one for each class that is alerted."""
    rule = profile.rule
    given = rule.alerts(np.array([function.probabilities]))[0]
    for place in np.flatnonzero(given):
        name = profile.class_names[place]
        comment = next((one for one in ignored if one.names(name)), None)
        yield Finding(
            function=function,
            class_name=name,
            probability=function.probabilities[place],
            threshold=None if rule.thresholds is None else float(rule.thresholds[place]),
            level=_level(function, profile),
            ignored=None if comment is None else comment.reason,
        )


def _level(function: ScannedFunction, profile: ScanningProfile) -> Level:
    """How much an alert is worth: an error where nine of ten such are right."""
    # Of a model that knows vulnerable functions alone, every function has a class.
    doubtful = function.strange or function.sure is False or not profile.rule.tells_clean
    if doubtful:
        return "note"
    above = profile.error_from is not None and function.score >= profile.error_from
    return "error" if above else "warning"
