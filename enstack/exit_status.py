"""How a command ends: a user's mistake is told in a line or two, with its exit status."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from typing import TextIO

import typer

from enstack.config import ForcedOffWarning
from enstack.console import Output, put, put_sentences
from enstack.errors import ConfigError, EnstackError
from enstack.progress.stopping import INTERRUPTED, ended_by_signals

DEBUG = "--debug"


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Turn errors into a line on standard error and an exit status; --debug shows all."""
    # Outside of training, where a stop is a wish, SIGTERM and SIGHUP count as Ctrl-C does.
    with ended_by_signals():
        try:
            yield
        except EnstackError as error:
            _leave(error, f"{error}", error.exit_status)
        except KeyboardInterrupt as error:
            _leave(error, "Interrupted; what was finished before is kept.", INTERRUPTED)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            _leave(error, f"A file can't be read or written: {error.strerror or error}{where}.", 4)


def _leave(error: BaseException, message: str, status: int) -> None:
    # main has taken it out of sys.argv.
    if DEBUG in sys.orig_argv:
        traceback.print_exception(error)
    put_sentences(f"enstack: {message}", sys.stderr)
    raise typer.Exit(status)


def print_result(text: str, *, for_programs: bool = False) -> None:
    """Print what a command is for; where a full disk takes it, the command ends with status 4.

    for_programs: such as JSON, whose lines are left as they are.
    """
    (put if for_programs else put_sentences)(text, sys.stdout)
    # A reader who has left, as `| head` does, has had enough: that is no failure.
    if Output.around(sys.stdout).failure is not None:
        raise typer.Exit(4)


def confirmed(question: str) -> bool:
    """The answer of whoever is at the terminal; a ConfigError where nobody is."""
    try:
        return typer.confirm(question)
    except typer.Abort:  # the end of standard input, where nobody can answer
        typer.echo()
        raise ConfigError(
            "What is removed must be confirmed, and nobody answered: nothing was removed. With "
            "--yes nobody is asked."
        ) from None


def finish_output() -> None:
    """At the very end: nothing is left for the interpreter to stumble on, and what is lost is told.

    What a run prints is a record, and not its work: its status says whether that was done.
    """
    output = Output.around(sys.stdout)
    output.finish()
    if output.failure is not None:
        put(f"enstack: Not all of the output was written: {output.failure.strerror}.", sys.stderr)
    Output.around(sys.stderr).finish()


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Users read one line; developers' warnings stay out of a report on their data."""
    if issubclass(category, ForcedOffWarning):
        put_sentences(f"⚠️  {message}", sys.stderr)
