"""`enstack scan`: C and C++ files judged by a model, written in the forms that are asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enstack import api
from enstack.cli.app import app, progress
from enstack.console import put
from enstack.exit_status import print_result, report_errors
from enstack.several_processes import in_processes

if TYPE_CHECKING:
    from enstack.scanning.outputs import Output
    from enstack.scanning.scan import Scan

FOUND = 1  # the exit status where findings are at or over --fail-on


Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="C and C++ files, folders, or - for input.")
]
Model = Annotated[
    str | None,
    typer.Option(
        help="A finished run folder, a bundle, or a hub id; a toy model if left out, whose "
        "findings mean nothing."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(help="Which of a run's models, as in the leaderboard; its choice if left out."),
]
Form = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="FORMAT", help="table, json, sarif or html; repeatable."),
]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A file for each --format, in their order; alone, its suffix tells the format.",
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="End with status 1 where a finding is at or over it: note, warning, error, or a "
        "probability.",
    ),
]
BaselineFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="An earlier scan's JSON or SARIF file: findings that it has are marked as known, "
        "and --fail-on does not count them.",
    ),
]
Diff = Annotated[
    str | None,
    typer.Option(
        metavar="REV",
        help="The same for findings in functions that are as git has them at a revision.",
    ),
]
Budget = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Show so many findings that are not known, the worst; the rest is counted, and "
        "stands in JSON. --fail-on counts all.",
    ),
]
LocalDir = Annotated[
    str | None,
    typer.Option(help="The scratch disk, where scores are kept; ~/.cache/enstack if left out."),
]


@app.command()
def scan(
    paths: Paths,
    model: Model = None,
    name: Name = None,
    form: Form = None,
    output: Files = None,
    fail_on: FailOn = None,
    baseline: BaselineFile = None,
    diff: Diff = None,
    budget: Budget = None,
    local_dir: LocalDir = None,
) -> None:
    """Judge the functions of C and C++ files with a finished run's model, worst findings first."""
    with report_errors(), in_processes():
        from enstack.scanning.fail_on import fails, parsed_limit
        from enstack.scanning.outputs import named_outputs

        # Before the scan, which may take hours.
        outputs = named_outputs(form or (), output or ())
        limit = parsed_limit(fail_on)
        with progress():
            found = api.scan(
                paths,
                model,
                name=name,
                local_dir=local_dir,
                baseline=baseline,
                diff=diff,
                budget=budget,
            )
        for one in outputs:
            _write(found, one)
        if limit is not None and fails(found, limit):
            raise typer.Exit(FOUND)


def _write(found: Scan, output: Output) -> None:
    from enstack.scanning.outputs import scan_as, write_output

    if output.path is not None:
        put(str(write_output(found, output.form, output.path)), sys.stderr)
        return
    text = scan_as(found, output.form).removesuffix("\n")
    print_result(text, for_programs=output.form != "table")
