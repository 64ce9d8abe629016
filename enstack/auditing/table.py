"""An audit as aligned text for the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from enstack.stacking.baselines import BASELINE_TITLES

__all__ = ["audit_text"]

Row = Sequence[str]


def audit_text(facts: Mapping[str, Any]) -> str:
    """What `audit.audit` found, table by table."""
    return "\n".join(_lines(facts)).rstrip()


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    splits = list(facts["functions"])
    yield f"{facts['data']}, label_mode={facts['label_mode']}"
    yield facts["label_rule"]
    yield from (f"· {note}" for note in facts["notes"])
    yield from _table("Functions per class", splits, _class_rows(facts))
    if facts["flags"]:
        yield from _table(*_flag_table(facts["flags"]))
    quantiles = ("5 %", "25 %", "median", "75 %", "95 %", "longest", "cut")
    yield from _table("Lengths", quantiles, _length_rows(facts["lengths"]))
    yield from _table("Functions that have a duplicate in ...", splits, _duplicate_rows(facts))
    yield from _crowded(facts["duplicates"]["crowded"])
    yield from _table(
        "Functions that have a duplicate with another label", splits, _contradiction_rows(facts)
    )
    yield from map(_example, facts["contradictions"]["examples"])
    figures = ("functions", "accuracy", "macro-F1")
    yield from _table("What counted words tell of test", figures, _word_rows(facts["word_counts"]))


def _table(title: str, columns: Row, rows: Sequence[Row]) -> Iterator[str]:
    """A title, a head and rows, the first cell of each on the left."""
    head = ["", *columns]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    yield ""
    yield title
    for row in (head, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  " + "  ".join([row[0].ljust(widths[0]), *cells])


def _class_rows(facts: Mapping[str, Any]) -> list[list[str]]:
    sizes = facts["functions"]
    rows = [
        [name, *(_share(counts[name], sizes[split]) for split, counts in facts["counts"].items())]
        for name in facts["class_names"]
    ]
    return [*rows, ["all", *(f"{size:,}" + " " * 9 for size in sizes.values())]]


def _flag_table(flags: Mapping[str, Any]) -> tuple[str, Row, list[list[str]]]:
    rows = [
        [name, *(f"{count:,}" for count in counts)]
        for name, counts in zip(flags["names"], flags["together"], strict=True)
    ]
    n_several = sum(flags["flags_per_function"][2:])
    title = f"Flags that stand together ({n_several:,} of {flags['functions']:,} have several)"
    return title, flags["names"], rows


def _length_rows(lengths: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            f"{found['unit']}, {split}",
            *(f"{value:,}" for name, value in values.items() if name != "truncated"),
            _cut(values["truncated"], found["max_length"]),
        ]
        for found in lengths
        for split, values in found["splits"].items()
    ]


def _cut(truncated: int | None, max_length: int | None) -> str:
    return "" if truncated is None else f"{truncated:,} at {max_length}"


def _duplicate_rows(facts: Mapping[str, Any]) -> list[list[str]]:
    return [
        [f"{level}, {split}", *(_share(n, facts["functions"][split]) for n in found.values())]
        for level, splits in facts["duplicates"]["levels"].items()
        for split, found in splits.items()
    ]


def _contradiction_rows(facts: Mapping[str, Any]) -> list[list[str]]:
    return [
        [level, *(_share(n, facts["functions"][split]) for split, n in found.items())]
        for level, found in facts["contradictions"]["levels"].items()
    ]


def _crowded(n_crowded: int) -> Iterator[str]:
    if n_crowded:
        yield (
            f"  {n_crowded:,} functions are in crowds too large to compare all in them: "
            "near-duplicates and contradictions may be more than these."
        )


def _example(found: Mapping[str, Any]) -> str:
    pairs = zip(found["ids"], found["classes"], strict=True)
    named = " and ".join(f"{name} ({label})" for name, label in pairs)
    return f"  such as {named}, Jaccard {found['jaccard']:.2f}"


def _word_rows(found: Mapping[str, Any]) -> list[list[str]]:
    parts = {"all": "", "apart": ", without near-duplicates in train"}
    return [
        [f"{title}{words}", f"{found[part]['n']:,}", *_figures(found[part][name])]
        for part, words in parts.items()
        for name, title in BASELINE_TITLES.items()
        if name in found[part]
    ]


def _figures(figures: Mapping[str, float] | None) -> list[str]:
    if figures is None:
        return ["–", "–"]
    return [f"{figures['accuracy']:.3f}", f"{figures['macro_f1']:.3f}"]


def _share(count: int, size: int) -> str:
    share = f"{count / size:.1%}" if size else "–"
    return f"{count:,} {share:>8}"
