"""The schema of report.json, made from the dataclasses that it is written from."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from enstack.reporting.content import ReportContent

__all__ = ["report_schema"]


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of report.json: every key is there, and no other one."""
    schema = TypeAdapter(ReportContent).json_schema(mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        if "properties" in part:
            # A field with a default is written like the others.
            part |= {"required": list(part["properties"]), "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "report.json of enstack",
    }
