"""SIGKILL at random instants; tests/support/killing.py does it and can be run by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("kills", [40, pytest.param(200, marks=pytest.mark.slow)])
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
    # The saves are slow, so that kills land in them. Each kind is hit among 200; among 40 the
    # shortest one, a rotation, may be missed by chance.
    kinds = {"training", "saving", "copying"} | ({"rotating"} if kills >= 200 else set())
    assert facts["in_a_save"] >= kills // 4, facts
    assert kinds <= facts["landed"].keys(), facts
