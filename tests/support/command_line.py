"""The command line as a user meets it: a process of its own, or a call where that proves as much.

A process takes seconds to import everything, so it is for what only a process has: its exit status
as the system sees it, signals, and what stays unimported.
"""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from enstack.cli.commands import app


def enstack(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "enstack", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def enstack_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a call, with what a process would print and the status it would end with."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One clear error, the right status, no traceback."""
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("enstack: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4
    for word in words:
        assert word in done.stderr
