"""Defaults that follow from other settings or from the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from enstack.config.names import HUB_MODELS, TINY_MODELS

PAPER_LEARNING_RATE = 2e-5
# At the paper's, models with random weights learn nothing in ten epochs of the toy data.
TINY_LEARNING_RATE = 1e-3

# In words, where they depend on another setting or on the machine.
DEFAULT_RULES = {
    "base_models": "`codebert, graphcodebert, unixcoder`; on the toy data `tiny-a, tiny-b, tiny-c`",
    "learning_rate": "`2e-5`; for tiny models alone `1e-3`",
    "resume_from": "none",
    "run_dir": "`enstack_runs/<data>`",
    "local_dir": "`~/.cache/enstack`",
}


# Each takes the settings that stand before its own, checked; a wrong one is not among them, and
# then it does not matter what comes out: the configuration is refused.
def default_base_models(settings: Mapping[str, Any]) -> list[str]:
    """The tiny models for the toy data, else the paper's three."""
    return list(TINY_MODELS if settings.get("data_dir") == "toy" else HUB_MODELS)


def default_learning_rate(settings: Mapping[str, Any]) -> float:
    """The paper's, unless none but the tiny models are trained."""
    only_tiny = set(settings.get("base_models", ())) <= set(TINY_MODELS)
    return TINY_LEARNING_RATE if only_tiny else PAPER_LEARNING_RATE


def default_run_dir(settings: Mapping[str, Any]) -> str:
    """A folder named after the data's."""
    name = PurePosixPath(settings.get("data_dir", "")).name
    # Relative ways up and to here have no name of their own.
    return f"enstack_runs/{name if name.strip('.') else 'data'}"


def default_local_dir() -> str:
    """The user's cache folder."""
    return str(Path.home() / ".cache" / "enstack")
