"""The energy of a GPU, as its maker's library tells it; a stand-in takes the library's place."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from enstack.models.energy import used_joules
from enstack.models.flops import Shape
from enstack.training.computed import Computed

OWN = "1f5b9b7c-0000-0000-0000-000000000000"


class NVMLError(Exception):
    """As the library's."""


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Millijoules of each GPU, by its number."""
    counted: dict[str, Any] = {f"GPU-{OWN}": 5_000_000}

    def total(handle: str) -> int:
        if counted[handle] is None:
            raise NVMLError("Not Supported")
        return counted[handle]

    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=total,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1)
    properties = SimpleNamespace(uuid=OWN)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    return counted


def test_a_session_records_what_its_gpu_has_used_since_training_began(
    counter: dict[str, Any],
) -> None:
    computed = Computed(Shape(layers=2, hidden=8, intermediate=32))
    counter[f"GPU-{OWN}"] += 42_000
    assert computed.account()["joules"] == pytest.approx(42)


def test_where_nobody_counts_nothing_is_recorded(
    counter: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter[f"GPU-{OWN}"] = None
    assert used_joules() is None
    assert "joules" not in Computed(Shape(layers=2, hidden=8, intermediate=32)).account()
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as where it is not installed
    assert used_joules() is None
    monkeypatch.undo()
    assert used_joules() is None or torch.cuda.is_available()
