"""Runs of 3 epochs in 5 sessions, which session_hours ends, beside unbroken ones.

python -m tests.sweeps.sessions

In fp32 and bf16, with dropout, by 1 and by 2 processes; `enstack prepare` has gone before, and the
scratch disk is emptied before each session, as on a machine that is new. A batch counts as ten
minutes, so that sessions end where they are planned to, however fast the machine is. Of each pair
of runs the functions of every batch, the losses, and all that training leaves are held against each
other, and the ledger is read. Prints a table, and exits with 1 on a finding.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.trials import BATCH, Row, Trial, last_line, whole, worker

BATCH_SECONDS, BATCHES, EPOCHS, SESSIONS = 600, 5, 3, 5
# Five batches of the 21, and the five minutes that are kept for the last save.
HOURS = (BATCHES * BATCH_SECONDS + 300) / 3600
TOKENIZING = "Tokenizing for"  # the bar of texts that become tokens


class Sessions(Trial):
    """The same trial, its clock moved by batches."""

    module = "tests.sweeps.sessions"


def timed_worker(notes: str, command: list[str]) -> None:
    """`enstack COMMAND`, where every batch takes ten minutes."""
    from enstack.progress.session_end import SessionEnd
    from enstack.training import step

    now, original = [0.0], step.add_gradients

    def batch(*args: Any) -> Any:
        now[0] += BATCH_SECONDS
        return original(*args)

    step.add_gradients = batch
    SessionEnd.__init__.__defaults__ = (lambda: now[0],)
    worker(notes, command)


def prepared(trial: Trial, name: str) -> bool:
    """Whether `enstack prepare` has prepared a run."""
    python, run = trial.command(name)[:4], trial.command(name)[5:]
    command = [sys.executable, *python, "prepare", *run]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def in_sessions(trial: Trial, name: str, size: int) -> Iterator[tuple[int | None, str]]:
    """The end of each session of a run, on an empty scratch disk each."""
    for _ in range(SESSIONS):
        shutil.rmtree(trial.folder / f"{name}-scratch", ignore_errors=True)
        yield whole(trial, name, size)[0]


def rows(trial: Trial, precision: str, size: int) -> Iterator[Row]:
    """What is found of one pair of runs."""
    from enstack.planning.ledger import read_sessions
    from enstack.run_folder import RunFolder
    from tests.support.equality import same, training_outcome

    what, (unbroken, parts) = (
        f"{precision}, {size} of them",
        (f"{precision}-{size}-{n}" for n in "ab"),
    )
    for name in (unbroken, parts):
        trial.settings[name] = [f"precision={precision}", f"epochs={EPOCHS}", "save_steps=5"]
    status, output = whole(trial, unbroken, size)[0]
    alone = TOKENIZING in output
    yield f"{what}: unbroken", "ended" if status == 0 else last_line(output), status == 0
    trial.settings[parts].append(f"session_hours={HOURS}")
    yield f"{what}: prepared", "by enstack prepare", prepared(trial, parts)
    ends = list(in_sessions(trial, parts, size))
    statuses = [status for status, _ in ends]
    planned = [130] * (SESSIONS - 1) + [0]
    yield f"{what}: {SESSIONS} sessions", f"statuses {statuses}", statuses == planned
    tokenized = sum(TOKENIZING in output for _, output in ends)
    told = f"in {tokenized} sessions of {SESSIONS}, unbroken and unprepared: {alone}"
    yield f"{what}: tokenized", told, tokenized == 0 and alone
    equal = trial.batches(parts) == trial.batches(unbroken)
    told = f"{len(trial.batches(parts))} batches of {BATCH}, the same functions: {equal}"
    yield f"{what}: functions", told, equal
    left, right = (trial.losses(name) for name in (parts, unbroken))
    yield f"{what}: losses", f"{len(left)} logged, equal: {left == right}", left == right
    outcomes = (training_outcome(trial.folder / n / "base_models/micro") for n in (parts, unbroken))
    equal = same(*outcomes)
    yield f"{what}: weights, moments, best model", f"identical to the last bit: {equal}", equal
    sessions = read_sessions(RunFolder(trial.folder / parts).events())
    fits = [stretch.fits for one in sessions for stretch in one.stretches]
    good = len(sessions) == SESSIONS and all(fits[1:])
    yield (
        f"{what}: ledger",
        f"{len(sessions)} sessions, each fits the one before: {all(fits[1:])}",
        good,
    )


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.sweeps.sessions").parse_args()
    findings = 0
    with tempfile.TemporaryDirectory() as name:
        trial = Sessions(Path(name), dropout=0.1)
        print("| what | seen | |\n|---|---|---|", flush=True)
        for precision, size in itertools.product(("fp32", "bf16"), (1, 2)):
            for what, seen, good in rows(trial, precision, size):
                findings += not good
                print(f"| {what} | {seen} | {'✓' if good else '✗'} |", flush=True)
    sys.exit(bool(findings))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        timed_worker(sys.argv[2], sys.argv[3:])
    else:
        main()
