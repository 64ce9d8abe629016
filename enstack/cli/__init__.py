"""The command line."""

from enstack.cli import commands  # noqa: F401 - makes the commands known to the app
from enstack.cli.app import app, main

__all__ = ["app", "main"]
