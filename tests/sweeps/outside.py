"""Runs with faults, their folders full of links: nothing beside run_dir and local_dir may change.

python -m tests.sweeps.outside [RUNS] [SEED]

Before each run links to a folder outside are put everywhere: in the place of files and checkpoints,
under every name that is written beside, symbolic and hard ones, to files, folders and nowhere. Then
the run is killed, fails to save, trains on, meets damage, is refused, or ends. Prints a table, and
exits with 1 where anything outside has changed, what merely looks like ours has, or a run ended in
a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The parent must have no threads of its own when it forks.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from enstack.cli.commands import app
from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.errors import EnstackError
from enstack.pipeline import run_pipeline
from enstack.run_place import LOCAL_FOLDERS, WRITTEN_INTO
from tests.support.command_line import enstack_here
from tests.support.faults import FaultyDisk, faulty
from tests.support.micro import write_micro_data, write_micro_model
from tests.support.outside import Outside, link, tree_state

RUNS = 24
KINDS = ("folder", "file", "nowhere", "hard")
SLOTS = ("last_checkpoint", "previous_checkpoint", "previous_checkpoint_2", "best_model")
WRITTEN = (
    "config.json", "data.json", "subset.json", "events.jsonl", "history.jsonl", "manifest.json",
    "report.html", "report.json", "leaderboard.csv",
)  # fmt: skip
# With another's text or checkpoint in the place of one of these, a run is refused at once.
RECORDS = (*SLOTS, "config.json", "data.json", "subset.json", "history.jsonl")
BESIDE = (
    ".saving", ".saving_best", ".discarded", "damaged_checkpoint_1", "damaged_best_model_1",
    *(f".{name}.writing" for name in (*WRITTEN, "probabilities", "stacking", "report")),
)  # fmt: skip
LOOK_ALIKES = ("previous_checkpoint (1)", "previous_checkpoint_backup", "last_checkpoint.old")
Fault = Callable[[RunConfig, random.Random], None]


class World:
    """A run's two folders, and all beside them, which is watched."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.run, self.local = self.home / "run", self.home / "local"
        (self.home / "another_run").mkdir(parents=True)
        (self.home / "another_run" / "config.json").write_text("{}")
        (self.home / "notes.txt").write_text("a user's notes")
        data = write_micro_data(folder / "data")
        model = write_micro_model(folder / "micro", read_data(data, label_mode="cwe_or_clean"))
        self.outside = Outside(folder / "outside")
        self.config = RunConfig(
            data_dir=str(data),
            label_mode="cwe_or_clean",
            base_models=[model.location],
            epochs=2,
            batch_size=4,
            max_length=32,
            save_steps=3,
            precision="fp32",
            num_workers=0,
            keep_checkpoints=3,
            meta_classifiers=["lr"],
            run_dir=str(self.run),
            local_dir=str(self.local),
        )

    def watched(self) -> dict[str, Any]:
        """Everything but what lies in the two folders, and in them what merely looks like ours."""
        state = tree_state(self.folder)
        own = tuple(f"{path.relative_to(self.folder)}/" for path in (self.run, self.local))
        return {
            name: value
            for name, value in state.items()
            if not f"{name}/".startswith(own) or any(look in name for look in LOOK_ALIKES)
        }

    def put(self, kept: Path | None) -> None:
        """Begin from a kept state of both folders, or from nothing."""
        for path in (self.run, self.local):
            shutil.rmtree(path, ignore_errors=True)
            if kept is not None:
                shutil.copytree(kept / path.name, path)
        shutil.rmtree(self.outside.folder)
        self.outside = Outside(self.outside.folder)

    def keep(self, place: Path) -> Path:
        for path in (self.run, self.local):
            shutil.copytree(path, place / path.name)
        return place


def plant(world: World, chance: random.Random) -> int:
    """Put links everywhere, but in the place of folders that are written into; returns how many."""
    model = world.run / "base_models" / "micro"
    scratch = world.config.scratch_dir / "base_models" / "micro"
    for place in (model, scratch):
        place.mkdir(parents=True, exist_ok=True)
        for name in LOOK_ALIKES:
            (place / name).mkdir()
            (place / name / "model.safetensors").write_bytes(b"a user's copy")
    planted = 0
    for root in (world.run, world.local):
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and chance.random() < 0.3:
                link(chance.choice(("file", "hard")), path, world.outside)
                planted += 1
    folders = [world.run, model, scratch, *(path for path in world.local.iterdir())]
    for folder in folders:
        for name in (*BESIDE, *SLOTS, *WRITTEN):
            if folder in (model, scratch) or name not in SLOTS:
                planted += _plant_one(folder / name, world.outside, chance)
    return planted


def _plant_one(path: Path, outside: Outside, chance: random.Random) -> int:
    there = path.exists()
    # Of what is there most stays, or no run would come far.
    if path.is_symlink() or path.is_file() or chance.random() > (0.15 if there else 0.7):
        return 0
    kinds = ("folder",) if there else ("nowhere",) if path.name in RECORDS else KINDS
    link(chance.choice(kinds), path, outside)
    return 1


def plant_folder(world: World, chance: random.Random) -> None:
    """A link in the place of one folder that is written into: the run must be refused."""
    local = [world.local / name for name in LOCAL_FOLDERS if "*" not in name]
    run = [
        world.run / name.replace("*", "micro", 1) for name in WRITTEN_INTO if name.count("*") < 2
    ]
    link("folder", chance.choice([*local, *run]), world.outside)


def run_to_its_end(config: RunConfig, chance: random.Random) -> None:
    run_pipeline(config)


