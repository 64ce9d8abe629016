"""A scan as text for people, in 80 columns: the worst findings first, with their code."""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size

from enstack.bundle.honesty import honest_line, unknowns
from enstack.console import printable
from enstack.counting import counted
from enstack.rounding import decimal
from enstack.scanning.findings import Finding
from enstack.scanning.remarks import remarks
from enstack.scanning.scan import Scan, below_budget, in_words
from enstack.scanning.source_text import lines_of

__all__ = ["WORTH_A_LOOK", "counts", "marked_lines", "scan_text", "shown_lines"]

WIDTH = 80
SHOWN, LISTED = 10, 40  # findings with code, and behind them those with a line each
CODE_LINES = 12  # of each, at most
SAME = 1e-6  # of two probabilities
MARKED = 3  # of these, the lines that told the model most
WORTH_A_LOOK = ("unknown", "unclosed brace", "statement")


def scan_text(scan: Scan) -> str:
    """A scan for the console; standing still at what counts, with a line for the rest."""
    return "\n".join(_lines(scan))


def _lines(scan: Scan) -> Iterator[str]:
    yield from _wrapped(f"enstack scan, {scan.model}: {in_words(scan)}, {_rate(scan)}")
    alerts = scan.alerts
    for finding in alerts[:SHOWN]:
        yield ""
        yield _head(finding)
        yield from _remarks(finding)
        yield from _code(finding)
    if any(map(marked_lines, alerts[:SHOWN])):
        yield ""
        yield from _wrapped(f"> marks the lines that told the model most, {MARKED} at most.")
    if listed := alerts[SHOWN : SHOWN + LISTED]:
        yield ""
        yield from map(_head, listed)
    if more := len(alerts[SHOWN + LISTED :]):
        yield f"... and {counted(more, 'finding')} more; --format json has all."
    # Where it is the probability that is shown, the order needs no word.
    if alerts[1:] and any(abs(one.function.score - one.probability) > SAME for one in alerts):
        yield ""
        yield from _wrapped("Worst first: by level, then by how likely a weakness of any class is.")
    yield ""
    yield from _totals(scan)
    yield from _wrapped(honest_line(scan.profile))


def _rate(scan: Scan) -> str:
    return f"{scan.per_1000_lines:,.1f} for 1,000 lines"


def _head(finding: Finding) -> str:
    """Level, probability, class and place in one line; a long path loses its middle."""
    one = finding.function
    start = f"{finding.level:<8}{decimal(finding.probability, 2)}  {finding.class_name:<10} "
    end = f":{one.start_line} {printable(one.qualified_name)}"
    room = WIDTH - cell_len(start)
    path = printable(str(one.path))
    if cell_len(path) + cell_len(end) > room:
        end = _cut(end, max(room // 2, room - cell_len(path)))
        path = _cut_left(path, room - cell_len(end))
    return start + path + end


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _cut_left(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return f"…{set_cell_size(text[::-1], width - 1).rstrip()[::-1]}"


def _remarks(finding: Finding) -> Iterator[str]:
    for remark in remarks(finding.function):
        yield from textwrap.wrap(
            printable(remark), WIDTH, initial_indent="        ", subsequent_indent="        "
        )


def _code(finding: Finding) -> Iterator[str]:
    """The lines that tell most, marked, and around them as many as there is room for."""
    if finding.code is None:
        return
    lines, start = lines_of(finding.code), finding.function.start_line
    chosen = shown_lines(finding, len(lines), CODE_LINES)
    digits, last, marked = len(str(start + len(lines))), None, marked_lines(finding)
    for number in chosen:
        if last is not None and number > last + 1:
            yield f"  {'':>{digits}} ..."
        text = printable(lines[number - start].expandtabs(4), keep="")
        yield _cut(f"{'>' if number in marked else ' '} {number:>{digits}} | {text}", WIDTH)
        last = number
    if left := start + len(lines) - 1 - (last or start):
        yield f"  {'':>{digits}} ... {counted(left, 'line')} more"


def shown_lines(finding: Finding, n_lines: int, most: int) -> list[int]:
    """Which lines of a function to show, by their numbers in the file."""
    start = finding.function.start_line
    every, wanted = range(start, start + n_lines), [start, *marked_lines(finding)]
    if finding.function.window_lines is not None:
        begins = finding.function.window_lines[0]
        wanted += [begins - 1, begins, begins + 1]
    wanted += [line + step for line in marked_lines(finding) for step in (-1, 1)]
    # What room is left goes to the lines behind the head, which say what the function is.
    chosen = dict.fromkeys(line for line in (*wanted, *every) if line in every)
    return sorted(itertools.islice(chosen, most))


def marked_lines(finding: Finding) -> list[int]:
    """The lines that told the model most, the strongest first, MARKED at most."""
    return [one.line for one in (finding.lines or ())[:MARKED]]


def _totals(scan: Scan) -> Iterator[str]:
    yield from _wrapped(counts(scan))
    yield from _wrapped(below_budget(scan))
    skipped = Counter(one.reason for one in scan.skipped)
    if skipped:
        told = ", ".join(f"{count:,} {reason}" for reason, count in skipped.most_common())
        yield from _wrapped(printable(f"Not read: {told}."))
    look = {kind: n for kind, n in scan.leftovers.items() if kind in WORTH_A_LOOK}
    if look:
        told = ", ".join(f"{n:,} {kind}" for kind, n in look.items())
        yield from _wrapped(f"Brace blocks that may hide functions: {told}.")
    for sentence in unknowns(scan.profile):
        yield from _wrapped(sentence)


def counts(scan: Scan) -> str:
    """How many findings do not count, and why; and what of the functions is odd."""
    findings, functions = scan.findings, scan.functions
    told = {
        "finding ignored by a comment": sum(one.ignored is not None for one in findings),
        "finding already known": sum(one.known is not None for one in findings),
        "finding of the baseline no more there": len(scan.gone),
        "function on which the model abstains": sum(one.sure is False for one in functions),
        "function unlike training functions": sum(bool(one.strange) for one in functions),
        "near-duplicate of a training function": sum(one.near is not None for one in functions),
        "function too long for the model, read in windows": sum(o.windows > 1 for o in functions),
    }
    levels = Counter(finding.level for finding in scan.counting)
    parts = [f"{n:,} {level}{'s' * (n > 1)}" for level, n in sorted(levels.items())]
    parts += [_plural(n, what) for what, n in told.items() if n]
    return f"{'; '.join(parts) or 'Nothing was found'}."


def _plural(count: int, what: str) -> str:
    first, _, rest = what.partition(" ")
    return f"{count:,} {first}{'s' * (count > 1)} {rest}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, break_long_words=False, break_on_hyphens=False)
