"""`enstack export`: a run's model into one folder, or onto the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from enstack import api
from enstack.cli.app import app, progress
from enstack.errors import ConfigError
from enstack.exit_status import print_result, report_errors


@app.command()
def export(
    run_dir: Annotated[
        str, typer.Argument(help="A finished run folder; with --hub alone also a bundle.")
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A new or empty folder, or an earlier bundle's."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Which of a run's models, as in the leaderboard; its choice if left out."
        ),
    ] = None,
    hub: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Push it to the Hugging Face hub, with the token that is there.",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="On the hub for all to see, where it is new there.")
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Predict in int8 on CPUs, where that changes one label of 1,000 at most."
        ),
    ] = False,
    local_dir: Annotated[
        str | None,
        typer.Option(help="The scratch disk, as in a run; ~/.cache/enstack if left out."),
    ] = None,
) -> None:
    """Write a run's model into one folder, a bundle, that scan and others can use; with a card."""
    with report_errors():
        if to is None and hub is None:
            raise ConfigError("An export must go somewhere: name a folder with --to, or --hub.")
        if int8 and to is None:
            raise ConfigError("--int8 needs a folder: name one with --to; --hub then pushes it.")
        if to is not None:
            with progress():
                made = api.export(run_dir, to, name=name, int8=int8, local_dir=local_dir)
                run_dir = str(made)
            print_result(run_dir)
        if hub is not None:
            with progress():
                page = api.push(run_dir, hub, name=name, public=public, local_dir=local_dir)
            print_result(page)
