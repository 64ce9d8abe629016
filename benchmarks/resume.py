"""Time and reads before the first batch after a resume: `python -m benchmarks.resume`.

Each way resumes the same epoch at batch 1,000 of 1,270, over samples that take 2 ms to read.
Ratios are against enstack, medians of several rounds in this run.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from accelerate import skip_first_batches
from torch.utils.data import DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from enstack.batches import EpochBatches

SAMPLES, BATCH_SIZE, SKIP = 20_305, 16, 1000
READ_SECONDS = 0.002
ROUNDS = 3


class SlowSamples(Dataset[int]):
    """Counts its reads, each of which takes as long as tokenizing a function does."""

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> int:
        self.reads += 1
        time.sleep(READ_SECONDS)
        return index


def batches(start: int = 0) -> EpochBatches:
    """The paper's epoch, in enstack's order."""
    lengths = np.random.default_rng(0).integers(20, 512, SAMPLES)
    return EpochBatches(lengths, BATCH_SIZE, seed=42, epoch=1, start_batch=start)


def enstack_way(samples: SlowSamples) -> Iterator[Any]:
    """The fast-forward over starts of batches."""
    return iter(DataLoader(samples, batch_sampler=batches(SKIP)))


def naive_way(samples: SlowSamples) -> Iterator[Any]:
    """The loop this project replaces: load, compare the number, throw away."""
    loader = DataLoader(samples, batch_sampler=batches())
    return (batch for number, batch in enumerate(loader) if number >= SKIP)


def islice_of_the_loader(samples: SlowSamples) -> Iterator[Any]:
    """What looks like a fast-forward, and still loads everything."""
    return itertools.islice(DataLoader(samples, batch_sampler=batches()), SKIP, None)


@functools.cache
def whole_order() -> list[list[int]]:
    """The epoch as a list, made before the clock starts, for peers that walk over it."""
    return list(batches())


def accelerate_way(samples: SlowSamples) -> Iterator[Any]:
    """Hugging Face accelerate's own skip."""
    return iter(skip_first_batches(DataLoader(samples, batch_sampler=whole_order()), SKIP))


@functools.cache
def torchdata_state() -> dict[str, Any]:
    """The state after 1,000 batches, made before the clock starts."""
    quick = StatefulDataLoader(range(SAMPLES), batch_sampler=whole_order())
    list(itertools.islice(quick, SKIP))
    return quick.state_dict()


def torchdata_way(samples: SlowSamples) -> Iterator[Any]:
    """A loader that was saved and restored."""
    loader = StatefulDataLoader(samples, batch_sampler=whole_order())
    loader.load_state_dict(torchdata_state())
    return iter(loader)


WAYS: dict[str, Callable[[SlowSamples], Iterator[Any]]] = {
    "enstack": enstack_way,
    "accelerate.skip_first_batches": accelerate_way,
    "torchdata StatefulDataLoader": torchdata_way,
    "islice(loader)": islice_of_the_loader,
    "naive loop": naive_way,
}


def measure(way: Callable[[SlowSamples], Iterator[Any]]) -> tuple[float, int, list[int]]:
    """Seconds to the first batch, reads of skipped samples, and that batch."""
    samples = SlowSamples()
    started = time.perf_counter()
    batch = next(way(samples)).tolist()
    return time.perf_counter() - started, samples.reads - len(batch), batch


def main() -> None:
    """Print a row for every way."""
    expected = whole_order()[SKIP]
    torchdata_state()
    medians: dict[str, float] = {}
    for name, way in WAYS.items():
        slow = name in ("islice(loader)", "naive loop")
        rounds = [measure(way) for _ in range(1 if slow else ROUNDS)]
        medians[name] = statistics.median(seconds for seconds, _, _ in rounds)
        same = all(batch == expected for _, _, batch in rounds)
        print(
            f"{name:32} {medians[name]:8.3f} s  {medians[name] / medians['enstack']:8.1f} x  "
            f"{rounds[0][1]:7,} skipped samples read  right batch: {same}"
        )


if __name__ == "__main__":
    main()
