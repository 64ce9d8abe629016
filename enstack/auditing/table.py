"""An audit as aligned tables for the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from enstack.auditing.content import (
    Alert,
    Audit,
    Contradiction,
    FlagsTogether,
    Lengths,
    Scores,
    WordCounts,
)
from enstack.auditing.side_by_side import side_by_side
from enstack.auditing.without_model import TITLES
from enstack.console import printable, wrapped_lines
from enstack.counting import counted
from enstack.reporting.console import aligned_table
from enstack.reporting.html import share
from enstack.reporting.leaderboard import number
from enstack.rounding import decimal, percent
from enstack.stacking.titles import SHORT_TITLES

__all__ = ["audit_text"]

Row = Sequence[str]
WIDTH = 80
NAME_WIDTH = 24  # of a project's name: one may be an address
QUANTILES = ("5 %", "25 %", "median", "75 %", "95 %", "longest")


def audit_text(audit: Audit) -> str:
    """An audit, table by table."""
    return "\n".join(_lines(audit)).rstrip()


def _lines(audit: Audit) -> Iterator[str]:
    splits = list(audit.functions)
    # Names and notes come from users' files: no control character may reach the terminal.
    yield printable(f"{audit.data}, label_mode={audit.label_mode}")
    yield audit.label_rule
    yield from (f"· {printable(note)}" for note in audit.notes)
    yield from _alerts(audit.alerts)
    yield _table("Functions per class", splits, _class_rows(audit))
    if audit.flags:
        yield _flag_table(audit.flags)
    yield _table("Lengths", (*QUANTILES, "cut"), _length_rows(audit.lengths))
    yield _table("Lengths in lexer tokens", QUANTILES, _class_length_rows(audit.lengths))
    yield _table("Functions that have a duplicate in ...", splits, _duplicate_rows(audit))
    yield _pairs("Two functions alike", audit.duplicates.pairs)
    yield from _crowded(audit.duplicates.crowded)
    title = "Functions that have a duplicate with another label"
    yield _table(title, splits, _contradiction_rows(audit))
    yield _pairs("Two such functions", audit.contradictions.pairs)
    yield from map(_example, audit.contradictions.examples)
    yield from ("\n" + side_by_side(pair) for pair in audit.contradictions.examples[:1])
    measures = ("n", "accuracy", "macro-F1", "AUC")
    title = "What counted words, lengths and groups tell of test"
    yield _table(title, measures, _word_rows(audit.word_counts))
    yield from _groups(audit)


def _alerts(alerts: Sequence[Alert]) -> Iterator[str]:
    """Each with what to do, in lines that a terminal of 80 columns does not break."""
    for alert in alerts:
        yield ""
        yield from wrapped_lines(printable(alert.headline), WIDTH, first="! ", later="  ")
        yield from wrapped_lines(printable(alert.action), WIDTH, first="  ", later="  ")


def _pairs(title: str, pairs: Mapping[str, int]) -> str:
    numbers = ", ".join(f"{count:,} ({level})" for level, count in pairs.items())
    text = f"{title}, each two counted once: {numbers}"
    return "\n".join(wrapped_lines(text, WIDTH, first="  ", later="  "))


def _table(title: str, columns: Row, rows: Sequence[Row]) -> str:
    """A blank line, a title and the table, its first column without a head."""
    return f"\n{title}\n{aligned_table(['', *columns], rows, indent=2)}"


def _class_rows(audit: Audit) -> list[list[str]]:
    sizes = audit.functions
    rows = [
        [name, *(_of(counts[name], sizes[split]) for split, counts in audit.counts.items())]
        for name in audit.class_names
    ]
    return [*rows, ["all", *(_of(size, size) for size in sizes.values())]]


def _flag_table(flags: FlagsTogether) -> str:
    rows = [
        [name, *(f"{count:,}" for count in counts)]
        for name, counts in zip(flags.names, flags.together, strict=True)
    ]
    title = f"Flags that stand together ({flags.n_several:,} of {flags.functions:,} have several)"
    return _table(title, flags.names, rows)


def _length_rows(lengths: Sequence[Lengths]) -> list[list[str]]:
    return [
        [
            f"{of_unit.unit}, {split}",
            *(f"{n:,}" for n in (of.p5, of.p25, of.median, of.p75, of.p95, of.max)),
            # Characters and lexer tokens are cut by no model.
            "" if of.truncated is None else f"{of.truncated:,} at {of_unit.max_length}",
        ]
        for of_unit in lengths
        for split, of in of_unit.splits.items()
    ]


def _class_length_rows(lengths: Sequence[Lengths]) -> list[list[str]]:
    return [
        [name, *(f"{n:,}" for n in (of.p5, of.p25, of.median, of.p75, of.p95, of.max))]
        for of_unit in lengths
        if of_unit.unit == "lexer tokens"
        for name, of in of_unit.classes.items()
    ]


def _duplicate_rows(audit: Audit) -> list[list[str]]:
    return [
        [f"{level}, {split}", *(_of(n, audit.functions[split]) for n in counts.values())]
        for level, splits in audit.duplicates.levels.items()
        for split, counts in splits.items()
    ]


def _contradiction_rows(audit: Audit) -> list[list[str]]:
    return [
        [level, *(_of(n, audit.functions[split]) for split, n in counts.items())]
        for level, counts in audit.contradictions.levels.items()
    ]


def _crowded(n_crowded: int) -> Iterator[str]:
    if n_crowded:
        yield (
            f"  {counted(n_crowded, 'function is', 'functions are')} in crowds too large to "
            "compare all in them: near-duplicates and contradictions may be more than these."
        )


def _example(pair: Contradiction) -> str:
    named = [f"{name} ({label})" for name, label in zip(pair.ids, pair.classes, strict=True)]
    return printable(f"  such as {' and '.join(named)}, Jaccard {decimal(pair.jaccard, 2)}")


def _word_rows(word_counts: Mapping[str, WordCounts]) -> list[list[str]]:
    parts = {"all": "", "apart": ", no near-duplicate in train"}
    return [
        [f"{_short(name)}{words}", f"{counts.n:,}", *_scores(counts.baselines[name])]
        for part, words in parts.items()
        for name in TITLES
        if name in (counts := word_counts[part]).baselines
    ]


def _groups(audit: Audit) -> Iterator[str]:
    """Which groups splits share, and the largest projects."""
    splits = list(audit.functions)
    if audit.groups:
        counts = ", ".join(f"{one.n_groups:,} by {kind}" for kind, one in audit.groups.items())
        title = f"Functions whose group stands in ... too (groups: {counts})"
        yield _table(title, ("name one", *splits), _group_rows(audit))
    if audit.projects:
        rows = [
            [
                printable(one.name)[:NAME_WIDTH],
                *(f"{one.functions[split]:,}" for split in splits),
                f"{percent(one.share)} {one.frequent}",
                number(one.words),
            ]
            for one in audit.projects
        ]
        columns = (*splits, "most frequent", "words right")
        yield _table("The largest projects", columns, rows)


def _group_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            f"{kind}, {split}",
            f"{groups.named[split]:,}",
            *("–" if other == split else _of(shared[other], size) for other in audit.functions),
        ]
        for kind, groups in audit.groups.items()
        for (split, shared), size in zip(
            groups.shared.items(), audit.functions.values(), strict=True
        )
    ]


def _short(name: str) -> str:
    """A baseline's name where a line has 80 columns."""
    return SHORT_TITLES.get(f"baseline:{name}", TITLES[name])


def _scores(scores: Scores | None) -> list[str]:
    if scores is None:
        return ["–"] * 3
    return [number(value) for value in (scores.accuracy, scores.macro_f1, scores.auc)]


def _of(count: int, size: int) -> str:
    return f"{count:,} {share(count, size):>8}"
