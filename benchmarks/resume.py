"""What comes before the first batch after a resume: `enstack bench resume`.

Skip: the paper's epoch is resumed at batch 1,000 of 1,270, over samples that take 2 ms to read.
Scale: ten million samples that cost nothing, at the epoch's start and after 99 % of it; the peers
get the loader that their users would write. The clock runs from building the loader (and, for
enstack, the order of the epoch) to the first batch; lengths and saved states are given.
The ways take turns; medians of several rounds are compared.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from accelerate import skip_first_batches
from torch.utils.data import DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from benchmarks import machine, targets
from enstack.batches import EpochBatches

SEED = 42
ENSTACK, ACCELERATE, TORCHDATA = (
    "enstack",
    "accelerate.skip_first_batches",
    "torchdata StatefulDataLoader",
)
ISLICE, NAIVE = "islice(loader)", "naive loop"
Way = Callable[["Samples", int], Iterator[Any]]


class Samples(Dataset[int]):
    """Counts its reads, each of which may take as long as tokenizing a function does."""

    def __init__(self, count: int, batch_size: int, read_seconds: float = 0.0) -> None:
        self.count, self.batch_size, self.read_seconds = count, batch_size, read_seconds
        self.lengths = np.random.default_rng(0).integers(20, 512, count)
        self.reads = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        self.reads += 1
        if self.read_seconds:
            time.sleep(self.read_seconds)
        return index

    def order(self, start: int = 0) -> EpochBatches:
        """Batches of an epoch, in enstack's order."""
        return EpochBatches(self.lengths, self.batch_size, seed=SEED, epoch=1, start_batch=start)

    @functools.cached_property
    def listed(self) -> list[list[int]]:
        """The whole order as a list, for peers that walk over it."""
        return list(self.order())


def enstack_way(samples: Samples, skip: int) -> Iterator[Any]:
    """The fast-forward over starts of batches."""
    order = samples.order(skip)
    return iter(DataLoader(samples, batch_sampler=order, generator=torch.Generator()))


def naive_way(samples: Samples, skip: int) -> Iterator[Any]:
    """The loop this project replaces: load, compare the number, throw away."""
    loader = DataLoader(samples, batch_sampler=samples.order())
    return (batch for number, batch in enumerate(loader) if number >= skip)


def islice_of_the_loader(samples: Samples, skip: int) -> Iterator[Any]:
    """What looks like a fast-forward, and still loads everything."""
    return itertools.islice(DataLoader(samples, batch_sampler=samples.order()), skip, None)


def accelerate_way(samples: Samples, skip: int) -> Iterator[Any]:
    """Hugging Face accelerate's own skip, over enstack's order."""
    return iter(skip_first_batches(DataLoader(samples, batch_sampler=samples.listed), skip))


def torchdata_way(state: dict[str, Any], samples: Samples, skip: int) -> Iterator[Any]:
    """A loader that was saved after the skipped batches and restored, over enstack's order."""
    loader = stateful(samples, batch_sampler=samples.listed)
    loader.load_state_dict(state)
    return iter(loader)


def shuffled(samples: Samples) -> dict[str, Any]:
    """The arguments with which a user gets a shuffled epoch that can be repeated."""
    generator = torch.Generator().manual_seed(SEED)
    return {"batch_size": samples.batch_size, "shuffle": True, "generator": generator}


def accelerate_shuffled(samples: Samples, skip: int) -> Iterator[Any]:
    """A plain shuffling loader, and accelerate's skip where there is one."""
    loader = DataLoader(samples, **shuffled(samples))
    return iter(skip_first_batches(loader, skip) if skip else loader)


def torchdata_shuffled(state: dict[str, Any], samples: Samples, skip: int) -> Iterator[Any]:
    """The shuffling loader of torchdata, restored where there is something to skip."""
    loader = stateful(samples, **shuffled(samples))
    if skip:
        loader.load_state_dict(state)
    return iter(loader)


