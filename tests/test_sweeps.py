"""The sweeps are no part of the suite; that each can be asked how it is called is."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

SWEEPS = sorted(path.stem for path in (Path(__file__).parent / "sweeps").glob("[!_]*.py"))


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize(("word", "status"), [("--help", 0), ("--nonsense", 2)])
def test_a_sweep_says_how_it_is_called(
    name: str,
    word: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["the file's own path", word])
    monkeypatch.setattr(os, "environ", os.environ.copy())  # they set some of it as they begin
    # In this process: to start Python and torch for each would take ten seconds.
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"tests.sweeps.{name}", run_name="__main__")
    assert ended.value.code == status
    told = capsys.readouterr()
    assert f"usage: python -m tests.sweeps.{name}" in told.out + told.err
