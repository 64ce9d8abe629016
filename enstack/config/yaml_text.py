"""YAML whose values stay the text that was typed: the setting's own type makes a number of it.

YAML 1.1 makes 34 of 042, 90 of 1:30, true of on, and a date of 2026-01-02.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml
from yaml import YAMLError

__all__ = ["YAMLError", "once_each", "read_yaml"]

TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Any:
    """Text, lists, dictionaries, and None where nothing stands.

    Raises YAMLError for what is no YAML, and ValueError for a key that is given twice.
    """
    return yaml.load(text, _TextLoader)


def once_each(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Pairs as a dictionary; ValueError for a key that is given twice, of which one would win."""
    values: dict[Any, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"{key} must be given once, found it twice")
        values[key] = value
    return values


class _TextLoader(yaml.SafeLoader):
    """What YAML's kinds of values are told by is emptied, and so are all that could be named."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way
    yaml_constructors = {  # noqa: RUF012
        # None: whatever else a !!tag asks for, which is refused.
        kind: yaml.SafeLoader.yaml_constructors[kind]
        for kind in (f"{TAG}null", f"{TAG}str", f"{TAG}seq", None)
    }


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs = [
        (loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
        for key, value in node.value
    ]
    if not all(isinstance(key, str) for key, _ in pairs):
        raise YAMLError("keys must be text")
    if any(key == "<<" for key, _ in pairs):
        raise YAMLError("<<, YAML's merge key, is not read; write out the settings that it brings")
    return once_each(pairs)


_TextLoader.add_constructor(f"{TAG}map", _mapping)
_TextLoader.add_implicit_resolver(
    f"{TAG}null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
