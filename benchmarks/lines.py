"""Measure line scores of a finished run: `python -m benchmarks.lines RUN [NAME] [SPLIT]`.

The run's data must be where it was, with the lines that are known to be flawed, in
flaw_lines.jsonl or a column. NAME: which of its models, as `enstack.load` takes it. SPLIT: test if
left out; a method is chosen on validation. Prints the table of docs/scanning.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from enstack.bundle import load
from enstack.bundle.line_measures import MeasuredLines, known_lines, measure_lines
from enstack.config import RunConfig
from enstack.inputs import data_of
from enstack.progress.quiet import quietly
from enstack.run_folder import RunFolder

HEAD = (
    "| lines by | Top-1 | Top-3 | MRR | IFA | Effort@20%Recall | Recall@1%LOC | deletion "
    "| insertion | ms a function |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main(run_dir: str, name: str | None = None, split: str = "test") -> None:
    """Print one row for each method, and for what needs no model."""
    run = RunFolder(Path(run_dir))
    model = load(run.path, name)
    data = data_of(RunConfig(**{**run.settings(), "run_dir": str(run.path)}))
    with quietly():  # or bars would stand in the table
        known = known_lines(model, data.splits[split])
        rows = measure_lines(model, known)
    print(
        f"{model.name}, {split}: {len(known.texts):,} functions, {known.vulnerable.sum():,} "
        f"vulnerable, {known.alerted.sum():,} alerted.\n\n{HEAD}"
    )
    for row in rows:
        print(_row(row))


def _row(row: MeasuredLines) -> str:
    ranking = row.ranking
    figures = (
        ranking.top_1,
        ranking.top_3,
        ranking.mrr,
        f"{ranking.ifa:.1f}",
        row.effort_at_20_recall,
        row.recall_at_1_loc,
        row.deletion,
        row.insertion,
        f"{1000 * row.seconds:.1f}",
    )
    told = [one if isinstance(one, str) else f"{one:.3f}"[1 * (one < 1) :] for one in figures]
    return f"| {' | '.join([row.method, *told])} |"


if __name__ == "__main__":
    main(*sys.argv[1:4])
