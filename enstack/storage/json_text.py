"""JSON that every reader takes, where no finite number becomes null; and any JSON read safely."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def json_text(value: Any, **form: Any) -> str:
    """A value as JSON; form: what json.dumps is told beside it."""
    # NaN and Infinity are no JSON: only Python's own reader takes them.
    return json.dumps(json_values(value), allow_nan=False, **form)


def json_values(value: Any) -> Any:
    """The same value in JSON's types; numbers that are not finite become None."""
    # The json module refuses numpy's arrays and whole numbers.
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError for what is none, or is nested too deeply to be ours."""
    try:
        return json.loads(text)
    except RecursionError:  # brackets within brackets without end exhaust the parser's stack
        raise ValueError("it is nested too deeply") from None
