"""Several whole runs that start at the same instant on one scratch disk, each in its own process.

python -m tests.support.together PROCESSES FOLDER

Every cache is wanted by all of them: a staged copy of the data, its columns, near-duplicates, the
toy data, a tiny model, tokens. Prints one JSON object: the exit status of each process, a digest
of the results of each run, and what was left half-made.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

# The parent must have no threads of its own when it forks.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from enstack import inputs
from enstack.config import RunConfig
from enstack.pipeline import run_pipeline
from tests.support.killing import forked
from tests.support.micro import write_micro_data


def config_of(folder: Path, name: str) -> RunConfig:
    return RunConfig(
        data_dir=str(folder / "data"),
        label_mode="cwe_or_clean",
        base_models=["tiny-a"],
        epochs=1,
        batch_size=8,
        max_length=32,
        learning_rate=1e-3,
        precision="fp32",
        drop_near_duplicates=0.99,
        meta_classifiers=["lr"],
        num_workers=0,
        local_dir=str(folder / "local"),
        run_dir=str(folder / name),
    )


def results(run_dir: Path) -> str:
    """One digest of all that a run tells."""
    told = (
        *run_dir.glob("base_models/*/probabilities/*.npz"),
        *run_dir.glob("base_models/*/history.jsonl"),
        run_dir / "stacking" / "leaderboard.csv",
        run_dir / "data.json",
    )
    digest = hashlib.sha256()
    for path in sorted(told):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def start_together(processes: int, folder: Path) -> dict[str, list[object]]:
    write_micro_data(folder / "data")
    # As if on a mounted Drive, so that the data is copied to the scratch disk.
    inputs.slow_storage = lambda path: "fuse.drive"
    names = [f"run-{number}" for number in range(processes)]
    starts = os.pipe()
    children = []
    for name in names:

        def work(name: str = name) -> None:
            os.read(starts[0], 1)  # all begin when the parent says so
            run_pipeline(config_of(folder, name))

        children.append(forked(work))
    os.write(starts[1], b"x" * processes)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {
        "status": ended,
        "results": [results(folder / name) for name in names if not any(ended)],
        "left": sorted(
            path.relative_to(folder).as_posix() for path in (folder / "local").rglob(".*")
        ),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(start_together(int(sys.argv[1]), Path(sys.argv[2]))))
