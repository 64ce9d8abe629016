"""What all commands share: the options of each, where progress goes, and how the process begins."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from enstack import __version__
from enstack.config import RunConfig, load_config, parse_overrides
from enstack.console import take_standard_streams
from enstack.exit_status import DEBUG, finish_output, print_result, report_errors, show_warning
from enstack.progress.quiet import quietly


class _Commands(TyperGroup):
    """Whatever happens outside of a command's own block is told, and ends, as within it."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with report_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with report_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    help="Fine-tune code models to find vulnerabilities in C/C++ functions, and stack them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ANYWHERE = (DEBUG, "-q", "--quiet")  # options of all commands, wherever they stand in the line
_chosen = {"quiet": False}  # of the options above, for the one command of a process


def _print_version(asked: bool) -> None:
    if asked:
        print_result(f"enstack {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and end.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results and errors alone, no progress.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error too.")] = False,
) -> None:
    """Fine-tune code models to find vulnerabilities in C/C++ functions, and stack them."""
    _chosen["quiet"] = quiet


def is_quiet() -> bool:
    """Whether results and errors alone are asked for."""
    return _chosen["quiet"]


def progress() -> contextlib.AbstractContextManager[Any]:
    """Where progress goes while a result is made: to standard error, or nowhere."""
    return quietly() if is_quiet() else contextlib.redirect_stdout(sys.stderr)


def chosen_config(
    config: Path | None, settings: Sequence[str] | None, otherwise: Mapping[str, Any]
) -> RunConfig:
    """The settings of a file and of KEY=VALUE; without a file, `otherwise` and KEY=VALUE."""
    given = list(settings or ())
    # The first of several words is taken for the file, whatever it is.
    if config is not None and "=" in str(config) and not config.exists():
        given, config = [str(config), *given], None
    if config is not None:
        return load_config(config, given)
    return RunConfig(**{**otherwise, **parse_overrides(given)})


def run_commands() -> None:
    """Run the command that sys.argv names, to the last of its output."""
    take_standard_streams()
    warnings.showwarning = show_warning
    anywhere = [word for word in sys.argv[1:] if word in ANYWHERE]
    others = [word for word in sys.argv[1:] if word not in ANYWHERE]
    # Typer knows options of all commands before the command alone.
    sys.argv[1:] = [*anywhere, *others]
    try:
        app()
    finally:
        finish_output()
