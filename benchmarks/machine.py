"""What the figures depend on: cores, threads and versions of the machine they are taken on."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import torch


def facts() -> dict[str, Any]:
    """Plain facts about this machine."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def line(machine: dict[str, Any]) -> str:
    """The facts in one line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items() if value is not None)
