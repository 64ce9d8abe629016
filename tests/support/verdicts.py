"""Verdicts as a finished stacking stores them, with the figures that a test asks for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from enstack.stacking.baselines import WORDS
from enstack.stacking.titles import title
from enstack.stacking.verdict import Declared, Explored, VerdictFigures
from enstack.stacking.verdict_text import Verdict, in_words
from enstack.statistics.bootstrap import Difference
from enstack.storage.files import write_json


def difference(value: float, half: float) -> Difference:
    """A difference with an interval of so much to either side."""
    return Difference(value, value - half, value + half, 0.5, half / 2)


def verdict_of(main: Difference, words: Difference | None = None, **more: Any) -> Verdict:
    """What a run with this difference shows; more: other fields of its figures."""
    beaten = main.low > 0 and (words is None or words.low > 0)
    candidate, against = more.pop("candidate", "stack:lr"), more.pop("against", "base:tiny-a")
    figures: dict[str, Any] = {
        "outcome": "worse" if main.high < 0 else "better" if beaten else "not shown",
        "declared": Declared("macro_f1", candidate, against, ["CWE-119"], 2000, 42),
        "candidate_title": title(candidate),
        "against_title": title(against),
        "n": 729,
        "difference": main,
        "smallest_shown": 0.041,
        "all_classes": main,
        "accuracy": main,
        "mcc": main,
        "word_counts": words,
        "only_candidate_right": 31,
        "only_other_right": 29,
        "mcnemar_p": 0.897,
        "labels_differ": True,
        "small_classes": [],
        "collapsed": [],
        "corrected": {"key": WORDS, "as_measured": 0.864, "corrected": 0.851},
        "explored": [Explored(candidate, "vote:mean", main, 1.0)],
    }
    return in_words(VerdictFigures(**{**figures, **more}))


def write_verdict(run_dir: Path, verdict: Verdict) -> None:
    """As the stacking stage does."""
    write_json(run_dir / "stacking" / "verdict.json", dataclasses.asdict(verdict))
