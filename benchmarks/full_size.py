"""RoBERTa-base at full size beside Hugging Face Trainer in all its modes, meant for a GPU.

`python -m benchmarks.full_size FOLDER` writes bench.json, bench.txt and profile.txt there. The same
model, functions, precision, dropout, optimizer and loader processes for all; they take turns, and
medians are compared. Lengths are drawn as VDISC's are spread, or are those of a data folder
(--data). Useful FLOPs are those of real tokens; `bound` is their share of all that padded batches
compute.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine, save
from benchmarks.flops import matmul_peak
from benchmarks.full_size_turns import Case, Setting, profile_of, saves, set_up, turn
from benchmarks.small_training import ENSTACK
from benchmarks.speed_table import all_cases, results_of, speed_lines
from enstack.models.hardware import DTYPES, Hardware


def table(results: dict[str, Any]) -> str:
    """The figures for a reader, a line for each case."""
    return "\n".join([*speed_lines(results), *save_lines(results.get("save", {}))])


def save_lines(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """How long a save keeps the loop waiting."""
    for name, way in found.items():
        first, later = way["first_blocked"], way["blocked"]
        yield f"a save blocks {name} for {1000 * first:.0f} ms at first, then {1000 * later:.0f} ms"


def main() -> None:
    """Measure, write after every round, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path, help="folder for bench.json, bench.txt, profile.txt")
    parser.add_argument("--data", help="take the lengths of this data folder's functions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=50, help="timed in each turn")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--seconds", type=float, default=205.0, help="no turn begins after these")
    parser.add_argument("--layers", type=int, default=12, help="fewer for a trial")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shape = {**save.ROBERTA_BASE, "num_hidden_layers": asked.layers}
        setting = set_up(Path(name), shape, asked.batches, asked.data)
        measure(asked, setting)


def measure(asked: argparse.Namespace, setting: Setting) -> None:
    """All turns, the profile and the saves, each written as soon as it is there."""
    started = time.perf_counter()
    device = Hardware.choose().device
    types = {**DTYPES, "fp32": torch.float32}
    size = 8192 if device.type == "cuda" else 512
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "mean_tokens_drawn": float(setting.lengths.mean()),
        "matmul_flops_per_second": {
            p: matmul_peak(device, types[p], size) for p in asked.precisions
        },
    }
    cases = all_cases(asked.precisions, asked.batch_sizes)
    profiles = [
        profile_of(setting, Case(ENSTACK, asked.precisions[0], size)) for size in asked.batch_sizes
    ]
    write(asked.output / "profile.txt", "\n".join(profiles))
    results["save"] = saves(setting)
    examples = {size: setting.examples(size) for size in asked.batch_sizes}
    turns: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    for _, case in itertools.product(range(asked.rounds), cases):
        if time.perf_counter() - started > asked.seconds:
            break
        turns[case].append(turn(setting, examples[case.batch_size], case))
        results["cases"] = results_of(turns, results["matmul_flops_per_second"])
        report(asked.output, results)
    results["turns"] = {str(case): made for case, made in turns.items()}
    report(asked.output, results)
    print(table(results))


def report(folder: Path, results: dict[str, Any]) -> None:
    """Write what is known so far."""
    write(folder / "bench.json", json.dumps(results, indent=1))
    write(folder / "bench.txt", table(results) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
