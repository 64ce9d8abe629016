"""What the notebook's panel costs, in one run: `enstack bench panel`.

The same toy training in one real kernel, with the panel and without it, taking turns. Time on a
shared machine wavers by more than the panel takes, so the time inside the panel's own calls is
added up as well, and the CPU time of the whole kernel is compared, threads included.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from benchmarks import machine, small_training, targets
from enstack.config import RunConfig
from enstack.models.hardware import Hardware
from enstack.progress.panel import Panel
from enstack.progress.screen import shown_on, watch
from enstack.progress.stopping import StopRequest
from enstack.training.job import TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import train_epoch, training_view

ROOT = Path(__file__).parent.parent
ROUNDS, EPOCHS = 3, 8
WITH, WITHOUT = "with the panel", "without"
IN_KERNEL = """
import sys
sys.path.insert(0, {root!r})
from benchmarks import panel
panel.measure_here({folder!r}, {rounds}, {epochs})
"""


def seconds(parts: tuple[Any, ...], folder: Path, epochs: int, panel: Panel | None) -> Any:
    """Wall time, CPU time and time inside the panel of some epochs, without their saves."""
    config = RunConfig(
        **{**small_training.SETTINGS, "epochs": epochs},
        save_steps=0,
        run_dir=str(folder),
        local_dir=str(folder / "local"),
        label_mode="cwe_or_clean",
    )
    hardware = Hardware.choose(config.precision, config.num_workers)
    training = start_or_resume(TrainingJob(*parts, config, hardware, folder, small_training.no_log))
    screen = shown_on(panel) if panel else contextlib.nullcontext()
    with screen, Saver(training) as saver:
        watch(training_view(training, saver))
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(epochs):
            train_epoch(training, saver, StopRequest())
            training.start_epoch()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "panel": panel.seconds_spent if panel else 0.0}


def measure_here(folder: str, rounds: int, epochs: int) -> None:
    """In a kernel: leave the figures of every round in a file of the folder."""
    found = []
    with contextlib.redirect_stdout(io.StringIO()):
        model, tokenizer, _, data = small_training.prepare(Path(folder))
        for number in range(rounds + 1):
            place, parts = Path(folder) / f"run-{number}", (model, tokenizer, data)
            with_panel = seconds(parts, place / "with", epochs, Panel())
            without = seconds(parts, place / "without", epochs, None)
            found.append({WITH: with_panel, WITHOUT: without})
    # The first round warms both up.
    (Path(folder) / "found.json").write_text(json.dumps(found[1:]))


def measure(*, rounds: int = ROUNDS, epochs: int = EPOCHS) -> dict[str, Any]:
    """All figures, as plain values."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"root": str(ROOT), "folder": folder}
        run_in_kernel(IN_KERNEL.format(**places, rounds=rounds, epochs=epochs))
        found = json.loads((Path(folder) / "found.json").read_text())
    shares = [one[WITH]["panel"] / one[WITH]["wall"] for one in found]
    ratios = {
        clock: statistics.median(one[WITH][clock] / one[WITHOUT][clock] for one in found)
        for clock in ("wall", "cpu")
    }
    return {
        "benchmark": "panel",
        "machine": machine.facts(),
        "rounds": found,
        "seconds": statistics.median(one[WITHOUT]["wall"] for one in found),
        "share": statistics.median(shares),
        "ratios": ratios,
        "targets": [targets.at_most("share of the time inside the panel", max(shares), 0.01)],
    }


def run_in_kernel(source: str) -> None:
    """Run a cell in a new kernel; RuntimeError holds its traceback if it fails."""
    manager = KernelManager()
    manager.start_kernel(env={**os.environ, "HF_HUB_OFFLINE": "1"})
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        reply = client.execute_interactive(source, output_hook=lambda message: None)["content"]
        if reply["status"] != "ok":
            raise RuntimeError("\n".join(reply["traceback"]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    ratios = results["ratios"]
    lines = [
        machine.line(results["machine"]),
        "",
        f"training without the panel: {results['seconds']:.2f} s",
        f"inside the panel's calls: {results['share']:.2%} of the time",
        f"with it over without it: {ratios['wall']:.3f} in time, {ratios['cpu']:.3f} in CPU time",
    ]
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


def main() -> None:
    """Measure and print."""
    print(table(measure()))


if __name__ == "__main__":
    main()
