"""All faults of a configuration at once, one line each: key, rule, value found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from enstack.config.other_names import meant_setting


def explain(error: ValidationError, known_keys: Iterable[str]) -> str:
    """All faults of a configuration, one line each: key, rule, value found."""
    faults: dict[str, str] = {}
    for fault in error.errors():
        # A rule about two settings belongs to no key: its text names both.
        key = str(fault["loc"][0]) if fault["loc"] else ""
        rule = _rule(key, fault, known_keys)
        # A field of alternatives reports one fault for each: they read as one rule.
        faults[key] = f"{faults[key].split(', found')[0]} or {rule}" if key in faults else rule
    lines = [f"{key} {rule}".strip() for key, rule in faults.items()]
    if len(lines) == 1:
        return f"The configuration is wrong: {lines[0]}."
    return "\n".join(["The configuration is wrong:", *(f"  - {line}" for line in lines)])


def _rule(key: str, fault: Any, known_keys: Iterable[str]) -> str:
    if fault["type"] == "extra_forbidden":
        meant = meant_setting(key, list(known_keys))
        advice = f"did you mean {meant}" if meant else "see docs/configuration.md for the keys"
        return f"is not a known key (found {fault['input']!r}); {advice}"
    if fault["type"] == "value_error":
        # One of our own rules; in "msg" pydantic puts "Value error, " before it.
        rule = str(fault["ctx"]["error"])
    else:
        rule = fault["msg"].replace("Input should be", "must be")
        rule = rule[0].lower() + rule[1:]
    return rule if not key or ", found" in rule else f"{rule}, found {fault['input']!r}"
