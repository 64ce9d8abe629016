"""Runs side by side on the console: a column each, as many beside each other as it has room for."""

from __future__ import annotations

import io
import itertools
import math
import shutil
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from enstack.counting import counted, joined
from enstack.reporting.console import aligned_table, shortened
from enstack.reporting.leaderboard import number
from enstack.reporting.run_comparison import (
    ComparedPair,
    ComparedRun,
    Differing,
    Measured,
    RunComparison,
)
from enstack.stacking.verdict_text import MACRO_F1S, MEASURE_TITLES, signed
from enstack.statistics.bootstrap import Difference

__all__ = ["comparison_text"]

GAP = 2  # between two columns
NARROWEST = 16  # cells of a run's column: an interval takes 11, a setting some more
DIGITS_OF_FINGERPRINT = 12
NUMBERS = 40  # cells of a pair's line beside the two names
Line = tuple[str, Sequence[str]]  # what it tells, and the cell of each run


def comparison_text(comparison: RunComparison) -> str:
    """What each run shows, the settings that differ, and the chosen models against each other."""
    lines = [*_figures(comparison.runs), *_settings(comparison.settings)]
    return "\n\n".join(
        [
            *_side_by_side([one.run for one in comparison.runs], lines),
            *_feet(comparison),
            _pairs_text(comparison.pairs),
        ]
    )


def _figures(runs: Sequence[ComparedRun]) -> Iterator[Line]:
    titles = {MEASURE_TITLES[one.measure] for one in runs}
    yield "does stacking pay?", [one.outcome or "–" for one in runs]
    yield "chosen model", [one.chosen.title for one in runs]
    yield (
        f"{'/'.join(sorted(titles))} *",
        [f"{number(one.chosen.value)} {_ends(one.chosen)}" for one in runs],
    )
    yield "best base model *", [_named(one.best_base) for one in runs]
    yield "word counts *", [_value(one.word_counts) for one in runs]
    yield "macro-F1, all", [number(one.macro_f1) for one in runs]
    yield "accuracy", [number(one.accuracy) for one in runs]
    yield "MCC", [number(one.mcc) for one in runs]
    yield "test functions", [f"{one.n:,}" for one in runs]
    yield "seed", [str(one.seed) for one in runs]
    yield "data", [one.fingerprint[:DIGITS_OF_FINGERPRINT] for one in runs]


def _settings(settings: Sequence[Differing]) -> Iterator[Line]:
    for one in settings:
        # The table's own seed has been told.
        if one.setting != "seed":
            yield one.setting, [_plain(value) for value in one.values]


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _ends(one: Measured) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{number(one.low)}–{number(one.high)}"


def _value(one: Measured | None) -> str:
    return number(None if one is None else one.value)


def _named(one: Measured | None) -> str:
    return "–" if one is None else f"{number(one.value)} {one.title}"


def _side_by_side(names: Sequence[str], lines: Sequence[Line]) -> Iterator[str]:
    """A table for as many runs as have room, and another one for those after them."""
    labels = max(cell_len(label) for label, _ in lines)
    room = shutil.get_terminal_size().columns - labels
    tables = math.ceil(len(names) / max(1, room // (NARROWEST + GAP)))
    at_once = math.ceil(len(names) / tables)
    width = max(NARROWEST, room // at_once - GAP)
    for start in range(0, len(names), at_once):
        some = slice(start, start + at_once)
        # The end of a path tells runs apart, and so does its beginning.
        heads = [shortened(name, width) for name in names[some]]
        rows = [row for label, cells in lines for row in _row(label, cells[some], width)]
        yield aligned_table(["", *heads], rows, left=range(len(heads) + 1))


def _row(label: str, cells: Sequence[str], width: int) -> Iterator[list[str]]:
    """A line of a table, and as many below it as its longest cell takes."""
    # Cut, two long lists would look alike.
    folded = [_folded(cell, width) for cell in cells]
    for number_of_line, parts in enumerate(itertools.zip_longest(*folded, fillvalue="")):
        yield ["" if number_of_line else label, *parts]


def _folded(text: str, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_jupyter=False, legacy_windows=False)
    return [line.plain.rstrip() for line in Text(text).wrap(console, width)]


def _feet(comparison: RunComparison) -> Iterator[str]:
    """What the stars of the tables mean, and that no setting differs where that is so."""
    over: dict[str, list[str]] = {}
    for one in comparison.runs:
        over.setdefault(_measure(one), []).append(one.run)
    for measure, names in over.items():
        whose = "" if len(over) == 1 else f" of {joined(names)}"
        yield f"* The primary measure{whose}: {measure}, with its 95 % interval."
    if not comparison.settings:
        yield "All recorded settings are the same."


def _measure(one: ComparedRun | ComparedPair) -> str:
    title = MEASURE_TITLES[one.measure]
    return f"{title} over {joined(one.classes)}" if one.measure in MACRO_F1S else title


def _pairs_text(pairs: Sequence[ComparedPair]) -> str:
    """The pairs that can be compared as a table; of each of the others, why it can't be."""
    able = [one for one in pairs if one.difference is not None]
    told = [
        f"Not compared: {one.first} and {one.second}, for {one.why_not}."
        for one in pairs
        if one.difference is None
    ]
    if not able:
        return "\n".join(told)
    return "\n".join([_pairs_table(able), "", *_how_to_read(able), *told])


def _pairs_table(pairs: Sequence[ComparedPair]) -> str:
    width = max(8, (shutil.get_terminal_size().columns - NUMBERS - 6) // 2)
    rows = [
        [
            f"{shortened(one.first, width)} less {shortened(one.second, width)}",
            signed(one.difference.value),
            _interval(one.difference),
            number(one.difference.p),
            number(one.p_holm),
        ]
        for one in pairs
        if one.difference is not None
    ]
    return aligned_table(["the chosen models", "", "95 % interval", "p", "Holm's p"], rows)


def _interval(one: Difference) -> str:
    # Two models that decide every function alike: no resample tells them apart.
    return f"{signed(one.low)} to {signed(one.high)}" if one.standard_error else "–"


def _how_to_read(pairs: Sequence[ComparedPair]) -> Iterator[str]:
    functions = " or ".join(counted(n, "test function") for n in sorted({one.n for one in pairs}))
    measures = " or ".join(dict.fromkeys(_measure(one) for one in pairs))
    yield f"Differences in {measures}, on the same {functions}."
    holm = f" Holm's p heeds that there are {len(pairs)} pairs." if len(pairs) > 1 else ""
    yield (
        "Exploratory: nobody declared these comparisons before test was read. Whoever picks a run "
        f"by them has to confirm it on other functions.{holm}"
    )
