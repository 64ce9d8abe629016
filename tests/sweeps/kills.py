"""Kills a whole run in every stage, again and again; what it ends as must be the unbroken run's.

python -m tests.sweeps.kills [--kills N] [--seed S] [--jobs J]

Half of the runs are on made-up data and a tiny model that they make themselves, half on files that
lie on storage that counts as slow. Each start of a run is a process of its own that SIGKILL ends:
two of three at a file operation, one drawn for each stage, so that short stages are hit as often as
long ones; the others at a random instant. After some kills the scratch disk is gone too. Prints a
table of the stages, and exits with 1 on a finding.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from enstack import inputs
from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.pipeline import run_pipeline
from enstack.stacking import costs
from enstack.toy.functions import write_toy_data
from enstack.training import predictions, state, trainer
from tests.support.equality import same, training_outcome, tree_digest
from tests.support.faults import FaultyDisk, faulty
from tests.support.killing import forked
from tests.support.micro import SIZES, write_micro_data, write_micro_model

# By what a path holds, the first that fits: whose file operation it is.
STAGES = {
    "staging": "/local/staged/",
    "near-duplicates": "/local/near_duplicates/",
    "toy": "/local/toy/",
    "tokens": "/local/tokens/",
    "columns": "/local/columns/",
    "saving": "/local/checkpoints/",
    "prediction": "/probabilities",
    "stacking": "/run/stacking",
    "report": "/run/report",
    "copying": "/run/base_models/",
    "records": "/run/",
}
OTHER = "other"  # the lock, the folders above
TRAINING, READING = "training", "data"  # a batch, and the data once read, count as operations too
NAMES = (*STAGES, OTHER, TRAINING, READING)
IN_ORDER = (READING, "staging", "toy", "columns", "near-duplicates", "records", "tokens", TRAINING,
            "saving", "copying", "prediction", "stacking", "report")  # fmt: skip
DISK_LOST = "scratch disk lost"
NOWHERE: Mapping[str, int] = {}
AT_RANDOM = 1 / 3  # share of the kills
SCRATCH_LOST = 0.1  # share of the kills after which the machine is gone too
# A killed run has saved more often: what counts the saves is held against by its meaning.
COUNTS_SAVES = ("last_checkpoint/", "previous_checkpoint/", "events.jsonl")
PASSING = ("locks/",)  # a lock's file stays, and says nothing


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What is run, always at the same place, so that every record is the same too."""

    name: str
    folder: Path
    settings: dict[str, Any]
    slow: bool

    def config(self) -> RunConfig:
        return RunConfig(
            **self.settings,
            label_mode="cwe_or_clean",
            epochs=2,
            batch_size=4,
            max_length=64,
            save_steps=2,
            precision="fp32",
            num_workers=0,
            meta_classifiers=["lr"],
            run_dir=str(self.folder / "run"),
            local_dir=str(self.folder / "local"),
        )

    def clear(self) -> None:
        for name in ("run", "local"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


class DoomedDisk(FaultyDisk):
    """Counts the operations of each stage on a board that outlives the process; kills at one.

    targets: by stage, the number of the operation that is not done any more; the first counts.
    """

    def __init__(self, folder: Path, board: mmap.mmap, targets: Mapping[str, int]) -> None:
        super().__init__(folder, 0, 0, 0)
        self.board, self.targets = board, targets
        self.lock = threading.Lock()

    def operate(self, path: Any) -> None:
        text = f"{path}/"
        self.count_one(next((name for name, part in STAGES.items() if part in text), OTHER))

    def count_one(self, stage: str) -> None:
        with self.lock:
            place = 8 * NAMES.index(stage)
            number = struct.unpack("q", self.board[place : place + 8])[0] + 1
            self.board[place : place + 8] = struct.pack("q", number)
            self.board[-8:] = struct.pack("q", NAMES.index(stage))
            if self.targets.get(stage) == number:
                os.kill(os.getpid(), signal.SIGKILL)


def counted(board: mmap.mmap) -> dict[str, int]:
    """Operations of each stage."""
    return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}q", board[:-8]), strict=True))


def last_stage(board: mmap.mmap) -> str:
    """The stage of the last operation."""
    return NAMES[struct.unpack("q", board[-8:])[0]]


