"""What a run has declared of its test functions and measured, kept where deleting stacks leaves it.

events.jsonl is only ever added to: a comparison that is chosen again, once its figures were seen,
is told from the first one though stacking/ and report/ are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from enstack.run_folder import RunFolder
from enstack.statistics.cells import MACRO_F1_OF_ENOUGH
from enstack.storage.files import sha256_json
from enstack.storage.json_text import parsed_json
from enstack.storage.manifest import read_manifest

__all__ = ["DECLARED", "MEASURED", "declare", "declared_before"]

DECLARED, MEASURED = "comparison_declared", "stacking_finished"


def declare(
    run: RunFolder, comparison: dict[str, Any] | None, made_from: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Record what test will be asked, and return what this run had asked of it before.

    comparison: None where nothing could be combined; made_from: of the stacks, names data and
    probabilities. The same comparison of the same models is the one declaration, measured again.
    """
    record = {"comparison": comparison, "of": _of(made_from)}
    before = declared_before(run, record)
    if comparison is not None:
        run.log(DECLARED, **record)
    return before


def declared_before(run: RunFolder, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every other comparison that this run has declared and measured, the first one first."""
    measured = list(_measured(run))
    last = read_manifest(run.stacking.path) or {}
    stored = {"comparison": last.get("declared"), "of": _of(last.get("made_from", {}))}
    found: list[dict[str, Any]] = []
    # It speaks where the events were lost; stacks that these do not know of are another run's.
    if not measured or stored["of"] in [one["of"] for one in measured]:
        found, measured = list(last.get("declared_before") or []), [*measured, stored]
    for one in measured:
        declared = one["comparison"]
        if declared and declared not in found and _as_now(one) != _as_now(record):
            found.append(declared)
    return found


def _as_now(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its measure as it was called before macro-F1 had two names: they are one."""
    comparison = record["comparison"] or {}
    if comparison.get("measure") != MACRO_F1_OF_ENOUGH:
        return dict(record)
    return {**record, "comparison": {**comparison, "measure": "macro_f1"}}


def _measured(run: RunFolder) -> Iterator[dict[str, Any]]:
    """The declarations whose stacks were finished, as the events tell."""
    declared = None
    for line in run.events():
        event = _parsed(line)
        if event.get("event") == DECLARED:
            declared = {key: event.get(key) for key in ("comparison", "of")}
        elif event.get("event") == MEASURED and declared is not None:
            yield declared
            declared = None


def _parsed(line: str) -> dict[str, Any]:
    """A line of the events; nothing of one that a failed write has left."""
    try:
        event = parsed_json(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _of(made_from: Mapping[str, Any]) -> str:
    """Tells the models, and the functions that they judge, from others."""
    return sha256_json([made_from.get("data"), made_from.get("probabilities")])
