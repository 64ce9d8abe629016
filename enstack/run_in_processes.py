"""A run in processes that this one has torchrun start: shown and stopped here, its fault raised."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from enstack import errors
from enstack.config import RunConfig
from enstack.console import put
from enstack.counting import counted
from enstack.errors import ConfigError, EnstackError, Interrupted, LostProcess
from enstack.inputs import require_data
from enstack.launched_run import ASKED, FEED
from enstack.parallel.launch import is_launched, launched_processes
from enstack.pipeline import RunResults
from enstack.progress.feed import FeedFollower
from enstack.progress.kernel import hear_widgets
from enstack.progress.say import say
from enstack.progress.stopping import KEPT, end_scripts_when_interrupted, stop_requests
from enstack.reporting.leaderboard import read_leaderboard_frame
from enstack.reporting.verdict import read_verdict
from enstack.run_folder import RunFolder
from enstack.run_place import own_run_folder
from enstack.same_run import refuse_foreign_files, refuse_unwanted_resume
from enstack.storage.json_text import json_text

__all__ = ["run_in_processes", "wants_processes"]

LOOK = 0.2  # seconds between two looks at what the processes tell
LOG = "log.txt"  # what torchrun, and whatever else is not the run itself, has printed
LAST_OF_LOG = 2000  # characters
SITES = ("site-packages", "dist-packages")  # where Python looks for packages by itself
# After a process was lost torchrun gives the others so long to save; 30 s is too short for Drive.
TIME_TO_SAVE = "300"


def wants_processes(config: RunConfig) -> bool:
    """Whether a run must start processes; under a launcher that has been done, whatever is set."""
    if is_launched() and config.processes not in (1, launched_processes()):
        say(
            f"   · processes={config.processes} starts nothing here: torchrun has started "
            f"{counted(launched_processes(), 'process', 'processes')}"
        )
    return config.processes > 1 and not is_launched()


def run_in_processes(config: RunConfig, *, announce: bool) -> RunResults:
    """Have torchrun do the run, show what it shows, and return what it has stored.

    Raises what the run raises, and LostProcess where its processes ended without a word. Whatever
    becomes of this process, they save and stop.
    """
    end_scripts_when_interrupted()
    _require_gpus(config.processes)
    _require_places(config)
    _free_gpu_memory()
    processes = counted(config.processes, "process", "processes")
    say(f"▶ Starting {processes} by torchrun, which takes some seconds")
    with tempfile.TemporaryDirectory(prefix="enstack-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # Only what was set: a default may follow from what the run folder holds.
        asked = {
            "settings": config.model_dump(mode="json", exclude_unset=True),
            "announce": announce,
        }
        (folder / ASKED).write_text(json_text(asked), encoding="utf-8")
        _follow(_command(config.processes, folder), folder, config.processes)
    run = RunFolder(Path(config.run_dir))
    board = read_leaderboard_frame(run.stacking.leaderboard)
    return RunResults(run.path, run.report_page, board, read_verdict(run.stacking.verdict))


def _command(processes: int, folder: Path) -> list[str]:
    # Not a fork: CUDA may have been used here, and does not survive one.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    # Its own folder of logs, which it would leave behind, goes with ours.
    logs = ["--log-dir", str(folder / "torchrun")]
    return [sys.executable, *launcher, *logs, "-m", "enstack.launched_run", str(folder)]


def _follow(command: list[str], folder: Path, processes: int) -> None:
    """Start the command, and show what it tells until it has ended."""
    follower = FeedFollower(folder / FEED)
    with stop_requests() as stop, (folder / LOG).open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(processes),
            # Notebooks interrupt a whole group, terminals too: a stop comes by its input alone.
            start_new_session=True,
        )
        assert child.stdin is not None
        try:
            while child.poll() is None:
                if stop.requested:
                    child.stdin.close()
                follower.look()
                hear_widgets()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(LOOK)
            follower.look()
        except BaseException:  # a third Ctrl-C: it is waited for no longer
            child.terminate()
            raise
        finally:
            # Where torchrun was killed, its processes go on until they see this.
            child.stdin.close()
            follower.end()
        if follower.fault is not None:
            raise _error_of(follower.fault, processes)
        if child.returncode:
            if stop.requested:
                raise Interrupted(KEPT)
            raise _without_a_word(child.returncode, folder / LOG, processes)


def _error_of(fault: dict[str, str], processes: int) -> EnstackError:
    """The error that the first process has told."""
    known = getattr(errors, fault["kind"], None)
    if isinstance(known, type) and issubclass(known, EnstackError):
        return known(fault["message"])
    put(fault["trace"].rstrip("\n"), sys.stderr)
    return EnstackError(
        f"A run must end with its report; this one, in {processes} processes, ended with "
        f"{fault['kind']}: {fault['message'].rstrip('.')}. What was saved before is kept: run the "
        "same again to go on; if it ends so again, report it with the lines above."
    )


def _without_a_word(status: int, log: Path, processes: int) -> LostProcess:
    """What can be said of processes that were killed, or could not even begin."""
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    told = [line for line in text.splitlines() if line.startswith("enstack: ")]
    how = f"were ended by signal {-status}" if status < 0 else f"ended with status {status}"
    ended = f"A run must end with its report; torchrun and its {processes} processes {how}"
    if told:  # by a process that outlived the first one
        return LostProcess(re.sub(r"^enstack: (process \d+: )?", "", told[-1]))
    return LostProcess(f"{ended}: {text[-LAST_OF_LOG:]}\n{KEPT}" if text else f"{ended}. {KEPT}")


def _environment(processes: int) -> dict[str, str]:
    """The environment of this process, in which the same package is found, and cores are shared."""
    environment = dict(os.environ)
    cores = len(os.sched_getaffinity(0))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    environment.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", TIME_TO_SAVE)
    if sys.dont_write_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    # A notebook has put its checkout on sys.path, which nobody inherits.
    place = Path(__file__).resolve().parents[1]
    if place.name not in SITES:
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{place}{os.pathsep}{before}" if before else str(place)
    return environment


def _require_places(config: RunConfig) -> None:
    """Refuse what can be told before torchrun starts, which takes some seconds."""
    with own_run_folder(config) as run:
        refuse_foreign_files(run)
        refuse_unwanted_resume(config, run)
        require_data(config)


def _require_gpus(processes: int) -> None:
    import torch

    gpus = torch.cuda.device_count()
    if gpus and processes > gpus:
        raise ConfigError(
            f"processes must be at most {gpus}, for each takes a GPU of its own and this machine "
            f"has {counted(gpus, 'GPU')}; found {processes}. Use processes={gpus}."
        )


def _free_gpu_memory() -> None:
    """Give back what an estimate has left in this process: it takes room from the first one."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()
