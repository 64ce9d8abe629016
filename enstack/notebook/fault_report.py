"""What a report of a fault needs: versions, commit, hardware, disks, the last events."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from enstack import __version__
from enstack.notebook.cells import GIB, gpu_line, require_run_dir
from enstack.notebook.checkout import CHECKOUT, code_commit
from enstack.progress.say import say
from enstack.storage.json_text import parsed_json

REPORTED_PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "scikit-learn"),
    *("xgboost", "skops", "h5py", "pyarrow", "pydantic", "ipywidgets", "ipykernel", "ipython"),
)
LAST_EVENTS = 12


def show_troubleshooting(work: Path, names: Mapping[str, Any]) -> None:
    """Print what a report of a fault needs: versions, commit, hardware, disks, the last events.

    names: the notebook's globals(); without a configuration among them the rest is printed.
    """
    show_machine(work, Path.home())  # local_dir lies at home unless another is set
    if names.get("config") is None:
        say("No configuration: cell 5 was not run, or refused its form.")
        return
    show_events(require_run_dir(names["config"]))


def show_machine(*places: Path) -> None:
    """Print versions, commit, hardware, and the room on the disks of some places."""
    import torch

    from enstack.models.hardware import choose_device

    device = choose_device()
    versions = [f"{name} {_version(name)}" for name in REPORTED_PACKAGES]
    say(f"enstack {__version__}, {code_commit(CHECKOUT)}, from {CHECKOUT}")
    say(f"Python {platform.python_version()}, {platform.platform()}")
    say(", ".join(versions))
    say(gpu_line(device) if device.type == "cuda" else "No GPU")
    say(f"CUDA of torch: {torch.version.cuda}; CPU cores: {os.cpu_count()}")
    for place in places:
        say(f"{_free(place)} free at {place}")


def show_events(run_dir: Path) -> None:
    """Print the last events of a run folder."""
    say(f"Last events of {run_dir}:")
    for line in _last_events(run_dir):
        say(f"   {line}")


def _version(package: str) -> str:
    """What is loaded, else what is installed."""
    # torch itself says 2.11.0+cu130 where its metadata says 2.11.0: faults go by the build.
    if loaded := getattr(sys.modules.get(package), "__version__", None):
        return str(loaded)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _free(place: Path) -> str:
    try:
        # A folder that is not made yet will lie on its nearest parent's disk. Path.exists raises
        # on a broken mount before Python 3.12.
        existing = next(path for path in (place, *place.parents) if os.path.exists(path))  # noqa: PTH110
        return f"{shutil.disk_usage(existing).free / GIB:.1f} GiB"
    # Drive may be the very thing that is broken: the rest is still to be told.
    except OSError as error:
        return f"not known ({error.strerror})"


def _last_events(run_dir: Path) -> list[str]:
    from enstack.run_folder import RunFolder

    try:
        events = RunFolder(run_dir).events_file
        # A kill may have torn a letter.
        lines = events.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return [f"none ({error.strerror})"]
    return [_as_text(line) for line in lines[-LAST_EVENTS:]]


def _as_text(line: str) -> str:
    """An event as time, kind, details; a line that is none, as it is."""
    try:
        details = dict(parsed_json(line))
        time_and_kind = f"{details.pop('time')}  {details.pop('event')}"
    # A kill may have cut the last line short.
    except (ValueError, KeyError, TypeError):
        return line
    shown = (f"{k}={round(v, 4) if isinstance(v, float) else v}" for k, v in details.items())
    return f"{time_and_kind}  {', '.join(shown)}".rstrip()
