"""Processes as a launcher starts them: how many, whose GPU is whose, and one that is killed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from enstack.errors import ConfigError
from enstack.parallel.launch import launched_processes, open_group
from enstack.several_processes import in_processes
from tests.support.launched import launched

pytestmark = pytest.mark.long


def test_without_a_launcher_there_is_one_process_and_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Set by schedulers too, who start one process for all.
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched_processes() == 1
    with in_processes():
        assert not torch.distributed.is_initialized()
    launched(monkeypatch)
    assert launched_processes() == 2


def test_more_processes_than_gpus_are_refused_with_both_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launched(monkeypatch, LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ConfigError, match=r"2 were started, and this machine has 1.*VISIBLE_DEV"),
        open_group(),
    ):
        pass


@pytest.mark.slow
def test_a_killed_process_ends_the_other_which_names_it_and_one_alone_goes_on() -> None:
    sweep = [sys.executable, "-m", "tests.sweeps.parallel", "--only", "SIGKILL 1"]
    done = subprocess.run(sweep, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("✓") == 4
