"""How a command ends: a user's mistake is told in a line or two, with its exit status."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

import typer

from enstack.config import ForcedOffWarning
from enstack.errors import EnstackError

DEBUG = "--debug"


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Turn errors into a line on standard error and an exit status; --debug shows all."""
    # Outside of training, where a stop is a wish, SIGTERM is told and counted as Ctrl-C is.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except EnstackError as error:
        _leave(error, f"{error}", error.exit_status)
    except KeyboardInterrupt as error:
        # 128 and SIGINT's number, as shells have it.
        _leave(error, "Interrupted; what was finished before is kept.", 130)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _leave(error, f"A file can't be read or written: {error.strerror or error}{where}.", 4)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _leave(error: BaseException, message: str, status: int) -> None:
    # main has taken it out of sys.argv.
    if DEBUG in sys.orig_argv:
        raise error
    print(f"enstack: {message}", file=sys.stderr)
    raise typer.Exit(status)


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
        print(f"⚠️  {message}", file=sys.stderr)
