"""Make three small encoders for a data folder: `python -m benchmarks.small_encoders DATA OUT`.

Random weights, and tokenizers trained on the folder's training split: base models for a machine
without a GPU or a network. Each is about ten times as wide as nothing and a sixth of CodeBERT.
"""

from __future__ import annotations

import sys
from pathlib import Path

from enstack.data.functions import read_data
from enstack.toy.tiny_models import TinyModel, write_encoder

SHAPES = {
    "small-a": TinyModel(vocabulary=4000, hidden=128, layers=2, heads=4),
    "small-b": TinyModel(vocabulary=2000, hidden=96, layers=3, heads=4),
    "small-c": TinyModel(
        vocabulary=3000, hidden=160, layers=2, heads=5, mode_token="<encoder-only>"
    ),
}


def main(data_dir: str, folder: str) -> None:
    """Write the three encoders below a folder."""
    data = read_data(Path(data_dir), label_mode="cwe_or_clean")
    sources = data.splits["train"].sources.to_pylist()
    for number, (name, shape) in enumerate(SHAPES.items()):
        path = Path(folder) / name
        path.mkdir(parents=True, exist_ok=True)
        write_encoder(path, shape, sources, 42 + number)
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:3])
