"""NaN at each of the last batches of an epoch: what is kept, and whether the advice works.

`python -m tests.sweeps.not_finite [BATCHES]` prints a table and ends with 1 where anything is not
right. Whole runs by the command line, of a small model on made-up functions; BATCHES: 12.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from enstack.config import RunConfig
from enstack.data.functions import read_data
from tests.support.advice import follow_advice
from tests.support.micro import SIZES, write_micro_data, write_micro_model
from tests.support.spoiling import Kind

BATCH_SIZE, EPOCH = 3, 2
PER_EPOCH = SIZES["train"] // BATCH_SIZE  # 14
SETTINGS: dict[str, Any] = {
    "label_mode": "cwe_or_clean",
    "epochs": EPOCH,
    "batch_size": BATCH_SIZE,
    "max_length": 32,
    "meta_classifiers": ["lr"],
}
KINDS: dict[str, tuple[Kind, ...]] = {"fp32": ("loss", "gradient", "weights"), "fp16": ("loss",)}


def main() -> int:
    """Try every case; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.not_finite", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "batches",
        nargs="?",
        type=int,
        choices=range(1, PER_EPOCH + 1),
        metavar="BATCHES",
        default=12,
        help=f"the last of an epoch, 1 to {PER_EPOCH}; 12 if left out",
    )
    last = parser.parse_args().batches
    print(f"{'precision':10}{'save_steps':12}{'what':10}{'batches':10}{'not right':10}seconds")
    with tempfile.TemporaryDirectory(prefix="enstack-not-finite-") as name:
        folder = Path(name)
        data = write_micro_data(folder / "data")
        model = write_micro_model(folder / "micro", read_data(data, label_mode="cwe_or_clean"))
        settings = {**SETTINGS, "data_dir": str(data), "base_models": [model.location]}
        wrong = sum(
            len(_row(folder, {**settings, "precision": precision, "save_steps": steps}, kind, last))
            for precision, kinds in KINDS.items()
            for steps in (0, 2)
            for kind in kinds
        )
    print(f"{wrong} not right" if wrong else "nothing was kept that is not finite; advice works")
    return 1 if wrong else 0


def _row(folder: Path, settings: dict[str, Any], kind: Kind, last: int) -> list[str]:
    """Try each of the last batches with some settings, and print a row; what is not right."""
    begun, wrong = time.perf_counter(), []
    for batch in range(PER_EPOCH - last + 1, PER_EPOCH + 1):
        config = RunConfig(**settings, run_dir=str(folder / "run"), local_dir=str(folder / "local"))
        faults = follow_advice(config, folder / "run.yaml", epoch=EPOCH, batch=batch, kind=kind)
        wrong += [f"   batch {batch}: {fault}" for fault in faults]
        for place in (folder / "run", config.scratch_dir):
            shutil.rmtree(place, ignore_errors=True)
    seconds = time.perf_counter() - begun
    name, steps = settings["precision"], settings["save_steps"]
    print(f"{name:10}{steps:<12}{kind:10}{last:<10}{len(wrong):<10}{seconds:.0f}", flush=True)
    print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
