"""Whole runs in several processes: the same functions, losses and ends; kills, hangs, other counts.

python -m tests.sweeps.parallel [--machines] [--only WORD]

Every run trains the same tiny model without dropout on the same 72 functions; each process notes
which functions it has computed. 1, 2 and 4 processes are held against each other, a run is gone on
with in another number of them, and one of two is stopped, killed and hung in training. --machines:
as root, with iproute2, two network namespaces stand for two machines, with two processes each by
torchrun. Prints a table, and exits with 1 on a finding.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.equality import same, training_outcome
from tests.support.trials import PACE, Row, Trial, ended, last_line, started, whole

LIMIT = 60  # seconds in which the others must end


def compared(trial: Trial, name: str, what: str, functions: bool = True) -> Row:
    """Whether a run has the losses, and the functions in each batch, of the one by one process."""
    ours, theirs = trial.losses(name), trial.losses("one")
    gap = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
    same = trial.batches(name) == trial.batches("one") if functions else None
    told = {True: "same functions in each batch, ", False: "OTHER FUNCTIONS, ", None: ""}[same]
    return what, f"{told}losses within {gap:.1e}", gap < 1e-5 and same is not False


def counts(trial: Trial) -> Iterator[Row]:
    for size in (2, 4):
        ends = whole(trial, f"of-{size}", size)
        if [status for status, _ in ends] != [0] * size:
            yield f"{size} processes", last_line(ends[0][1]), False
            continue
        yield compared(trial, f"of-{size}", f"{size} processes")
        spoke = [bool(output.strip()) for _, output in ends]
        yield (
            f"{size} processes speak",
            f"{sum(spoke)} of them",
            spoke == [True] + [False] * (size - 1),
        )


def training(trial: Trial, name: str, batches: int) -> None:
    """Wait until the first process has begun so many batches."""
    notes, until = trial.folder / f"{name}-notes" / "0.jsonl", time.monotonic() + 600
    before = len(notes.read_text().splitlines()) if notes.exists() else 0
    while time.monotonic() < until:
        if notes.exists() and len(notes.read_text().splitlines()) >= before + batches:
            return
        time.sleep(0.1)
    raise AssertionError("training has not begun")


def broken(
    trial: Trial, name: str, size: int, act: Callable[[list[subprocess.Popen[str]]], None]
) -> tuple[float, list[tuple[int | None, str]]]:
    """Start a run, do something to its processes in training; seconds until they ended."""
    processes = started(trial, name, size, **{PACE: "0.3"})
    training(trial, name, 4)
    act(processes)
    began = time.monotonic()
    ends = ended(processes, 2 * LIMIT)
    return time.monotonic() - began, ends


def other_counts(trial: Trial) -> Iterator[Row]:
    """Stopped by a signal to the last process, gone on with by another number, to the end."""
    for size in (2, 4):
        seconds, ends = broken(
            trial, "moved", size, lambda all_of: all_of[-1].send_signal(signal.SIGTERM)
        )
        statuses = [status for status, _ in ends]
        yield (
            f"SIGTERM to the last of {size}",
            f"all ended in {seconds:.0f} s, statuses {statuses}: {last_line(ends[0][1])}",
            statuses == [130] + [0] * (size - 1),
        )
    status, output = whole(trial, "moved", 1)[0]
    said = "Saved by 4 processes, gone on with by 1" in output
    yield "2, then 4, then 1", f"status {status}, it is said: {said}", status == 0 and said
    yield compared(trial, "moved", "2, then 4, then 1", functions=False)


def same_count(folder: Path) -> Iterator[Row]:
    """With dropout, a run of two that was stopped and gone on with by two is the unbroken one."""
    trial = Trial(folder, dropout=0.1)
    whole(trial, "unbroken", 2)
    broken(trial, "stopped", 2, lambda both: both[0].send_signal(signal.SIGTERM))
    whole(trial, "stopped", 2)
    left, right = (
        training_outcome(folder / name / "base_models/micro") for name in ("unbroken", "stopped")
    )
    equal = same(left, right)
    yield "2, stopped, then 2, with dropout", f"identical to the last bit: {equal}", equal


def lost(trial: Trial, rank: int, number: signal.Signals) -> Iterator[Row]:
    name, survivor = f"{number.name}-{rank}", 1 - rank
    what = f"{number.name} to process {rank} of 2"

    def act(processes: list[subprocess.Popen[str]]) -> None:
        processes[rank].send_signal(number)

    processes = started(trial, name, 2, **{PACE: "0.3"})
    training(trial, name, 6)
    act(processes)
    began = time.monotonic()
    [(status, output)] = ended([processes[survivor]], 2 * LIMIT)
    seconds = time.monotonic() - began
    processes[rank].kill()
    processes[rank].communicate()
    good = status == 130 and seconds < LIMIT and f"process {rank}" in output
    yield what, f"the other ended in {seconds:.0f} s, {status}: {last_line(output)}", good
    status, _ = whole(trial, name, 1)[0]
    yield f"{what}, gone on with by 1", f"status {status}", status == 0
    yield compared(trial, name, f"{what}, gone on with by 1", functions=False)


@contextmanager
def two_machines() -> Iterator[list[str]]:
    """The names of two network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2."""
    names = [f"enstack-{os.getpid()}-{number}" for number in (1, 2)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "cable1", "netns", names[0], "type", "veth", "peer", "name", "cable2",
           "netns", names[1])  # fmt: skip
        for number, name in enumerate(names, 1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", f"cable{number}")
            ip("-n", name, "link", "set", f"cable{number}", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def machines(trial: Trial) -> Iterator[Row]:
    """torchrun on each of two machines, with two processes each."""
    with two_machines() as names:
        processes = [
            subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run",
                 "--nnodes", "2", "--node-rank", str(node), "--nproc-per-node", "2",
                 "--master-addr", "10.77.0.1", "--master-port", "29577",
                 *trial.command("machines")],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for node, name in enumerate(names)
        ]  # fmt: skip
        ends = ended(processes, 900)
    statuses = [status for status, _ in ends]
    yield "2 machines x 2 by torchrun", f"statuses {statuses}", statuses == [0, 0]
    yield compared(trial, "machines", "2 machines x 2 by torchrun")


def rows(trial: Trial, with_machines: bool, only: str) -> Iterator[Row]:
    status, output = whole(trial, "one", 1)[0]
    yield "1 process", f"status {status}" + ("" if status == 0 else output[-500:]), status == 0
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "counts": lambda: counts(trial),
        "moved": lambda: other_counts(trial),
        "bits": lambda: same_count(trial.folder / "dropout"),
        **{
            f"{number.name} {rank}": lambda rank=rank, number=number: lost(trial, rank, number)  # type: ignore[misc]
            for number in (signal.SIGKILL, signal.SIGSTOP)
            for rank in (1, 0)
        },
        **({"machines": lambda: machines(trial)} if with_machines else {}),
    }
    for word, part in parts.items():
        if only in word:
            yield from part()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.parallel")
    parser.add_argument("--machines", action="store_true", help="two namespaces too, as root")
    parser.add_argument("--only", default="", help="parts whose name holds this word")
    asked = parser.parse_args()
    findings = 0
    with tempfile.TemporaryDirectory() as name:
        print("| what | seen | |\n|---|---|---|", flush=True)
        for what, seen, good in rows(Trial(Path(name)), asked.machines, asked.only):
            findings += not good
            print(f"| {what} | {seen} | {'✓' if good else '✗'} |", flush=True)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
