"""Flawfinder, one of the analysers that labelled VDISC: a program of its own, asked about texts."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib
import numpy as np

from enstack.counting import counted
from enstack.data.cwes import class_of_vdisc
from enstack.data.functions import Functions
from enstack.data.labels import CWE_CLASSES
from enstack.metrics.label_task import LabelTask
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.storage.folders import passing_folder
from enstack.storage.manifest import read_manifest

__all__ = [
    "NO_FLAWFINDER",
    "class_probabilities",
    "flawfinder_version",
    "recorded_flawfinder",
    "risk_levels",
]

NO_FLAWFINDER = (
    "   · Flawfinder, a source of VDISC's labels, is not installed here: its row is left out. To "
    "have it, `pip install flawfinder` and run the same again."
)

HIGHEST = 5  # risk levels go from 1, low, to this; 0 stands for no finding
LONGEST = 1 << 16  # characters of a function that are looked at
FUNCTIONS_AT_ONCE = 1000
# What one call may take: a function in a million, made for it, would fill any memory.
KIBIBYTES = 1 << 20
SECONDS, SECONDS_EACH = 10.0, 0.05  # of computing: on a busy machine they last longer
HANGS_AFTER = 600.0  # seconds by the clock
# The last: a comment may not tell it to look away.
OPTIONS = ("--dataonly", "--quiet", "--singleline", "--neverignore")
# A line of its answer: `./17.c:4:  [4] (buffer) strcpy:Does not check ... (CWE-120).`
FINDING = re.compile(r"\./(\d+)\.c:\d+:\s+\[([1-5])\] (.*)")
CWE = re.compile(r"CWE-\d+")
FLAWED = "void copy(char *to, const char *from) { strcpy(to, from); }"


def recorded_flawfinder(stacking: Path) -> str | None:
    """The version that a finished stacking was made with."""
    made_from = (read_manifest(stacking) or {}).get("made_from", {})
    version: str | None = made_from.get("flawfinder")
    return version


def flawfinder_version(scratch: Path) -> str | None:
    """The version of the Flawfinder that is installed; None where there is none that works."""
    program = _program()
    # With the heading, which names the version; one that finds nothing here would find nothing.
    answer = program and _answer(program, [FLAWED], scratch, ("--singleline",))
    version = re.search(r"version (\S+?),?\s", answer or "")
    return version[1] if version and _levels_told(answer or "", 1).any() else None


def class_probabilities(levels: np.ndarray, task: LabelTask, plainest: np.ndarray) -> np.ndarray:
    """Probabilities (n, k) float32 of risk levels (n, 5) 0 to 5, of each of CWE_CLASSES.

    A flag has the probability level / 5. Of classes each weighs as much as its level, "vulnerable"
    as the highest of them, "clean" as what that lacks to 5, and the weights are made to sum to 1:
    so a function is called vulnerable from level 3 on. No label is learned from, but for plainest
    (n, k): what is said of a function that no class weighs anything for.
    """
    highest = levels.max(axis=1)
    weights = np.column_stack([_weight(name, levels, highest) for name in task.class_names])
    if task.has_thresholds:
        return np.asarray(weights / HIGHEST, dtype=np.float32)
    total = weights.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, weights / np.maximum(total, 1), plainest)
    return np.asarray(shares, dtype=np.float32)


def _weight(name: str, levels: np.ndarray, highest: np.ndarray) -> np.ndarray:
    if name.startswith("CWE-"):
        # Of weaknesses beyond the five, the findings of the class that they are a kind of.
        return np.asarray(levels[:, CWE_CLASSES.index(class_of_vdisc(name))])
    return np.asarray(HIGHEST - highest if name == "clean" else highest)


def risk_levels(asked: Sequence[Functions], scratch: Path) -> np.ndarray:
    """The highest risk level, 0 to 5, of what is found of each of CWE_CLASSES: (n, 5) int64.

    A finding counts for every CWE that its rule names, CWE-other standing for all that are no class
    here. asked: n functions in all; scratch: a folder for a thousand of them for each processor.
    What Flawfinder can't read counts as without a finding, and is said.
    """
    program = _program()
    if program is None:
        raise FileNotFoundError("Flawfinder must be installed, its command was not found.")
    # Threads, each of which waits for a process; few batches are made ahead.
    parallel = joblib.Parallel(
        n_jobs=joblib.cpu_count(), backend="threading", return_as="generator", pre_dispatch="n_jobs"
    )
    jobs = (joblib.delayed(_levels)(program, texts, scratch) for texts in _batches(asked))
    found: list[np.ndarray] = []
    with Bar(sum(map(len, asked)), "Asking Flawfinder") as bar:
        for levels in parallel(jobs):
            found.append(levels)
            bar.advance(len(levels))
    every = np.concatenate(found)
    unread = np.flatnonzero((every < 0).any(axis=1))
    if len(unread):
        say(
            f"   · Flawfinder could not read {counted(len(unread), 'function')}: counted as "
            "without a finding"
        )
    return every.clip(min=0)


def _batches(asked: Sequence[Functions]) -> Iterator[list[str]]:
    for functions in asked:
        for sources in functions.batches(FUNCTIONS_AT_ONCE):
            yield [text[:LONGEST] for text in sources.to_pylist()]


def _levels(program: str, texts: list[str], scratch: Path) -> np.ndarray:
    """The levels (n, 5) of some texts; -1 for one that Flawfinder does not come through."""
    answer = _answer(program, texts, scratch)
    if answer is not None:
        return _levels_told(answer, len(texts))
    if len(texts) == 1:
        return np.full((1, len(CWE_CLASSES)), -1)
    # Its answer comes when all is read: the one that stopped it is looked for by halves.
    half = len(texts) // 2
    parts = [_levels(program, part, scratch) for part in (texts[:half], texts[half:])]
    return np.concatenate(parts)


def _answer(
    program: str, texts: Sequence[str], scratch: Path, options: Sequence[str] = OPTIONS
) -> str | None:
    """What Flawfinder says of some texts, each in a file of its own; None where it failed."""
    with passing_folder(scratch / "functions") as folder:
        for place, text in enumerate(texts):
            # Half a character of two is none that UTF-8 could write.
            (folder / f"{place}.c").write_bytes(text.encode("utf-8", errors="replace"))
        seconds = SECONDS + SECONDS_EACH * len(texts)
        return _called([program, *options, os.curdir], folder, seconds)


def _levels_told(answer: str, n_functions: int) -> np.ndarray:
    levels = np.zeros((n_functions, len(CWE_CLASSES)), dtype=np.int64)
    for place, level, rule in FINDING.findall(answer):
        for weakness in CWE.findall(rule) or [""]:
            # -1, the last: CWE-other.
            column = CWE_CLASSES.index(weakness) if weakness in CWE_CLASSES else -1
            levels[int(place), column] = max(levels[int(place), column], int(level))
    return levels


def _program() -> str | None:
    """Flawfinder's command: beside this Python's own, or wherever commands are looked for."""
    places = [sysconfig.get_path("scripts"), *os.get_exec_path()]
    found = shutil.which("flawfinder", path=os.pathsep.join(places))
    return str(Path(found).absolute()) if found else None


def _called(command: Sequence[str], folder: Path, seconds: float) -> str | None:
    """The standard output of a command that did well, in bounded time and memory, or None.

    seconds: of computing. By the clock, the figures of a run would depend on what else runs.
    """
    limits = f"ulimit -v {KIBIBYTES}; ulimit -t {math.ceil(seconds)}"
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", f'{limits}; exec "$0" "$@"', *command],
            cwd=folder,
            # Its texts are UTF-8 whatever the machine's language is.
            env={**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:replace"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HANGS_AFTER,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
