"""docs/configuration.md: every setting with its default, its range and its meaning."""

from __future__ import annotations

import json
from typing import Any

from enstack.config import RunConfig
from enstack.config.defaults import DEFAULT_RULES

PREAMBLE = """\
# Configuration

<!-- Made by `python -m tools.docs` from enstack/config/settings.py: change it there. -->

Settings come from a YAML or JSON file, from `KEY=VALUE` after it, or from the fields of the
notebook's form, which are the same keys in capitals. Keys may be written in either case. Unknown
keys are refused with the nearest known one, and all faults are told at once, each with its rule
and the value found. A value is read as it is typed: `seed: 042` is 42, and a folder may be called
`on` or `2026-01-02`. A key with nothing behind it, or given twice, is refused: leave it out for its
default. Relative paths start at the folder where the command is run.

```yaml
# my_run.yaml
data_dir: /content/drive/MyDrive/vdisc  # VDISC_train.hdf5, VDISC_validate.hdf5, VDISC_test.hdf5
label_mode: cwe                         # auto, cwe, cwe_or_clean, cwe_all, binary or multilabel
base_models: [codebert, graphcodebert, unixcoder]   # or any hub id, or a local folder
run_dir: /content/drive/MyDrive/enstack_runs/vdisc
```

```bash
enstack run my_run.yaml epochs=5        # KEY=VALUE overrules the file
```

What `data_dir` may hold, and what labels and subsets are, is in [data.md](data.md). Which
settings may change between two calls of one run is in
[resume.md](resume.md#what-may-change-between-two-calls).

## Every setting

| key | default | values | meaning |
|---|---|---|---|
"""
BOUNDS = (
    ("at least", "ge", "minimum"),
    ("above", "gt", "exclusiveMinimum"),
    ("at most", "le", "maximum"),
    ("below", "lt", "exclusiveMaximum"),
)
TYPES = {
    "array": "names",
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "number": "number",
    "string": "text",
}


def configuration_page() -> str:
    """The page, made from the fields of RunConfig."""
    return PREAMBLE + "".join(f"{row}\n" for row in settings_rows())


def settings_rows() -> list[str]:
    """One row of a Markdown table for each setting, in RunConfig's order."""
    properties = RunConfig.model_json_schema()["properties"]
    return [
        f"| `{key}` | {default_of(key)} | {_values(schema)} | {schema['description']} |"
        for key, schema in properties.items()
    ]


def default_of(key: str) -> str:
    """A setting's default as a reader would type it, in Markdown."""
    if key in DEFAULT_RULES:
        return DEFAULT_RULES[key]
    value = RunConfig.model_fields[key].get_default(call_default_factory=True)
    if isinstance(value, list):
        return f"`{', '.join(value)}`"
    return f"`{value}`" if isinstance(value, str) else f"`{_number(value)}`"


def _values(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return ", or ".join(_values(choice) for choice in schema["anyOf"])
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    # pydantic names a bound by its own word or by JSON Schema's, as its version has it.
    bounds = [
        f"{word} {_number(schema[name])}"
        for word, *names in BOUNDS
        for name in names
        if name in schema
    ]
    return " ".join([TYPES[schema["type"]], ", ".join(bounds)]).strip()


def _number(value: float) -> str:
    return json.dumps(value).replace("e-0", "e-")