def stateful(samples: Any, **arguments: Any) -> StatefulDataLoader:
    """A loader of torchdata, without what newer torch has to say about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'set_vital' is deprecated")
        return StatefulDataLoader(samples, **arguments)


def state_after(skip: int, samples: Samples, **arguments: Any) -> dict[str, Any]:
    """The state that torchdata saves after some batches."""
    quick = stateful(range(samples.count), collate_fn=len, **arguments)
    batches = iter(quick)
    for _ in range(skip):
        next(batches)
    return quick.state_dict()


def first_batch(way: Way, samples: Samples, skip: int) -> dict[str, Any]:
    """Seconds to the first batch, reads of skipped samples, and that batch."""
    samples.reads = 0
    started = time.perf_counter()
    batches = way(samples, skip)
    batch = next(batches)
    # The iterator still lives: freeing a peer's lists is not counted.
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "skipped_reads": samples.reads - len(batch),
        "batch": batch.tolist(),
    }


def take_turns(turns: dict[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[Any]]:
    """Every turn once a round, so that a slow minute of the machine meets all of them."""
    outcomes: dict[Any, list[Any]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            outcomes[name].append(turn())
    return outcomes


def measure_skip(
    *, samples: int, batch_size: int, skip: int, read_seconds: float, rounds: int
) -> dict[str, Any]:
    """Reads and time of every way to resume after some batches."""
    slow = Samples(samples, batch_size, read_seconds)
    state = state_after(skip, slow, batch_sampler=slow.listed)
    quick_ways: dict[str, Way] = {
        ENSTACK: enstack_way,
        ACCELERATE: accelerate_way,
        TORCHDATA: functools.partial(torchdata_way, state),
    }
    # Half a minute each, and the reads are the same in every round.
    slow_ways: dict[str, Way] = {ISLICE: islice_of_the_loader, NAIVE: naive_way}
    outcomes = {
        **take_turns(_turns(quick_ways, slow, skip), rounds),
        **take_turns(_turns(slow_ways, slow, skip), 1),
    }
    seconds = {name: _median(found) for name, found in outcomes.items()}
    return {
        "samples": samples,
        "batch_size": batch_size,
        "skipped_batches": skip,
        "read_seconds": read_seconds,
        "rounds": rounds,
        "ways": {
            name: {
                "first_batch_seconds": seconds[name],
                "times_enstack": seconds[name] / seconds[ENSTACK],
                "skipped_reads": max(outcome["skipped_reads"] for outcome in found),
                "right_batch": all(outcome["batch"] == slow.listed[skip] for outcome in found),
            }
            for name, found in outcomes.items()
        },
    }


def measure_scale(*, samples: int, batch_size: int, rounds: int) -> dict[str, Any]:
    """Time to the first batch at the start of a long epoch, and after 99 % of it."""
    many = Samples(samples, batch_size)
    late = many.order().total_batches * 99 // 100
    state = state_after(late, many, **shuffled(many))
    ways: dict[str, Way] = {
        ENSTACK: enstack_way,
        ACCELERATE: accelerate_shuffled,
        TORCHDATA: functools.partial(torchdata_shuffled, state),
    }
    turns = {
        (name, skip): turn for skip in (0, late) for name, turn in _turns(ways, many, skip).items()
    }
    outcomes = take_turns(turns, rounds)
    return {
        "samples": samples,
        "batch_size": batch_size,
        "late_batch": late,
        "rounds": rounds,
        "ways": {
            name: {
                "seconds_at_0": _median(outcomes[name, 0]),
                "seconds_at_99_percent": _median(outcomes[name, late]),
            }
            for name in ways
        },
    }


def _turns(ways: dict[str, Way], samples: Samples, skip: int) -> dict[str, Callable[[], Any]]:
    return {name: functools.partial(first_batch, way, samples, skip) for name, way in ways.items()}


def _median(outcomes: list[dict[str, Any]]) -> float:
    return statistics.median(outcome["seconds"] for outcome in outcomes)


def judge(skip: dict[str, Any], scale: dict[str, Any]) -> list[dict[str, Any]]:
    """The targets of a resume, and whether these figures meet them."""
    ours, theirs = scale["ways"][ENSTACK], scale["ways"][ACCELERATE]
    late = ours["seconds_at_99_percent"]
    return [
        targets.at_most(
            "reads of skipped samples by enstack", skip["ways"][ENSTACK]["skipped_reads"], 0
        ),
        targets.at_most("enstack at 99 % over enstack at 0", late / ours["seconds_at_0"], 1.5),
        targets.at_most(
            "enstack at 99 % over accelerate at 99 %", late / theirs["seconds_at_99_percent"], 0.5
        ),
    ]


def measure(
    *,
    samples: int = 20_305,
    batch_size: int = 16,
    skip: int = 1000,
    read_seconds: float = 0.002,
    many_samples: int = 10_000_000,
    rounds: int = 5,
) -> dict[str, Any]:
    """All figures, as plain values."""
    skipping = measure_skip(
        samples=samples,
        batch_size=batch_size,
        skip=skip,
        read_seconds=read_seconds,
        rounds=rounds,
    )
    scale = measure_scale(samples=many_samples, batch_size=batch_size, rounds=rounds)
    return {
        "benchmark": "resume",
        "machine": machine.facts(),
        "skip": skipping,
        "scale": scale,
        "targets": judge(skipping, scale),
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    return "\n".join(
        [
            machine.line(results["machine"]),
            "",
            *_skip_lines(results["skip"]),
            "",
            *_scale_lines(results["scale"]),
            "",
            *map(targets.line, results["targets"]),
        ]
    )


def _skip_lines(skip: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Resume at batch {skip['skipped_batches']:,} of {skip['samples']:,} samples, "
        f"{skip['batch_size']} a batch, {skip['read_seconds'] * 1000:g} ms a sample "
        f"(median of {skip['rounds']}; the last two once)"
    )
    yield f"{'':32}{'first batch':>14}{'':>12}{'skipped reads':>16}  right batch"
    for name, way in skip["ways"].items():
        yield (
            f"{name:32}{way['first_batch_seconds']:12.3f} s{way['times_enstack']:10.1f} x"
            f"{way['skipped_reads']:16,}  {'yes' if way['right_batch'] else 'NO'}"
        )


def _scale_lines(scale: dict[str, Any]) -> Iterator[str]:
    ours = scale["ways"][ENSTACK]["seconds_at_99_percent"]
    yield (
        f"First batch of {scale['samples']:,} samples, {scale['batch_size']} a batch "
        f"(median of {scale['rounds']})"
    )
    yield f"{'':32}{'at 0':>10}{'at 99 %':>12}{'99 % / 0':>11}{'over enstack at 99 %':>24}"
    for name, way in scale["ways"].items():
        early, late = way["seconds_at_0"], way["seconds_at_99_percent"]
        yield f"{name:32}{early:8.3f} s{late:10.3f} s{late / early:9.2f} x{late / ours:22.2f} x"


def main() -> None:
    """Measure and print."""
    print(table(measure()))


if __name__ == "__main__":
    main()
