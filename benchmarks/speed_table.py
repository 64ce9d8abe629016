"""The speeds of several ways to train, as ratios and as a table."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from benchmarks import hugging_face, machine
from benchmarks.full_size_turns import Case
from benchmarks.small_training import ENSTACK, SAME_BITS


def all_cases(precisions: list[str], batch_sizes: list[int]) -> list[Case]:
    """Everybody's turn of a round."""
    # A CPU adds in the same order in any case.
    own = (ENSTACK, SAME_BITS) if torch.cuda.is_available() else (ENSTACK,)
    modes = (*own, *hugging_face.MODES)
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


def speed_lines(results: dict[str, Any]) -> list[str]:
    """The figures for a reader, a line for each case."""
    lines = [machine.line(results["machine"])]
    for precision, peak in results["matmul_flops_per_second"].items():
        lines.append(f"matrix product, {precision}: {peak / 1e12:.3g} TFLOP/s")
    lines.append(
        f"{'':19}{'':6}{'batch':>6}{'functions/s':>12}{'tokens/s':>11}{'bound':>7}{'used':>7}"
        f"{'GiB':>7}{'ratio':>7}{'bounds':>8}{'turns':>6}"
    )
    for row in results["cases"]:
        lines.append(
            f"{row['mode']:19}{row['precision']:6}{row['batch_size']:6}"
            f"{row['functions_per_second']:12.0f}{row['tokens_per_second']:11.0f}"
            f"{row['bound']:7.3f}{row['utilisation']:7.1%}{row['peak_gib']:7.1f}"
            f"{row['ratio'] or 0:7.2f}{row['ratio_of_bounds'] or 0:8.2f}{row['turns']:6}"
        )
    lines.append(
        "bound: useful FLOPs of all; used: of the matrix product's speed; ratio: useful FLOPs\n"
        "a second of enstack over the line's; bounds: what padding alone gives of that"
    )
    return lines
