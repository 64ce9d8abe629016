"""Training speed beside Hugging Face Trainer in all its modes, in one run: `enstack bench train`.

`python -m benchmarks.train [--hidden N] [--layers N] [--precision P...] [--batches N] [--rounds N]
[--data FOLDER]` takes another encoder or the lengths of a folder's functions. The same model,
functions, precision, dropout and optimizer for all; they take turns, and medians are compared.
`bound` is the share of useful FLOPs among those that padded batches compute, and the ratio of
bounds what less padding alone can give: what is above it comes from kernels and the host.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import hugging_face, machine, save, targets
from benchmarks.flops import matmul_peak
from benchmarks.full_size_turns import Case, set_up, turn
from benchmarks.small_training import ENSTACK
from benchmarks.speed_table import all_cases, results_of, speed_lines
from enstack.models.hardware import DTYPES, Hardware

HIDDEN, LAYERS, BATCHES, ROUNDS = 128, 2, 20, 3
BATCH_SIZE = 16
LEAST_BOUND, LEAST_RATIO = 0.97, 1.15


def shape(hidden: int, layers: int) -> dict[str, int]:
    """An encoder whose heads have 64 dimensions, as RoBERTa's."""
    return {
        **save.ROBERTA_BASE,
        "vocab_size": 1000,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
    }


def measure(
    *,
    hidden: int = HIDDEN,
    layers: int = LAYERS,
    precisions: tuple[str, ...] = ("fp32",),
    batches: int = BATCHES,
    rounds: int = ROUNDS,
    data_dir: str | None = None,
) -> dict[str, Any]:
    """All figures, as plain values."""
    device, types = Hardware.choose().device, {**DTYPES, "fp32": torch.float32}
    peaks = {p: matmul_peak(device, types[p], 1024) for p in precisions}
    with tempfile.TemporaryDirectory() as name:
        setting = set_up(Path(name), shape(hidden, layers), batches, data_dir)
        examples = setting.examples(BATCH_SIZE)
        cases = all_cases(list(precisions), [BATCH_SIZE])
        turns: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
        for _, case in itertools.product(range(rounds), cases):
            turns[case].append(turn(setting, examples, case))
    rows = results_of(turns, peaks)
    return {
        "benchmark": "train",
        "machine": machine.facts(),
        "encoder": {"hidden": hidden, "layers": layers},
        "mean_tokens": float(examples.lengths.mean()),
        "matmul_flops_per_second": peaks,
        "cases": rows,
        "targets": [target for p in precisions for target in targets_of(rows, p)],
    }


def targets_of(rows: list[dict[str, Any]], precision: str) -> list[dict[str, Any]]:
    """What enstack must reach at a precision."""
    of = {row["mode"]: row for row in rows if row["precision"] == precision}
    return [
        targets.at_least(
            f"useful FLOPs of enstack's batches, {precision}", of[ENSTACK]["bound"], LEAST_BOUND
        ),
        targets.at_least(
            f"speed over Trainer's, grouped, {precision}",
            of[hugging_face.GROUPED]["ratio"],
            LEAST_RATIO,
        ),
        targets.at_least(
            f"speed over Trainer's, default, {precision}", of[hugging_face.DEFAULT]["ratio"], 1.0
        ),
    ]


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [*speed_lines(results), "", *map(targets.line, results["targets"])]
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--hidden", type=int, default=HIDDEN)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--batches", type=int, default=BATCHES, help="timed in each turn")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--data", help="take the lengths of this data folder's functions")
    asked = parser.parse_args()
    found = measure(
        hidden=asked.hidden,
        layers=asked.layers,
        precisions=tuple(asked.precision),
        batches=asked.batches,
        rounds=asked.rounds,
        data_dir=asked.data,
    )
    print(table(found))


if __name__ == "__main__":
    main()
