"""The sweeps are no part of the suite; that each can be asked how it is called is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SWEEPS = sorted(path.stem for path in (Path(__file__).parent / "sweeps").glob("[!_]*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize(("word", "status"), [("--help", 0), ("--nonsense", 2)])
def test_a_sweep_says_how_it_is_called(name: str, word: str, status: int) -> None:
    command = [sys.executable, "-m", f"tests.sweeps.{name}", word]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert asked.returncode == status, asked.stderr
    assert f"usage: python -m tests.sweeps.{name}" in asked.stdout + asked.stderr
    assert "Traceback" not in asked.stderr
