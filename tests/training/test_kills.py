"""SIGKILL at 200 random instants; tests/killing.py does the killing and can be run by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = 200


def test_killed_at_200_random_instants_every_run_goes_on_and_ends_as_the_unbroken_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(KILLS)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["kills"] == KILLS
    assert facts["identical"] == facts["runs"] >= KILLS // 10, facts
    # The saves are slow, so that kills land in them; each kind was hit.
    assert facts["in_a_save"] >= KILLS // 4, facts
    assert {"training", "saving", "copying", "rotating"} <= facts["landed"].keys(), facts
