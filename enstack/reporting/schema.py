"""The schema of report.json, made from the dataclasses that it is written from."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from enstack.reporting.content import REPORT_EDITION, ReportContent

__all__ = ["report_schema"]

CLOSED = {"additionalProperties": False}
ADDRESS = "https://github.com/enstack/enstack/blob/main/docs/report.schema.json"
# Figures that are shares of 1, whatever they are of; macro_, weighted_ and micro_ of them too.
SHARES = {
    *("accuracy", "precision", "recall", "f1", "auc", "average_precision", "vd_s", "share"),
    *("ece", "confidence", "target", "same", "double_fault", "error_overlap"),
    *(
        "threshold",
        "same_error",
        "hamming_loss",
        "coverage",
        "risk",
        "aurc",
        "p",
        "p_holm",
        "mcnemar_p",
    ),
}
# Of one class, or flag: what metrics.label_task.evaluate says of it.
OF_A_CLASS = {
    **dict.fromkeys(("support", "predicted"), "integer"),
    **dict.fromkeys(("precision", "recall", "f1", "mcc"), "number"),
}
MAY_LACK = ("auc", "average_precision")  # where test has one side alone
FROM_ZERO = {
    *("log_loss", "tempered_log_loss", "refinement", "loss", "train_loss", "temperature", "alerts"),
    *("standard_error", "standard_errors", "smallest_shown", "across_seeds", "test_set"),
    *("training_minutes", "seconds_per_1000"),
}


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of report.json: every key is there, and no other one."""
    schema = TypeAdapter(ReportContent).json_schema(mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        if "per_class" in part.get("properties", {}):
            part["properties"]["per_class"]["items"] = _of_a_class("micro_f1" in part["properties"])
        if "properties" in part:
            # A field with a default is written like the others.
            part |= {"required": list(part["properties"]), **CLOSED}
            for name, value in part["properties"].items():
                _bound(name, value)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{ADDRESS}?edition={REPORT_EDITION}",
        **schema,
        "title": "report.json of enstack",
    }


def _of_a_class(of_flags: bool) -> dict[str, Any]:
    """The schema of a class's figures; a flag has its threshold too."""
    figures: dict[str, Any] = {"class": {"type": "string"}}
    figures |= {name: {"type": kind} for name, kind in OF_A_CLASS.items()}
    figures |= {name: {"anyOf": [{"type": "number"}, {"type": "null"}]} for name in MAY_LACK}
    if of_flags:
        figures["threshold"] = {"type": "number", "minimum": 0, "maximum": 1}
    for name, value in figures.items():
        _bound(name, value)
    required = list(figures)
    return {"type": "object", "properties": figures, "required": required} | CLOSED


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
