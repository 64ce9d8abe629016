"""`enstack status`: how far a run is, hours and sessions left, and its ledger."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from enstack import api
from enstack.cli.app import app
from enstack.exit_status import print_result, report_errors
from enstack.storage.json_text import json_text


@app.command()
def status(
    run_dir: Annotated[str, typer.Argument(help="A run folder, finished or not.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What is done, hours and sessions that are left, and what each session trained; reads only."""
    with report_errors():
        found = api.status(run_dir)
        if as_json:
            print_result(json_text(dataclasses.asdict(found), indent=2), for_programs=True)
            return
        from enstack.planning.status_text import status_text

        print_result(status_text(found))
