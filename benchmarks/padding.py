"""Real tokens over padded tokens of an epoch: `python -m benchmarks.padding DATA ENCODER...`.

DATA is a folder with the three splits, ENCODER a folder or hub id whose tokenizer is used. Length
buckets stand beside plain random order; both pad each batch to a multiple of 8.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from enstack.batches import EpochBatches, padding_efficiency
from enstack.data.functions import read_data
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.models.tokens import tokenize

BATCH_SIZE = 16


def random_order(n_samples: int) -> list[list[int]]:
    """An epoch's batches without buckets."""
    order = np.random.default_rng(0).permutation(n_samples)
    return [order[i : i + BATCH_SIZE].tolist() for i in range(0, n_samples, BATCH_SIZE)]


def main(data_dir: str, *encoders: str) -> None:
    """Print a row for every encoder and length."""
    train = read_data(Path(data_dir), label_mode="cwe_or_clean").splits["train"]
    for encoder in encoders:
        tokenizer = load_tokenizer(BaseModel(encoder, encoder))
        for max_length in (256, 512):
            with tempfile.TemporaryDirectory() as cache:
                lengths = tokenize(
                    train, tokenizer, max_length=max_length, cache_dir=Path(cache), title="Tokens"
                ).lengths
            buckets = EpochBatches(lengths, BATCH_SIZE, seed=42, epoch=1)
            print(
                f"{Path(encoder).name}  max_length {max_length}  "
                f"buckets {padding_efficiency(lengths, buckets):.3f}  "
                f"random order {padding_efficiency(lengths, random_order(len(lengths))):.3f}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
