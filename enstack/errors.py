"""The errors a user can cause or meet, each with its exit status."""

from __future__ import annotations

from enstack.console import printable


class EnstackError(Exception):
    """A failure that is told in one or two lines: the rule, what was found, what to do.

    Names in it may be anybody's; a traceback shows them as they are, so they are made printable.
    """

    exit_status = 1

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n\t")

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback (IPython's protocol)."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(EnstackError):
    """The command or the configuration is wrong, or the training diverged under it."""

    exit_status = 2


class DivergenceError(ConfigError):
    """Training came to losses, gradients or probabilities that are no numbers."""


class DataError(EnstackError):
    """The data is wrong."""

    exit_status = 3


class CheckpointError(EnstackError):
    """A checkpoint or a run folder is wrong."""

    exit_status = 4


class Interrupted(EnstackError):  # noqa: N818 - a stop that was asked for is no error
    """Training was asked to stop, and its progress is saved."""

    exit_status = 130  # 128 and SIGINT's number, as shells have it

    def _render_traceback_(self) -> list[str]:
        return [f"🛑 {self}"]


class LostProcess(EnstackError):  # noqa: N818 - it tells what happened, as Interrupted does
    """Another process of a run is gone, or hangs; what was saved before is kept."""

    exit_status = Interrupted.exit_status


def reason_of(error: BaseException) -> str:
    """A failure in a few words: the system's own, where it lies behind another one."""
    # Our own errors say it best.
    behind = None if isinstance(error, CheckpointError) else error
    while behind is not None:
        # torch tells of a full disk as "unexpected pos"; the system's error lies behind that.
        if isinstance(behind, OSError) and behind.strerror:
            return behind.strerror
        behind = behind.__cause__ or behind.__context__
    return (str(error) or type(error).__name__).rstrip(".")
