"""Where a run's figures come from: when, with what software, on which devices, in what sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from enstack.reporting.background import BaseModelOrigin, Provenance, Session
from enstack.reporting.stored_run import StoredRun
from enstack.storage.json_text import parsed_json
from enstack.storage.manifest import read_manifest

__all__ = ["read_provenance"]

# A start that only found everything finished is no session.
PROGRESS = ("saved", "epoch_finished", "base_model_finished", "stacking_finished")


def read_provenance(stored: StoredRun) -> Provenance:
    """What events, manifests and histories of a run tell of its making."""
    events = list(_events(stored.folder.events()))
    made = [event["time"] for event in events if event["event"] == "stacking_finished"]
    seed = stored.settings.get("seed")
    return Provenance(
        finished=made[-1] if made else None,
        seed=seed if isinstance(seed, int) else None,
        data=stored.data["fingerprint"],
        base_models=[_origin(stored, row.name) for row in stored.rows if row.kind == "base"],
        sessions=_sessions(events),
    )


def _events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            event = parsed_json(line)
        except ValueError:
            continue  # a line that was cut when a machine went away tells nothing
        if isinstance(event, dict) and {"time", "event"} <= event.keys():
            yield event


def _sessions(events: list[dict[str, Any]]) -> list[Session]:
    parts: list[list[dict[str, Any]]] = []
    for event in events:
        if event["event"] == "run_started" or not parts:
            parts.append([])
        parts[-1].append(event)
    return [_session(part) for part in parts if any(one["event"] in PROGRESS for one in part)]


def _session(events: list[dict[str, Any]]) -> Session:
    last = [event for event in events if event["event"] in PROGRESS][-1]
    devices = [str(event["device"]) for event in events if event["event"] == "training_started"]
    software = events[0].get("software")
    return Session(
        started=events[0]["time"],
        ended=last["time"],
        software=software if isinstance(software, dict) else None,
        devices=list(dict.fromkeys(devices)),
    )


def _origin(stored: StoredRun, name: str) -> BaseModelOrigin:
    folder = stored.folder.base_model(name)
    manifest = read_manifest(folder.probabilities) or {}
    recorded = [epoch.get("precision") for epoch in folder.epochs()]
    return BaseModelOrigin(
        name=name,
        weights=manifest.get("made_from", {}).get("best_model"),
        probabilities=folder.probabilities_digest() if manifest else None,
        precision=[str(value) for value in dict.fromkeys(recorded) if value],
    )
