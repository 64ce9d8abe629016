"""Tables for the console: aligned, as wide as the terminal, plain where there is none."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD, Box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from enstack.console import Output, printable

__all__ = ["aligned_table"]

GAP = 2  # between two columns
SHORTEST = 8  # cells of the column that shrinks, however narrow the terminal is
# A file or a pipe may be read by programs that know ASCII alone.
PLAIN_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def aligned_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    shrinks: int = 0,
    indent: int = 0,
) -> str:
    """A head, a rule and rows, as text of the terminal's width at most.

    left: the columns that are aligned on the left, by number; shrinks: the one whose cells are cut
    in their middle until a line fits. Numbers are never cut: where there is no room for them, the
    last columns are left out, and a line says which.
    """
    output = Output.around(sys.stdout)
    on_terminal = output.isatty()
    # 80 where there is none, unless COLUMNS says otherwise.
    width = shutil.get_terminal_size().columns
    # First, for widths change: a control character has none, the ? in its place takes a cell.
    cells = [[printable(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    left_out: list[str] = []
    while (others := _width_of_others(widths, shrinks) + indent) > width - SHORTEST and (
        len(widths) > max(shrinks, *left, 1) + 1
    ):
        left_out.insert(0, cells[0][-1])
        cells, widths = [row[:-1] for row in cells], widths[:-1]
    widths[shrinks] = min(widths[shrinks], max(width - others, SHORTEST))
    for row in cells:
        # rich would cut the ends, and names of models differ there.
        row[shrinks] = shortened(row[shrinks], widths[shrinks])
    table = Table(
        box=SIMPLE_HEAD if on_terminal and output.encoding.lower() == "utf-8" else PLAIN_HEAD,
        show_edge=False,
        padding=(0, GAP - 1, 0, 0),  # the box's own line between two columns is a blank
    )
    for place, title in enumerate(cells[0]):
        table.add_column(
            Text(title),
            justify="left" if place in left else "right",
            no_wrap=True,
            width=widths[place],
        )
    for row in cells[1:]:
        # As Text, for rich reads [brackets] in a plain string as markup.
        table.add_row(*map(Text, row))
    margin = " " * indent
    text = _drawn(table, sum(widths) + GAP * len(widths))
    # The last column's gap is cut off here: without edges, rich 13 and 15 make it of other widths.
    whole = sum(widths) + GAP * (len(widths) - 1)
    lines = [f"{margin}{set_cell_size(line, whole)}" for line in text.splitlines()]
    if left_out:
        lines.append(f"{margin}No room for: {', '.join(left_out)} (report and --json have them)")
    return "\n".join(lines)


def _width_of_others(widths: Sequence[int], shrinks: int) -> int:
    """What a line takes beside the column that shrinks, the gaps included."""
    return sum(widths) - widths[shrinks] + GAP * (len(widths) - 1)


def _drawn(table: Table, width: int) -> str:
    # In a notebook rich would show the table by itself, instead of writing it to the file.
    console = Console(
        file=io.StringIO(),
        # Without styles: what reaches a console has no control characters but line ends.
        force_terminal=False,
        force_jupyter=False,
        width=width,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def shortened(text: str, width: int) -> str:
    """A text cut in its middle, so that both ends still tell it from its like; width: in cells."""
    if cell_len(text) <= width:
        return text
    head = (width - 1) // 2
    # It keeps the start of a text, so the end is kept by turning the text round.
    tail = set_cell_size(text[::-1], width - 1 - head)[::-1]
    return f"{set_cell_size(text, head)}…{tail}"
