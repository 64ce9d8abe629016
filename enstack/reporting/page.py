"""Writes a run's report: report.html (one file), report.json, figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enstack.data.labels import SEVERAL_FLAGS
from enstack.data.made_up import MADE_UP_NOTE
from enstack.data.weaknesses import FLAG, MEANINGS
from enstack.reporting.content import ReportContent
from enstack.reporting.costs import COST_TITLES
from enstack.reporting.curve_figures import MOST_CLASSES
from enstack.reporting.evaluation import Evaluation
from enstack.reporting.figures import SMALL_CLASS, draw_figures
from enstack.reporting.findings import load_results
from enstack.reporting.html import render_page
from enstack.reporting.leaderboard import KINDS, MEASURES, LeaderboardRow
from enstack.reporting.paper import as_large_as_the_papers
from enstack.reporting.two_languages import Catalog, in_two_languages, read_catalog
from enstack.run_folder import RunFolder
from enstack.stacking.baselines import WORDS
from enstack.stacking.titles import title
from enstack.stacking.verdict_text import MEASURE_TITLES, two_measures
from enstack.storage.files import write_bytes, write_json, write_text

__all__ = ["write_report"]


def write_report(run_dir: Path) -> Path:
    """Write report/ of a run folder from what is stored there, and return report.html's path.

    Equal inputs give equal bytes. Raises CheckpointError when an input is missing or damaged.
    """
    content = load_results(run_dir)
    # All that may fail comes first, so that no half of a report is written.
    pictures = draw_figures(content)
    page = _page(content, pictures.on_page)
    run = RunFolder(Path(run_dir))
    for name, png in pictures.files.items():
        write_bytes(run.figures / f"{name}.png", png)
    write_json(run.report_data, content.to_json())
    write_text(run.report_page, page)
    return run.report_page


def _page(content: ReportContent, pictures: Mapping[str, str]) -> str:
    # Not asdict: the template reads the attributes of rows as they are.
    values = {field.name: getattr(content, field.name) for field in dataclasses.fields(content)}
    more = {
        "pictures": pictures,
        "most_classes": MOST_CLASSES,
        "most_confused": _most_confused,
        "notes": _notes(content.data),
        "flag_means": FLAG,
        "means": MEANINGS,
        "kinds": KINDS,
        "measures": MEASURES,
        "cost_titles": COST_TITLES,
        "small_class": SMALL_CLASS,
        "axis": _axis(content.leaderboard),
        "reasons": _reasons(content.data["dropped"]),
        "measure_titles": MEASURE_TITLES,
        "two_measures": two_measures(content.verdict) if content.verdict else "",
        "row_title": title,
        "base_keys": [row.key for row in content.leaderboard if row.kind == "base"],
        "words_row": next((row for row in content.leaderboard if row.key == WORDS), None),
        "one_answer": {
            one.key: one.only_answer for one in content.collapsed if one.only_answer is not None
        },
        "against": _against(content),
        "papers_size": as_large_as_the_papers(content.data["functions"]),
    }
    page = render_page("enstack.reporting", "report.html.j2", {**values, **more})
    return in_two_languages(page, Catalog(read_catalog()))


def _most_confused(of: Evaluation) -> list[tuple[str, str, int, float]]:
    """The 20 most frequent confusions: the true class, what is said, functions, share of the true.

    More classes than a table has room for make a matrix that is nearly empty.
    """
    found = [
        (true, said, n, n / sum(counts))
        for true, counts in zip(of.confusion_classes, of.confusion, strict=True)
        for said, n in zip(of.confusion_classes, counts, strict=True)
        if n and said != true
    ]
    return sorted(found, key=lambda one: -one[2])[:20]


def _notes(data: Mapping[str, Any]) -> list[str]:
    """The notes on the data that stand nowhere else on the page."""
    told = {MADE_UP_NOTE}
    if data["flag_counts"]:
        told |= {note for note in data["notes"] if SEVERAL_FLAGS in note}
    return [note for note in data["notes"] if note not in told]


def _reasons(dropped: Mapping[str, Mapping[str, int]]) -> list[str]:
    """For which any function is left out, in the order of data.json."""
    counted = [reason for counts in dropped.values() for reason, n in counts.items() if n]
    # Each once, in order: a set's order may differ from one process to the next.
    return list(dict.fromkeys(counted))


def _axis(rows: Sequence[LeaderboardRow]) -> tuple[float, float]:
    """Ends of the axis that the macro-F1 intervals are drawn on.

    The plainest baseline is left out: far below all else, it would squeeze what is to be compared.
    """
    plainest = ("baseline:majority", "baseline:frequency")
    shown = [row for row in rows if row.key not in plainest] or list(rows)
    columns = ("macro_f1", "macro_f1_low", "macro_f1_high")
    drawn = [getattr(row, column) for row in shown for column in columns]
    values = [value for value in drawn if value is not None]
    # Twentieths, and never an axis without length, though all values be one.
    low, high = math.floor(min(values) * 20 - 1e-9), math.ceil(max(values) * 20 + 1e-9)
    return max(low, 0) / 20, min(high, 20) / 20


def _against(content: ReportContent) -> list[dict[str, Any]]:
    """What the candidate was held against: the alternative, word counts, the best base model.

    Each once. reach: how far the axis of the differences goes to either side of zero; explored:
    whether nobody had declared it.
    """
    verdict = content.verdict
    if verdict is None:
        return []
    found = {verdict.declared.against: verdict.difference}
    if verdict.word_counts is not None:
        found.setdefault(WORDS, verdict.word_counts)
    declared = set(found)
    by_key = {one.second: one.difference for one in verdict.explored}
    bases = {key: one for key, one in {**by_key, **found}.items() if key.startswith("base:")}
    if bases:
        # The best by this measure, which may count fewer classes than the leaderboard's.
        best = min(bases, key=lambda key: bases[key].value)
        found.setdefault(best, bases[best])
    ends = [abs(end) for one in found.values() for end in (one.low, one.high)]
    # Equal predictions differ by 0, where the axis still needs a length; a tenth is margin.
    reach = max([*ends, 0.01]) * 1.1
    return [
        {
            "kind": key.partition(":")[0],
            "title": title(key),
            "difference": one,
            "reach": reach,
            "explored": key not in declared,
        }
        for key, one in found.items()
    ]