def run_on(disk: DoomedDisk, scenario: Scenario) -> None:
    """The whole pipeline, with every operation of it counted."""
    train_batch, read = trainer.train_batch, inputs.read_data

    def train_and_count(*args: Any) -> None:
        disk.count_one(TRAINING)
        train_batch(*args)

    def read_and_count(*args: Any, **kwargs: Any) -> Any:
        disk.count_one(READING)
        data = read(*args, **kwargs)
        disk.count_one(READING)
        return data

    trainer.train_batch, inputs.read_data = train_and_count, read_and_count
    # No two runs take the same time: what models cost is 0 here, so that files can be the same.
    state.time = predictions.time = costs.time = SimpleNamespace(perf_counter=lambda: 0.0)
    if scenario.slow:
        inputs.slow_storage = lambda path: "fuse.drive"
    with faulty(disk):
        run_pipeline(scenario.config())


class StartFailedError(Exception):
    """A start that nobody killed did not come to its end; its traceback has been printed."""


class Runs:
    """The runs of one scenario, and the unbroken one they are held against."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.board = mmap.mmap(-1, 8 * (len(NAMES) + 1))

    def start(self, targets: Mapping[str, int] = NOWHERE, seconds: float | None = None) -> bool:
        """Start or go on, up to a kill; True where it came to its end."""
        self.board[:] = bytes(len(self.board))
        disk = DoomedDisk(self.scenario.folder, self.board, targets)
        child = forked(lambda: run_on(disk, self.scenario))
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise StartFailedError(f"a start ended with status {os.WEXITSTATUS(status)}")
        return os.WIFEXITED(status)

    def outcome(self) -> dict[str, Any]:
        """All that a run leaves: files by their digests, checkpoints by their meaning."""
        folder = self.scenario.folder
        files = {f"run/{name}": digest for name, digest in tree_digest(folder / "run").items()}
        cached = {f"local/{name}": digest for name, digest in tree_digest(folder / "local").items()}
        files = {name: d for name, d in files.items() if not any(n in name for n in COUNTS_SAVES)}
        cached = {name: d for name, d in cached.items() if not any(n in name for n in PASSING)}
        # Named after the time of the data, which may be made anew: their content tells.
        columns = {name for name in cached if "/columns/" in name}
        texts = {(Path(n).name, cached[n]) for n in columns if not n.endswith("manifest.json")}
        models = (folder / "run" / "base_models").iterdir()
        return {
            **files,
            **{name: digest for name, digest in cached.items() if name not in columns},
            "columns": sorted(texts),
            **{f"training of {model.name}": training_outcome(model) for model in models},
        }

    def measure(self) -> None:
        """Run unbroken, twice: what differs between two of them can't be held against a third."""
        outcomes = []
        for _ in range(2):
            self.scenario.clear()
            begun = time.monotonic()
            self.start()
            self.seconds = time.monotonic() - begun
            outcomes.append(self.outcome())
        self.operations = counted(self.board)
        first, self.expected = outcomes
        self.undecided = [name for name in first if not same(first[name], self.expected.get(name))]

    def differences(self) -> list[str]:
        """What of a finished run is not as the unbroken one's."""
        outcome = self.outcome()
        names = sorted({*outcome, *self.expected} - {*self.undecided})
        # A scratch disk that was lost late is not filled again with what no stage needs any more;
        # what is there must be right, and nothing else may be left.
        names = [n for n in names if n in outcome or not n.startswith("local/")]
        return [f"{n} differs" for n in names if not same(outcome.get(n), self.expected.get(n))]

    def targets(self, chance: random.Random) -> dict[str, int]:
        """An operation to kill at for each stage that this scenario has, in their order."""
        # Where nothing is staged, or nothing made up, a start only looks whether it was.
        other = "toy" if self.scenario.slow else "staging"
        there = [stage for stage in IN_ORDER if self.operations[stage] and stage != other]
        return {stage: chance.randint(1, self.operations[stage]) for stage in there}


def scenarios(folder: Path) -> list[Scenario]:
    """Files on slow storage with near-duplicates dropped, and the toy data with its tiny model."""
    data = write_micro_data(folder / "data")
    model = write_micro_model(folder / "micro", read_data(data, label_mode="cwe_or_clean"))
    staged = {"data_dir": str(data), "base_models": [model.location], "drop_near_duplicates": 0.97}
    toy = {"data_dir": "toy", "base_models": ["tiny-a"]}
    # The toy's own size would take most of the time.
    write_toy_data.__kwdefaults__["sizes"] = SIZES
    return [
        Scenario("staged", folder / "staged-run", staged, slow=True),
        Scenario("toy", folder / "toy-run", toy, slow=False),
    ]


