"""`enstack verify-parallel`: one process and several, held against each other on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enstack.cli.app import app, chosen_config
from enstack.exit_status import report_errors

TOY = {"data_dir": "toy", "label_mode": "cwe_or_clean"}


@app.command()
def verify_parallel(
    config: Annotated[
        Path | None, typer.Argument(help="Settings, YAML or JSON; toy data if left out.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings that overrule CONFIG's."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="How many; as many as GPUs, two at least, if left out.")
    ] = None,
) -> None:
    """Train a small model in one process and in several; gradients and predictions must agree."""
    with report_errors():
        chosen = chosen_config(config, settings, TOY)
        from enstack.verify_parallel import verify_parallel as verify

        verify(chosen, processes)
