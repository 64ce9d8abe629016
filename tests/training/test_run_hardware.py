"""A run on a CPU keeps its precision, whatever a timing says the next time."""

from __future__ import annotations

from pathlib import Path

import pytest

from enstack.config import RunConfig
from enstack.models import hardware
from enstack.pipeline import run_pipeline
from enstack.planning.ledger import events_of
from enstack.run_folder import RunFolder
from tests.support.pipeline_runs import changed


@pytest.mark.parametrize("first", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_auto_stays_the_precision_in_which_the_run_has_trained(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(hardware, "_has_bf16", lambda: True)
    monkeypatch.setattr(hardware, "bf16_pays_on_cpu", lambda: first == "bf16")
    run_pipeline(changed(config, precision="auto", epochs=1))
    monkeypatch.setattr(hardware, "bf16_pays_on_cpu", lambda: first == "fp32")
    run_pipeline(changed(config, precision="auto", epochs=2))
    # The scratch disk of another machine is empty.
    run_pipeline(changed(config, precision="auto", epochs=3, local_dir=f"{config.local_dir}-new"))
    events = events_of(RunFolder(Path(config.run_dir)).events())
    began = [event["precision"] for event in events if event["event"] == "training_started"]
    assert len(began) >= 3
    assert set(began) == {first}


def test_a_precision_that_the_processor_lacks_is_timed_anew_and_what_is_asked_for_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = hardware.choose_device()
    monkeypatch.setattr(hardware, "_has_bf16", lambda: False)
    hardware.bf16_pays_on_cpu.cache_clear()
    assert hardware.choose_precision("auto", cpu, before="bf16") == "fp32"
    assert hardware.choose_precision("bf16", cpu, before="fp32") == "bf16"
    hardware.bf16_pays_on_cpu.cache_clear()
