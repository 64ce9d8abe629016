"""The lines of a finding's function that told the model most: found once, then kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from enstack.duplicates.lexer import LONGEST
from enstack.progress.bars import Bar
from enstack.progress.quiet import quietly
from enstack.scanning.findings import Finding, ScoredLine
from enstack.scanning.judging import Judge
from enstack.scanning.score_cache import ScoreCache, key_of
from enstack.scanning.shape import Shaped, as_learned
from enstack.storage.files import sha256_json

__all__ = ["EXPLAINED", "MOST_LINES", "LinesOfFindings"]

LINES_EDITION = 2  # raise when a finding may get other lines, so that no stored ones are used
# The worst findings that count. A page shows as many; each costs as much again as judging it.
EXPLAINED = 100
MOST_LINES = 10  # of each finding
AT_ONCE = 10
RECORD = np.dtype([("lines", "<u4", (MOST_LINES,)), ("scores", "<f4", (MOST_LINES,))])


class LinesOfFindings:
    """The lines of what a judge has found, with the cache of those that were found before.

    cache_dir: a folder, None for no cache on disk.
    """

    def __init__(self, judge: Judge, cache_dir: Path | None) -> None:
        digest = sha256_json([LINES_EDITION, judge.digest])
        path = None if cache_dir is None else cache_dir / "lines" / f"{digest}.lines"
        self.judge, self.cache = judge, ScoreCache(path, RECORD)

    def found_in(self, findings: Sequence[Finding], budget: int | None) -> list[Finding]:
        """The findings, worst first, with the lines of the first ones that count.

        budget: how many are shown at most.
        """
        explained = [
            place
            for place, finding in enumerate(findings)
            if finding.counts and finding.code is not None
        ][:EXPLAINED][:budget]
        forms = [as_learned(findings[place].code or "", self.judge.profile) for place in explained]
        asked = [
            (form.text, findings[place].class_name)
            for form, place in zip(forms, explained, strict=True)
        ]
        self._find([one for one in dict.fromkeys(asked) if self.cache.get(_key(*one)) is None])
        found = list(findings)
        for place, form, one in zip(explained, forms, asked, strict=True):
            record: Any = self.cache.get(_key(*one))
            start = found[place].function.start_line
            found[place] = dataclasses.replace(found[place], lines=_in_file(record, form, start))
        return found

    def _find(self, asked: Sequence[tuple[str, str]]) -> None:
        """Find the lines of texts for a class each."""
        with Bar(len(asked), "Finding their lines", unit="finding") as bar:
            for start in range(0, len(asked), AT_ONCE):
                part = asked[start : start + AT_ONCE]
                # What a part has cost is kept, whatever becomes of the next one.
                self.cache.add([_key(*one) for one in part], self._records(part))
                bar.advance(len(part))

    def _records(self, asked: Sequence[tuple[str, str]]) -> np.ndarray:
        from enstack.models.windows import windows_of

        model, names = self.judge.model, self.judge.profile.class_names
        # Where a function was read in windows, its score is that of one of them.
        parts = [
            next(
                window
                for window in windows_of(text, model.base_models, LONGEST)
                if window[1:] == self.judge.judged(text).lines
            )
            for text, _ in asked
        ]
        classes = [names.index(class_name) for _, class_name in asked]
        with quietly():
            every = model.line_scores_as_read([part.text for part in parts], classes)
        records = np.zeros(len(asked), RECORD)
        for row, (part, scores) in enumerate(zip(parts, every, strict=True)):
            best = _strongest(part.text, scores)
            records["lines"][row, : len(best)] = part.first_line + best
            records["scores"][row, : len(best)] = scores[best]
        return records


def _strongest(text: str, scores: np.ndarray) -> np.ndarray:
    """The lines, from 0, that hold something and told the model something, the strongest first."""
    holds = np.array([bool(line.strip()) for line in text.split("\n")])
    order = np.argsort(-scores, kind="stable")
    return np.asarray(order[holds[order] & (scores[order] > 0)][:MOST_LINES])


def _in_file(record: Any, form: Shaped, start_line: int) -> tuple[ScoredLine, ...]:
    """A record's lines as the file counts them; the shaped text may have lost some."""
    return tuple(
        ScoredLine(start_line + form.lines[int(line) - 1] - 1, float(score))
        for line, score in zip(record["lines"], record["scores"], strict=True)
        if line
    )


def _key(text: str, class_name: str) -> bytes:
    return key_of(f"{class_name}\0{text}")
