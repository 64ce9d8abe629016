"""Which findings are known from before: by an earlier scan, or by functions as git has them."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from enstack.scanning.findings import Finding
from enstack.scanning.paths import absolute

__all__ = ["NOTHING", "Baseline", "BaselineFinding", "Known", "Revision"]

Placed = tuple[Path, Hashable]  # something in a file, and by what it is known again elsewhere


@dataclass(frozen=True)
class BaselineFinding:
    """A finding of an earlier scan; path: absolute, where its file would be here.

    shown: the path as that scan has written it. fingerprint: as of ScannedFunction.
    """

    path: Path
    shown: str
    line: int
    name: str
    class_name: str
    fingerprint: str

    @property
    def placed(self) -> Placed:
        """Its file, and what it is known by."""
        return self.path, (_digest(self.fingerprint), self.class_name)


@dataclass(frozen=True)
class Baseline:
    """The findings of an earlier scan; file: where they stand. missing: how many it leaves out."""

    file: str
    findings: list[BaselineFinding] = field(repr=False)
    missing: int


@dataclass(frozen=True)
class Revision:
    """What git has: name, as it was asked for. same: files that are as they were, absolute.

    functions: of all files that are not, or are gone, each function's file and digest.
    """

    name: str
    same: frozenset[Path] = field(repr=False)
    functions: list[tuple[Path, str]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Known:
    """What findings are compared with; None for what is not asked for."""

    baseline: Baseline | None
    revision: Revision | None

    @property
    def compares(self) -> bool:
        """Whether there is anything to compare with."""
        return self.baseline is not None or self.revision is not None

    def may_know(self, finding: Finding) -> bool:
        """Whether a finding could turn out to be known, as far as it tells without the others."""
        digest = _digest(finding.function.fingerprint)
        if digest in self._keys or (digest, finding.class_name) in self._keys:
            return True
        return self.revision is not None and absolute(finding.function.path) in self.revision.same

    @cached_property
    def _keys(self) -> frozenset[Hashable]:
        """By what is known again what is."""
        before: list[Placed] = []
        if self.baseline is not None:
            before += [one.placed for one in self.baseline.findings]
        if self.revision is not None:
            before += self.revision.functions
        return frozenset(key for _, key in before)

    def marked(self, findings: Sequence[Finding]) -> tuple[list[Finding], list[BaselineFinding]]:
        """The findings, each with its state, and those of the baseline that are not among them."""
        reasons, gone = dict[int, str](), list[BaselineFinding]()
        if self.revision is not None:
            told = f"the function is as it was at {self.revision.name}"
            reasons |= dict.fromkeys(_as_before(findings, self.revision), told)
        if self.baseline is not None:
            found, gone = _in_baseline(findings, self.baseline)
            reasons |= dict.fromkeys(found, f"it is in {self.baseline.file}")
        marked = [
            dataclasses.replace(finding, known=reasons.get(place))
            for place, finding in enumerate(findings)
        ]
        return marked, gone


NOTHING = Known(None, None)


def _in_baseline(
    findings: Sequence[Finding], baseline: Baseline
) -> tuple[set[int], list[BaselineFinding]]:
    here = [
        (absolute(one.function.path), (_digest(one.function.fingerprint), one.class_name))
        for one in findings
    ]
    found, left = _matched(here, [one.placed for one in baseline.findings])
    return found, [baseline.findings[place] for place in left]


def _as_before(findings: Sequence[Finding], revision: Revision) -> set[int]:
    """The places of findings whose functions are as they were."""
    # A function has several findings, and is one.
    functions = {id(one.function): one.function for one in findings}
    here = [(absolute(one.path), _digest(one.fingerprint)) for one in functions.values()]
    same = {place for place, (path, _) in enumerate(here) if path in revision.same}
    changed = [place for place in range(len(here)) if place not in same]
    found, _ = _matched([here[place] for place in changed], revision.functions)
    known = same | {changed[place] for place in found}
    as_before = {one for place, one in enumerate(functions) if place in known}
    return {place for place, one in enumerate(findings) if id(one.function) in as_before}


def _matched(here: Sequence[Placed], before: Sequence[Placed]) -> tuple[set[int], list[int]]:
    """Which of `here` were there before, each of them taken once; and what is left of these.

    In its own file first: where a function has been copied, the copy is new.
    """
    found, left = set[int](), list(range(len(before)))
    for with_path in (True, False):
        waiting = defaultdict[Hashable, list[int]](list)
        for place in reversed(left):
            waiting[before[place] if with_path else before[place][1]].append(place)
        for place, one in enumerate(here):
            if place not in found and (same := waiting.get(one if with_path else one[1])):
                same.pop()
                found.add(place)
        left = sorted(place for places in waiting.values() for place in places)
    return found, left


def _digest(fingerprint: str) -> str:
    """A function's digest, without which one it is of those that are alike."""
    return fingerprint.partition(":")[0]
