"""What a run computes with: on a CPU, `auto` stays the precision in which it has trained."""

from __future__ import annotations

from enstack.checkpoints.slots import LAST
from enstack.config import RunConfig
from enstack.models.hardware import Hardware
from enstack.run_folder import RunFolder
from enstack.storage.manifest import read_manifest

__all__ = ["hardware_of"]


def hardware_of(config: RunConfig, run: RunFolder) -> Hardware:
    """The device, the precision and the loaders of a run, on this machine."""
    return Hardware.choose(
        config.precision,
        config.num_workers,
        deterministic=config.deterministic,
        before=_trained_in(config, run),
    )


def _trained_in(config: RunConfig, run: RunFolder) -> str | None:
    """The precision of the newest checkpoint that was trained on a CPU, of any base model."""
    # Its copy in run_dir may be older, or missing.
    folders = (config.scratch_dir, run.base_models)
    checkpoints = [path for folder in folders for path in folder.glob(f"**/{LAST}")]
    told = [
        (checkpoint.stat().st_mtime, on["precision"])
        for checkpoint in checkpoints
        if (on := (read_manifest(checkpoint) or {}).get("trained_on")) and on["device"] == "CPU"
    ]
    return max(told)[1] if told else None
