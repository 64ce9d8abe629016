"""Where a run's figures come from: when, with what software, on which devices, in what sessions."""

from __future__ import annotations

from enstack.planning.at_work import at_work_since
from enstack.planning.ledger import events_of, read_sessions
from enstack.reporting.background import BaseModelOrigin, Provenance
from enstack.reporting.stored_run import StoredRun
from enstack.storage.manifest import read_manifest

__all__ = ["read_provenance"]


def read_provenance(stored: StoredRun) -> Provenance:
    """What events, manifests and histories of a run tell of its making."""
    lines = stored.folder.events()
    made = [event["time"] for event in events_of(lines) if event["event"] == "stacking_finished"]
    seed = stored.settings.get("seed")
    return Provenance(
        finished=made[-1] if made else None,
        seed=seed if isinstance(seed, int) else None,
        data=stored.data["fingerprint"],
        base_models=[_origin(stored, row.name) for row in stored.rows if row.kind == "base"],
        sessions=read_sessions(lines, at_work_since(stored.folder, stored.settings)),
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
