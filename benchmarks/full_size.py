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
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import hugging_face, machine, save
from benchmarks.flops import matmul_peak
from benchmarks.full_size_turns import Case, Setting, profile_of, saves, set_up, turn
from benchmarks.train import ENSTACK
from enstack.models.hardware import DTYPES, Hardware


def all_cases(precisions: list[str], batch_sizes: list[int]) -> list[Case]:
    """Everybody's turn of a round."""
    modes = (ENSTACK, *hugging_face.MODES)
    return [Case(m, p, b) for b in batch_sizes for p in precisions for m in modes]


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def results_of(turns: dict[Case, list[dict[str, float]]], peaks: dict[str, float]) -> Any:
    """Medians of the turns so far, with utilisation and the ratio of enstack to each."""
    found = {case: medians(made) for case, made in turns.items() if made}
    rows = []
    for case, row in found.items():
        ours = found.get(Case(ENSTACK, case.precision, case.batch_size))
        speed = row["useful_flops_per_second"]
        rows.append(
            {
                **vars(case),
                **row,
                "turns": len(turns[case]),
                "utilisation": speed / peaks[case.precision],
                "ratio": ours["useful_flops_per_second"] / speed if ours else None,
                "ratio_of_bounds": ours["bound"] / row["bound"] if ours else None,
            }
        )
    return rows


def table(results: dict[str, Any]) -> str:
    """The figures for a reader, a line for each case."""
    lines = [machine.line(results["machine"])]
    for precision, peak in results["matmul_flops_per_second"].items():
        lines.append(f"matrix product, {precision}: {peak / 1e12:.0f} TFLOP/s")
    lines.append(
        f"{'':18}{'':6}{'batch':>6}{'functions/s':>12}{'tokens/s':>11}{'bound':>7}{'used':>7}"
        f"{'GiB':>7}{'ratio':>7}{'bounds':>8}{'turns':>6}"
    )
    for row in results["cases"]:
        lines.append(
            f"{row['mode']:18}{row['precision']:6}{row['batch_size']:6}"
            f"{row['functions_per_second']:12.0f}{row['tokens_per_second']:11.0f}"
            f"{row['bound']:7.3f}{row['utilisation']:7.1%}{row['peak_gib']:7.1f}"
            f"{row['ratio'] or 0:7.2f}{row['ratio_of_bounds'] or 0:8.2f}{row['turns']:6}"
        )
    lines.append(
        "ratio: useful FLOPs a second of enstack over the line's; bounds: what padding gives"
    )
    return "\n".join([*lines, *save_lines(results.get("save", {}))])


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
