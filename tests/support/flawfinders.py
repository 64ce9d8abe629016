"""Programs in the place of Flawfinder, which answer in its form and fail as one may; its rows."""

from __future__ import annotations

import sys
from pathlib import Path

from enstack.stacking import flawfinder

# Of a leaderboard made here: the requirements bring the program, and a run does without it.
FLAWFINDER_ROWS = {"baseline:flawfinder"} if flawfinder._program() else set()

# What it prints for a finding, and for each text that it stumbles over.
PROGRAM = """#!{python}
import pathlib, sys
if "--quiet" not in sys.argv:
    print("Flawfinder version 9.8.7, (C) somebody.")
for path in sorted(pathlib.Path(".").iterdir()):
    text = path.read_text(encoding="utf-8")
    if "CRASH" in text:
        sys.exit("Traceback ...")
    while "HANG" in text:
        pass
    if "GREEDY" in text:
        bytearray(1 << 32)
    if "strcpy" in text:
        print(f"./{{path.name}}:1:  [4] (buffer) strcpy:Does not check (CWE-120).  Use another.")
"""


def write_flawfinder(folder: Path, program: str = PROGRAM) -> str:
    """A command of that name in a folder, as the path that it is called by."""
    command = folder / "flawfinder"
    command.write_text(program.format(python=sys.executable))
    command.chmod(0o755)
    return str(command)
