"""Runs that start at the same instant on one empty scratch disk share what it keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_start_at_once_on_an_empty_local_dir_all_end_with_the_same_results(
    processes: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.support.together", str(processes), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["status"] == [0] * processes, done.stderr
    assert len(told["results"]) == processes
    assert len(set(told["results"])) == 1
    assert told["left"] == []
