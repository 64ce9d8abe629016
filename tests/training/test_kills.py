"""SIGKILL at random instants; tests/support/killing.py does it and can be run by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_at_random_instants_every_run_goes_on_and_ends_as_the_unbroken_one(
    kills: int,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(kills)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["kills"] == kills
    assert facts["identical"] == facts["runs"] >= kills // 10, facts
    # The saves are slow, so that kills land in them.
    assert facts["in_a_save"] >= kills // 4, facts
    # Each kind is hit among 200; among fewer, one may be missed by chance.
    if kills >= 200:
        assert {"training", "saving", "copying", "rotating"} <= facts["landed"].keys(), facts
