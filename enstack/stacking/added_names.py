"""What a model trained elsewhere may be called: nothing that a run has a row of already."""

from __future__ import annotations

import re
from collections.abc import Sequence

from enstack.config import base_model_names
from enstack.errors import ConfigError
from enstack.stacking.titles import SHORT_TITLES, TITLES

__all__ = ["names_taken", "refuse_our_names", "require_name"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KINDS = ("base", "vote", "stack", "baseline", "mean", "greedy")


def names_taken(base_models: Sequence[str]) -> set[str]:
    """The names of base models, in lower case: some disks know no case."""
    return {name.casefold() for name in base_model_names(base_models)}


def require_name(name: str, base_models: Sequence[str]) -> None:
    """Raise ConfigError for what is no name, or is a base model's."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"An added model's name must be letters, digits, '.', '_' and '-', 64 at most, found "
            f"{name!r:.80}."
        )
    if name.casefold() in names_taken(base_models):
        raise ConfigError(
            f"An added model must have a name of its own, {name} is a base model of the run. Use "
            "another."
        )


def refuse_our_names(name: str) -> None:
    """Raise ConfigError for what the leaderboard and load call a row of their own."""
    if _letters(name) in _our_names():
        raise ConfigError(
            f"An added model must have a name of its own, {name} is what a vote, a stack or a "
            f"baseline is called here. Use another, such as {name}-of-mine."
        )


def _our_names() -> set[str]:
    keys = (key.partition(":")[2] for key in {**TITLES, **SHORT_TITLES})
    called = (*KINDS, *keys, *TITLES.values(), *SHORT_TITLES.values())
    return {_letters(name) for name in called}


def _letters(name: str) -> str:
    """What is left of a name for somebody who hears it: Random-Forest is random forest."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
