"""All faults of a configuration at once, one line each: key, rule, value found."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from enstack.config.other_names import advice_for

NUMBER = re.compile(r"[-+]?[0-9.][0-9._:]*(e[-+]?[0-9]+)?", re.IGNORECASE)
# A file may hold a list of a million names, or YAML's aliases of aliases of aliases.
VALUES = reprlib.Repr()
VALUES.maxstring, VALUES.maxother, VALUES.maxlevel = 200, 200, 3
LONGEST = 300
MOST_LINES = 20


def explain(error: ValidationError, known_keys: Iterable[str]) -> str:
    """All faults of a configuration, one line each: key, rule, value found."""
    faults: dict[str, str] = {}
    for fault in error.errors():
        # A default that would follow from a setting that is wrong: that one is told.
        if fault["type"] == "default_factory_not_called":
            continue
        # A rule about two settings belongs to no key: its text names both.
        key = str(fault["loc"][0]) if fault["loc"] else ""
        rule = _rule(key, fault, known_keys)
        faults[key] = _joined(faults[key], rule) if key in faults else rule
    lines = [f"{key[:LONGEST]} {rule}".strip() for key, rule in faults.items()]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES:,} more settings"]
    if len(lines) == 1:
        return f"The configuration is wrong: {lines[0]}{'' if lines[0].endswith('?') else '.'}"
    return "\n".join(["The configuration is wrong:", *(f"  - {line}" for line in lines)])


def _joined(rules: str, rule: str) -> str:
    """A field of alternatives reports one fault for each, a list one for each value: one rule."""
    known = rules.split(", found")[0]
    # A list of a million values breaks the same rule a million times.
    return rules if rule.split(", found")[0] in known.split(" or ") else f"{known} or {rule}"


def _rule(key: str, fault: Any, known_keys: Iterable[str]) -> str:
    if fault["type"] == "extra_forbidden":
        advice = advice_for(key, list(known_keys))
        return f"is not a known key (found {_shown(fault['input'])}); {advice}"
    if fault["type"] == "value_error":
        # One of our own rules; in "msg" pydantic puts "Value error, " before it.
        rule = str(fault["ctx"]["error"])
    elif fault["type"] == "too_short":
        rule = "must name at least one"
    else:
        # How pydantic tried to read it tells a user nothing.
        rule = fault["msg"].replace("Input should be", "must be").split(", unable to ")[0]
        rule = rule.replace("a valid boolean", "true or false")
        rule = rule[0].lower() + rule[1:]
    return rule if not key or ", found" in rule else f"{rule}, found {_shown(fault['input'])}"


def _shown(value: Any) -> str:
    """A value as Python writes it; a number that was read as text, as it was typed."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return value
    text = VALUES.repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
