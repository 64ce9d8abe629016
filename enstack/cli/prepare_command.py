"""`enstack prepare`: all of a run that needs no GPU, on a machine that has none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from enstack import api
from enstack.cli.app import app, progress
from enstack.config import load_config
from enstack.exit_status import print_result, report_errors
from enstack.storage.json_text import json_text


@app.command()
def prepare(
    config: Annotated[Path, typer.Argument(help="Settings as YAML or JSON.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that overrule.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read, divide and tokenize, and pack that into run_dir: a GPU then trains at once."""
    with report_errors():
        with progress():
            prepared = api.prepare(load_config(config, overrides or []))
        values = {**dataclasses.asdict(prepared), "folder": str(prepared.folder)}
        text = json_text(values, indent=2) if as_json else prepared.text()
        print_result(text, for_programs=as_json)
