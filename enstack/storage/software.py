"""What software a process runs, and on what machine, told without importing any of it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from enstack.counting import counted

__all__ = ["machine", "software"]

# Those that decide what numbers come out.
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pandas", "scikit-learn", "xgboost")
CODE = Path(__file__).resolve().parents[2]
GIT_SECONDS = 5


def software(version: str) -> dict[str, Any]:
    """Version of this program, its commit where it is a checkout, Python, packages."""
    return {
        "enstack": version,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def machine() -> str:
    """The processor and its cores, as a line; a GPU is told where a model is trained on it."""
    return f"{_processor()}, {counted(os.cpu_count() or 1, 'core')}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the checkout that the code lies in; None where it was installed without one."""
    if not (CODE / ".git").exists():  # a folder above may be another's checkout
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(CODE), "describe", "--always", "--dirty=, edited", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
