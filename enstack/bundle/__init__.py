"""What a run has trained, as one model that judges new functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enstack.bundle.exporting import export_run as export_run
    from enstack.bundle.loading import load as load
    from enstack.bundle.trained_model import TrainedModel as TrainedModel

# By name, the module it is in: a scan whose scores are all cached never loads torch.
_IN = {"export_run": "exporting", "load": "loading", "TrainedModel": "trained_model"}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for (PEP 562)."""
    if name in _IN:
        return getattr(import_module(f"enstack.bundle.{_IN[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
