"""What this machine's GPU keeps of the promises, and how fast it trains: a table for an issue."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from enstack import __version__
from enstack.notebook.cells import gpu_line
from enstack.notebook.checkout import CHECKOUT, code_commit
from enstack.progress.say import say

# RoBERTa-base, a few batches: each mode's turn takes seconds on a T4.
BENCHMARK = ("--hidden", "768", "--layers", "12", "--batches", "30", "--rounds", "2")


def check_gpu(checkout: Path = CHECKOUT) -> str:
    """Run the GPU's own tests and the training benchmark; print a table for an issue, return it.

    checkout: of the code, whose tests and benchmarks are not installed with it. Without a GPU
    nothing is run, and that is said. Raises ConfigError for a GPU that torch has no kernels for.
    """
    import torch

    from enstack.models.hardware import Hardware

    if not torch.cuda.is_available():
        say("⚠️  No GPU that torch can use: choose one (Runtime > Change runtime type), run again.")
        return ""
    hardware = Hardware.choose()
    say("▶ What only a GPU can break, then speed beside Hugging Face Trainer: ten minutes at most")
    tests = _run(checkout, "pytest", "tests/gpu", "-W", "default", "-q", "-rf", seconds=360)
    speed = _run(
        checkout,
        *("benchmarks.train", *BENCHMARK, "--precision", hardware.precision),
        seconds=240,
    )
    table = _table(gpu_line(hardware.device), tests, speed, code_commit(checkout))
    say("\nPaste this into an issue:\n")
    say(table)
    return table


def _run(checkout: Path, module: str, *arguments: str, seconds: int) -> list[str]:
    """What a module of the checkout prints, or why it printed nothing, as lines."""
    # The tests hide the GPU from themselves unless it is named.
    environment = {"CUDA_VISIBLE_DEVICES": "0", **os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"given up after {seconds} s"]
    # Of an error the last line says what it was.
    return done.stdout.split("\n") if done.stdout.strip() else done.stderr.splitlines()[-1:]


def _table(gpu: str, tests: list[str], speed: list[str], commit: str) -> str:
    """Markdown: the machine, which tests failed, and the benchmark's own table."""
    versions = f"enstack {__version__} ({commit}), Python {platform.python_version()}"
    told = [line for line in tests if line.startswith(("FAILED", "ERROR"))]
    # The last line that says anything: so many passed.
    summary = next((line for line in reversed(tests) if line.strip()), "nothing was printed")
    return "\n".join(
        [
            *("| enstack on a GPU | |", "|---|---|"),
            f"| machine | {gpu} |",
            f"| versions | {versions} |",
            f"| make test-gpu | {summary.strip(' =')} |",
            *(f"| failed | {line.partition(' ')[2]} |" for line in told if line != summary),
            *("", "```", *speed, "```"),
        ]
    )
