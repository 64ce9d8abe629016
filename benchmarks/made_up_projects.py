"""One table of a VDISC folder's functions with made-up projects and commits, one all vulnerable.

python -m benchmarks.made_up_projects DATA TABLE.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from enstack.data.functions import read_data

N_PROJECTS, A_COMMIT = 20, 4
SHARE = 0.25  # of all vulnerable functions: those of the project that has no others
LEAKING = "project-00"


def main(data_dir: str, table: str) -> None:
    """Write all splits into one table: project-00 has vulnerable functions alone."""
    data = read_data(Path(data_dir), label_mode="binary")
    texts = [text for split in data.splits.values() for text in split.sources.to_pylist()]
    labels = np.concatenate([split.labels for split in data.splits.values()])
    random = np.random.RandomState(0)
    leaking = (labels == 1) & (random.random_sample(len(labels)) < SHARE)
    project = np.where(leaking, 0, random.randint(1, N_PROJECTS, len(labels)))
    seen = np.zeros(N_PROJECTS, dtype=np.int64)
    with Path(table).open("w", encoding="utf-8") as file:
        for text, label, number in zip(texts, labels.tolist(), project.tolist(), strict=True):
            row = {
                "func": text,
                "label": label,
                "project": f"project-{number:02}",
                "commit_id": f"{number:02}-{seen[number] // A_COMMIT:04}",
            }
            seen[number] += 1
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