def train_on(config: RunConfig, chance: random.Random) -> None:
    run_pipeline(config.model_copy(update={"epochs": 3}))


def fail_to_save(config: RunConfig, chance: random.Random) -> None:
    """The disk is full for a while, in one of the places, at any operation."""
    place = chance.choice([config.run_dir, config.local_dir])
    first, times = chance.randrange(1, 400), chance.choice([1, 10, 10**9])
    with faulty(FaultyDisk(Path(place), first, times, errno.ENOSPC)):
        run_pipeline(config.model_copy(update={"epochs": 3}))


def meet_damage(config: RunConfig, chance: random.Random) -> None:
    """A file of a checkpoint is cut, by a new file in its place: links are none of its business."""
    slots = [Path(config.run_dir), Path(config.local_dir)]
    found = [path for root in slots for path in root.rglob("*_checkpoint/*") if path.is_file()]
    # Not by way of a link: this would be the change that is looked for.
    files = [path for path in found if not path.parent.is_symlink()]
    for path in chance.sample(sorted(files), min(2, len(files))):
        path.unlink()
        path.write_bytes(b"cut")
    train_on(config, chance)


def be_refused(config: RunConfig, chance: random.Random) -> None:
    changes: list[dict[str, Any]] = [{"seed": 7}, {"resume": False}, {"learning_rate": 0.5}]
    run_pipeline(config.model_copy(update=chance.choice(changes)))


def be_killed(config: RunConfig, chance: random.Random) -> None:
    """The parent does it, at any instant."""
    train_on(config, chance)


def clean(config: RunConfig, chance: random.Random) -> None:
    """The command that clears local_dir, where there is one."""
    names = [command.name or command.callback.__name__ for command in app.registered_commands]  # type: ignore[union-attr]
    if "clean" in names:
        enstack_here("clean", config.local_dir, "--yes")
    run_pipeline(config)


FAULTS: tuple[Fault, ...] = (
    be_killed, fail_to_save, train_on, meet_damage, be_refused, be_killed, run_to_its_end, clean,
)  # fmt: skip


def attempt(world: World, fault: Fault, chance: random.Random, log: Path) -> str:
    """Run in a process of its own; returns how it ended."""
    child = os.fork()
    if not child:
        _child(world, fault, chance, log)
    if fault is be_killed:
        time.sleep(chance.uniform(0.2, 3.0))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit {os.WEXITSTATUS(status)}"


def _child(world: World, fault: Fault, chance: random.Random, log: Path) -> None:
    status = 1
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            fault(world.config, chance)
            status = 0
        except EnstackError as error:
            print(error)
            status = error.exit_status
        except OSError as error:  # the command line tells it in a line
            print(error)
            status = 4
        except BaseException:
            traceback.print_exc()
    os._exit(status)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.outside", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "runs", nargs="?", type=int, default=RUNS, metavar="RUNS", help=f"{RUNS} if left out"
    )
    parser.add_argument(
        "seed",
        nargs="?",
        type=int,
        metavar="SEED",
        help="drawn, and printed, if left out",
        default=random.SystemRandom().randrange(2**32),
    )
    asked = parser.parse_args()
    return sweep(asked.runs, asked.seed)


def sweep(runs: int, seed: int) -> int:
    torch.set_num_threads(1)
    chance, findings = random.Random(seed), 0
    print(f"seed {seed}; watched: hashes, times, modes and names of all beside the two folders")
    print(f"{'run':>3}  {'began as':9}{'fault':15}{'links':>6}  {'ended':10}changed outside")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        world = World(folder / "world")
        began = _beginnings(world, folder)
        for number in range(runs):
            fault = FAULTS[number % len(FAULTS)]
            start = sorted(began)[(number + number // len(FAULTS)) % len(began)]
            world.put(began[start])
            world.local.mkdir(parents=True, exist_ok=True)
            planted = plant(world, chance)
            if number % 6 == 5:
                plant_folder(world, chance)
            before = world.watched()
            ended = attempt(world, fault, chance, folder / "log")
            changed = differences(before, world.watched())
            torn = ended == "exit 1"
            refused = ended[-1] in "234" and ended.startswith("exit")
            said = (folder / "log").read_text().strip().rsplit("\n", 1)[-1] if refused else ""
            findings += bool(changed) + torn
            print(
                f"{number + 1:3}  {start:9}{fault.__name__:15}{planted:6}  {ended:10}"
                f"{', '.join(changed[:3]) or 'nothing':17}{said[:60]}",
                flush=True,
            )
            if torn:
                print((folder / "log").read_text()[-3000:])
    print(f"{runs} runs, {findings} findings")
    return int(findings > 0)


def _beginnings(world: World, folder: Path) -> dict[str, Path | None]:
    """Nothing, a run that was killed half-way, and a finished one."""
    chance = random.Random(0)
    world.put(None)
    for name, fault in (("stopped", _stop_half_way), ("finished", run_to_its_end)):
        ended = attempt(world, fault, chance, folder / "log")
        if ended not in ("signal 9", "exit 0"):
            raise AssertionError(f"{name}: {ended}: {(folder / 'log').read_text()[-2000:]}")
        world.keep(folder / name)
    return {"nothing": None, "stopped": folder / "stopped", "finished": folder / "finished"}


def _stop_half_way(config: RunConfig, chance: random.Random) -> None:
    from enstack.training import trainer

    train_batch, trained = trainer.train_batch, [0]

    def counted(*args: Any) -> Any:
        trained[0] += 1
        if trained[0] == 16:
            os.kill(os.getpid(), signal.SIGKILL)
        return train_batch(*args)

    trainer.train_batch = counted
    run_pipeline(config)


if __name__ == "__main__":
    sys.exit(main())
