"""The schema of report.json, made from the dataclasses that it is written from."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from enstack.reporting.content import REPORT_EDITION, ReportContent

__all__ = ["report_schema"]

ADDRESS = "https://github.com/enstack/enstack/blob/main/docs/report.schema.json"
# Figures that are shares of 1, whatever they are of; macro_, weighted_ and micro_ of them too.
SHARES = {
    *("accuracy", "precision", "recall", "f1", "auc", "average_precision", "vd_s", "share"),
    *("ece", "confidence", "target", "same", "double_fault", "error_overlap"),
    *("same_error", "hamming_loss", "coverage", "risk", "aurc", "p", "p_holm", "mcnemar_p"),
}
FROM_ZERO = {
    "log_loss",
    "tempered_log_loss",
    "refinement",
    "temperature",
    "standard_error",
    "alerts",
}


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of report.json: every key is there, and no other one."""
    schema = TypeAdapter(ReportContent).json_schema(mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        if "properties" in part:
            # A field with a default is written like the others.
            part |= {"required": list(part["properties"]), "additionalProperties": False}
            for name, value in part["properties"].items():
                _bound(name, value)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{ADDRESS}?edition={REPORT_EDITION}",
        **schema,
        "title": "report.json of enstack",
    }


def _bound(name: str, value: dict[str, Any]) -> None:
    """Write between which ends numbers of a field lie, in place."""
    for kind in (value, *value.get("anyOf", ()), value.get("items", {})):
        if kind.get("type") == "number" and (ends := _ends(name)):
            kind["minimum"] = ends[0]
            if ends[1] is not None:
                kind["maximum"] = ends[1]
        elif kind.get("type") == "integer" and name not in ("seed", "seeds"):
            kind["minimum"] = 0


def _ends(name: str) -> tuple[int, int | None] | None:
    for prefix in ("paper_", "val_", "macro_", "weighted_", "micro_"):
        name = name.removeprefix(prefix)
    name = name.removesuffix("_low").removesuffix("_high")
    if name == "mcc":
        return -1, 1
    if name in FROM_ZERO:
        return 0, None
    return (0, 1) if name in SHARES else None
