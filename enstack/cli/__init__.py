"""The command line."""

from enstack.progress.stopping import process_ended_by_signals

__all__ = ["main"]


@process_ended_by_signals()
def main() -> None:
    """Run the command line; from here on the first signal ends it with a line and status 130."""
    # Only now: this takes seconds on a slow disk, and a signal would end it without a word.
    from enstack.cli import commands  # noqa: F401 - makes the commands known to the app
    from enstack.cli.app import run_commands

    run_commands()