def kill_one_run(
    runs: Runs, kills: int, chance: random.Random, landed: Counter[str]
) -> tuple[int, list[str]]:
    """One run, killed so often at most; how often it was, and what of its end differs."""
    runs.scenario.clear()
    done, ended, targets = 0, False, runs.targets(chance)
    while targets and done < kills and not ended:
        if chance.random() < AT_RANDOM:
            ended = runs.start(seconds=chance.uniform(0, runs.seconds / 2))
        else:
            ended = runs.start(targets)
            # Those before it are still to be hit: a start looks at the places of later stages too.
            targets.pop(last_stage(runs.board), None)
        if not ended:
            done += 1
            landed[last_stage(runs.board)] += 1
            if chance.random() < SCRATCH_LOST:
                landed[DISK_LOST] += 1
                shutil.rmtree(runs.scenario.folder / "local", ignore_errors=True)
    if not ended:
        runs.start()
    return done, runs.differences()


def sweep(kills: int, seed: int) -> dict[str, Any]:
    """Kill so often, in this process's own folder."""
    torch.set_num_threads(1)
    chance, landed = random.Random(seed), Counter[str]()
    facts: dict[str, Any] = {"seed": seed, "kills": 0, "runs": 0, "identical": 0, "findings": []}
    with tempfile.TemporaryDirectory(prefix="enstack-kills-") as name:
        of_each = [Runs(scenario) for scenario in scenarios(Path(name))]
        for runs in of_each:
            runs.measure()
        facts["seconds_unbroken"] = [round(runs.seconds, 1) for runs in of_each]
        facts["never_compared"] = sorted({name for runs in of_each for name in runs.undecided})
        while facts["kills"] < kills:
            runs = of_each[facts["runs"] % len(of_each)]
            left = kills - facts["kills"]
            try:
                done, differences = kill_one_run(runs, left, chance, landed)
            except StartFailedError as failed:
                done, differences = 1, [str(failed)]
            facts["kills"] += done
            facts["runs"] += 1
            facts["identical"] += not differences
            where = f"run {facts['runs']} ({runs.scenario.name}, seed {seed})"
            facts["findings"] += [f"{where}: {difference}" for difference in differences]
            print(f"{where}: {done} kills, findings: {differences or 'none'}", file=sys.stderr)
    return {**facts, "landed": dict(landed)}


def in_parallel(kills: int, seed: int, jobs: int) -> list[dict[str, Any]]:
    """The same in so many processes, each with a part of the kills and a seed of its own."""
    parts = [kills // jobs + (number < kills % jobs) for number in range(jobs)]
    command = [sys.executable, "-m", "tests.sweeps.kills", "--json"]
    running = [
        subprocess.Popen(
            [*command, "--kills", str(part), "--seed", str(seed + number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, part in enumerate(parts)
        if part
    ]
    outputs = [process.communicate()[0].splitlines() for process in running]
    if not all(outputs):
        raise SystemExit("a part of the sweep failed, as told above")
    return [json.loads(lines[-1]) for lines in outputs]


def table(parts: list[dict[str, Any]], seconds: float) -> str:
    """What was killed where, and what came of it."""
    landed = sum((Counter(part["landed"]) for part in parts), Counter[str]())
    rows = [f"{name:<20}{landed[name]:>5}" for name in (*IN_ORDER, OTHER, DISK_LOST)]
    findings = [f"FINDING {finding}" for part in parts for finding in part["findings"]]
    undecided = sorted({name for part in parts for name in part["never_compared"]})
    kills, runs, identical = (sum(p[key] for p in parts) for key in ("kills", "runs", "identical"))
    return "\n".join(
        [
            f"{'killed in':<20}kills",
            *rows,
            *findings,
            f"differs between two unbroken runs too: {', '.join(undecided) or 'nothing'}",
            f"{kills} kills, {runs} runs, {identical} of them ended as the unbroken one",
            f"seeds {', '.join(str(part['seed']) for part in parts)}; {seconds:.0f} s",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with its own runs")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object, for a part of a sweep"
    )
    chosen = parser.parse_args()
    begun = time.monotonic()
    if chosen.jobs > 1:
        parts = in_parallel(chosen.kills, chosen.seed, chosen.jobs)
    else:
        parts = [sweep(chosen.kills, chosen.seed)]
    print(json.dumps(parts[0]) if chosen.json else table(parts, time.monotonic() - begun))
    return int(any(part["findings"] for part in parts))


if __name__ == "__main__":
    sys.exit(main())
