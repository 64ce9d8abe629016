"""A configuration in a YAML or JSON file, with KEY=VALUE settings over it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from enstack.config.run_config import RunConfig
from enstack.config.values import lower_keys
from enstack.errors import ConfigError


def load_config(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML or JSON file, let `KEY=VALUE` settings overrule it, and check the result."""
    values = _lower_file_keys(path, _read_mapping(path))
    return RunConfig(**{**values, **parse_overrides(overrides)})


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` settings as a dictionary; values are read as YAML, keys in either case."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"A setting must look like KEY=VALUE, found {setting!r}.")
        try:
            # YAML, so that numbers, true and [a, b] are what a file would make of them.
            values[key.strip().lower()] = yaml.safe_load(text)
        except yaml.YAMLError:
            # Such as a name that begins with @ or holds a bracket: the text itself is meant.
            values[key.strip().lower()] = text
    return values


def _lower_file_keys(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    try:
        return lower_keys(values)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    """The settings in a file, unchecked."""
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"A configuration must be a .yaml, .yml or .json file, found {path}.")
    try:
        text = path.read_text(encoding="utf-8")
        # safe_load: YAML's full loader would make any Python object that a file asks for.
        values = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"The configuration {path} can't be read: {error.strerror}.") from None
    # JSON's errors and those of a wrong encoding are ValueErrors, YAML's are not.
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"The configuration {path} is not valid: {reason}.") from None
    # A file that is empty, or comments alone.
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"A configuration must hold KEY: VALUE lines, {path} holds a {type(values).__name__}."
        )
    return values
