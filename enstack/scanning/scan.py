"""A scan: files into functions, functions judged, alerts as findings, worst first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enstack.bundle.opening import OpenedModel
from enstack.bundle.profile import ScanningProfile
from enstack.counting import counted
from enstack.progress.bars import Bar
from enstack.progress.screen import warn
from enstack.rounding import decimal
from enstack.scanning.files import ScannedFile, scanned_files
from enstack.scanning.finding_lines import LinesOfFindings
from enstack.scanning.findings import Finding, ScannedFunction, findings_in, scanned_function
from enstack.scanning.functions import Function
from enstack.scanning.ignore_comments import IgnoreComment
from enstack.scanning.judging import Judge
from enstack.scanning.known import NOTHING, BaselineFinding, Known
from enstack.scanning.paths import is_below
from enstack.scanning.shape import Shaped, as_learned
from enstack.scanning.walk import SkippedFile, count_files

__all__ = ["KEPT_CODE", "Scan", "below_budget", "in_words", "scan_paths"]

KEPT_CODE = 500  # findings whose code is kept, the worst ones
# Characters of functions that wait to be judged, so that any tree fits into memory.
MOST_WAITING = 64 << 20


@dataclass(frozen=True)
class Scan:
    """What a scan found: every function with what the model says of it, and the findings.

    model: the model's place and name. named: the paths that were asked for. findings: worst first.
    files, lines: that were read. skipped: files that were not, with the reason. leftovers: brace
    blocks that became no function, by kind, how many. judged_before: functions whose scores were in
    the cache. compared: whether findings were held against what is known; gone: what is known and
    was not found, where its file was asked for. budget: how many findings are shown at most.
    """

    model: str
    named: tuple[Path, ...]
    profile: ScanningProfile = field(repr=False)
    functions: list[ScannedFunction] = field(repr=False)
    findings: list[Finding]
    files: int
    lines: int
    skipped: list[SkippedFile] = field(repr=False)
    leftovers: dict[str, int]
    judged_before: int
    compared: bool = False
    gone: list[BaselineFinding] = field(default_factory=list, repr=False)
    budget: int | None = None

    @property
    def counting(self) -> list[Finding]:
        """The findings that no comment ignores, and that are not known; of any budget."""
        return [finding for finding in self.findings if finding.counts]

    @property
    def alerts(self) -> list[Finding]:
        """Those of them that are shown: the worst, as many as the budget allows."""
        return self.counting[: self.budget]

    @property
    def per_1000_lines(self) -> float:
        """Findings that count, of 1,000 lines that were read."""
        return 1000 * len(self.counting) / self.lines if self.lines else 0.0


@dataclass(frozen=True)
class _Waiting:
    """A function that is to be judged."""

    function: Function
    shaped: Shaped
    ignored: list[IgnoreComment]


class _Scanner:
    def __init__(self, judge: Judge, known: Known) -> None:
        self.judge, self.known = judge, known
        self.functions: list[ScannedFunction] = []
        self.findings: list[Finding] = []
        self.with_code = 0
        self.judged_before = 0
        self.times = Counter[str]()

    def take(self, waiting: Sequence[_Waiting]) -> None:
        """Judge functions, and keep what is said of them."""
        texts = [one.shaped.text for one in waiting]
        new = [text for text in dict.fromkeys(texts) if not self.judge.knows(text)]
        self.judged_before += len(texts) - sum(map(set(new).__contains__, texts))
        with Bar(len(new), "Judging functions", unit="function") as bar:
            self.judge.judge(new, bar)
        for one in waiting:
            self._keep(one)

    def _keep(self, one: _Waiting) -> None:
        profile, judged = self.judge.profile, self.judge.judged(one.shaped.text)
        scanned = scanned_function(one.function, one.shaped, judged, profile)
        # Of functions with the same tokens, which one it is: each result has a mark of its own.
        self.times[scanned.fingerprint] += 1
        mark = f"{scanned.fingerprint}:{self.times[scanned.fingerprint]}"
        scanned = dataclasses.replace(scanned, fingerprint=mark)
        self.functions.append(scanned)
        found = [
            dataclasses.replace(finding, code=one.function.text)
            for finding in findings_in(scanned, profile, one.ignored)
        ]
        self.findings += found
        self.with_code += len(found)
        if self.with_code > 2 * KEPT_CODE:
            self.sort()

    def sort(self) -> None:
        """Put the worst first, what is known last, and forget the code of all but the first."""
        self.findings.sort(key=lambda one: (self.known.may_know(one), one.order))
        for place in range(KEPT_CODE, len(self.findings)):
            self.findings[place] = dataclasses.replace(self.findings[place], code=None)
        self.with_code = min(len(self.findings), KEPT_CODE)


def scan_paths(
    paths: Sequence[str | Path],
    opened: OpenedModel,
    *,
    cache_dir: Path | None,
    known: Known = NOTHING,
    budget: int | None = None,
) -> Scan:
    """Judge every function of files, folders, or standard input (`-`).

    cache_dir: where scores are kept, so that what was judged before is not again; None: nowhere.
    known: what findings are compared with. budget: how many are shown at most.
    Raises DataError for a path that is not there, before any file is read.
    """
    judge = Judge(opened, cache_dir)
    scanner, skipped, leftovers = _Scanner(judge, known), list[SkippedFile](), Counter[str]()
    files, lines, waiting, characters = 0, 0, list[_Waiting](), 0
    for found in _read(paths):
        if isinstance(found, SkippedFile):
            skipped.append(found)
            continue
        files, lines = files + 1, lines + found.n_lines
        leftovers.update(leftover.kind for leftover in found.leftovers)
        for one in _of_file(found, judge.profile):
            waiting.append(one)
            characters += len(one.shaped.text)
        if characters > MOST_WAITING:
            scanner.take(waiting)
            waiting, characters = [], 0
    scanner.take(waiting)
    scanner.sort()
    findings, gone = known.marked(scanner.findings)
    lines_of = LinesOfFindings(judge, cache_dir)
    findings = lines_of.found_in(sorted(findings, key=lambda one: one.order), budget)
    if failure := judge.cache.failure or lines_of.cache.failure:
        warn(f"⚠️  Scores were not kept for the next scan: {failure}.")
    named = tuple(map(Path, paths))
    return Scan(
        model=opened.shown,
        named=named,
        profile=judge.profile,
        functions=scanner.functions,
        findings=findings,
        files=files,
        lines=lines,
        skipped=skipped,
        leftovers=dict(sorted(leftovers.items())),
        judged_before=scanner.judged_before,
        compared=known.compares,
        gone=[one for one in gone if is_below(one.path, named)],
        budget=budget,
    )


def _read(paths: Sequence[str | Path]) -> Iterator[ScannedFile | SkippedFile]:
    """The files, with a bar."""
    # What is skipped is counted as what is read: a bar that ends early would look broken.
    with Bar(count_files(paths), "Reading files", unit="file") as bar:
        for found in scanned_files(paths):
            yield found
            bar.advance(min(1, bar.total - bar.done))


def _of_file(file: ScannedFile, profile: ScanningProfile) -> Iterator[_Waiting]:
    """The functions of a file in the shape that the model has learned."""
    claimed = {id(one): _function_of(one, file.functions) for one in file.ignored}
    for function in file.functions:
        ignored = [one for one in file.ignored if claimed[id(one)] is function]
        yield _Waiting(function, as_learned(function.text, profile), ignored)


def _function_of(comment: IgnoreComment, functions: Sequence[Function]) -> Function | None:
    """The function that a comment stands in, or else the next one, if it is near."""
    near = [one for one in functions if comment.is_of(one.start.line, one.end.line)]
    within = [one for one in near if one.start.line <= comment.line <= one.end.line]
    return next(iter(within or near), None)


def in_words(scan: Scan) -> str:
    """What was read and found, in one sentence."""
    what = "new finding" if scan.compared else "finding"
    return (
        f"{counted(len(scan.counting), what)} in {counted(len(scan.functions), 'function')}, "
        f"{counted(scan.files, 'file')}, {counted(scan.lines, 'line')}"
    )


def below_budget(scan: Scan) -> str:
    """What a budget has cut, in one sentence; empty where it has cut nothing."""
    if not (below := scan.counting[len(scan.alerts) :]):
        return ""
    return (
        f"The budget of {scan.budget:,} is spent: {counted(len(below), 'more finding')} lie below, "
        f"the worst a {below[0].level} with {decimal(below[0].probability, 2)}."
    )
