"""docs/cli.md: every command with its arguments, options and exit status."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from typer.models import ArgumentInfo, CommandInfo, OptionInfo, ParamMeta
from typer.utils import get_params_from_function

from enstack.cli.commands import app
from enstack.errors import EnstackError

PREAMBLE = """\
# The command line

<!-- Made by `python -m tools.docs` from enstack/cli and enstack/errors.py: change it there. -->

`enstack` and `python -m enstack` are the same. A mistake is told in a line or two on standard
error: the rule, what was found, what to do. `--debug`, anywhere in the line, shows the traceback
too. `-h` or `--help` after a command prints what stands here. `-q` (`--quiet`) prints results and
errors alone, `--version` the version; `enstack --install-completion` lets the shell complete
commands and options.

| exit status | means |
|---|---|
| 0 | Done. |
| 1 | The program itself failed, with a traceback: report it, please. |
"""
TYPES = {Path: "PATH", str: "TEXT", int: "NUMBER", float: "NUMBER"}


def cli_page() -> str:
    """The page, made from the command line's own functions and the errors' classes."""
    return PREAMBLE + _exit_statuses() + "".join(_command(c) for c in app.registered_commands)


def command_names() -> list[str]:
    """Every command, as it is typed after `enstack`."""
    return [_name(command) for command in app.registered_commands]


def _exit_statuses() -> str:
    # Those of errors.py alone: the notebook's own are loaded or not, and end no command.
    named = [e for e in EnstackError.__subclasses__() if e.__module__ == EnstackError.__module__]
    errors = sorted(named, key=lambda error: error.exit_status)
    return "".join(f"| {error.exit_status} | {inspect.getdoc(error)} |\n" for error in errors)


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")


def _command(command: CommandInfo) -> str:
    assert command.callback is not None
    parameters = [_Parameter(p) for p in get_params_from_function(command.callback).values()]
    usage = " ".join(["enstack", _name(command), *(p.usage for p in parameters)])
    rows = "".join(f"| {p.spelling} | {p.default} | {p.info.help} |\n" for p in parameters)
    table = f"\n| | default | |\n|---|---|---|\n{rows}" if rows else ""
    meaning = inspect.getdoc(command.callback)
    return f"\n## enstack {_name(command)}\n\n{meaning}\n\n```\n{usage}\n```\n{table}"


class _Parameter:
    """One argument or option of a command, as a reader types it."""

    def __init__(self, parameter: ParamMeta) -> None:
        if not isinstance(parameter.default, ArgumentInfo | OptionInfo):
            raise TypeError(f"{parameter.name} must be a typer Argument or Option with a help text")
        self.name = parameter.name
        self.info = parameter.default
        self.value = self.info.default
        self.type, self.repeatable = _innermost(parameter.annotation)

    @property
    def spelling(self) -> str:
        """`--run-dir PATH`, `CONFIG` or `--json`, in Markdown."""
        return f"`{self._plain}`"

    @property
    def usage(self) -> str:
        """The parameter's place in the line of usage: in brackets where it may be left out."""
        if self.value is ...:
            return self._plain
        repeated = "..." if self.repeatable and isinstance(self.info, OptionInfo) else ""
        plain = self._plain
        return (plain if plain.startswith("[") else f"[{plain}]") + repeated

    @property
    def default(self) -> str:
        """The value that holds when nothing is given, in Markdown."""
        if self.value is ...:
            return "required"
        return "" if self.value in (None, False, "") else f"`{self.value}`"

    @property
    def _plain(self) -> str:
        if isinstance(self.info, ArgumentInfo):
            return self.info.metavar or self.name.upper()
        flag = next(iter(self.info.param_decls or ()), "--" + self.name.replace("_", "-"))
        return flag if self.type is bool else f"{flag} {self.info.metavar or TYPES[self.type]}"


def _innermost(kind: Any) -> tuple[Any, bool]:
    """The type of one value, out of `list[str] | None` and the like, and whether there are more."""
    kinds = [part for part in get_args(kind) if part is not NoneType]
    if not kinds:
        return kind, False
    inner, repeatable = _innermost(kinds[0])
    return inner, repeatable or getattr(kind, "__origin__", None) is list
