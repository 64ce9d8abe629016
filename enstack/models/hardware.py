"""What a run computes with: the device, the precision, the processes that load data."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before transformers: skops searches the loaded modules, in the order of import, for scipy's
# functions, and Colab's transformers (5.15) imports every image model when it is searched.
import scipy.special  # noqa: F401
import torch

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Hardware:
    """What a run computes with, chosen once.

    precision: of a forward pass, "fp32", "fp16" or "bf16"; weights are float32 in any case.
    workers: processes that load data beside this one.
    """

    device: torch.device
    precision: str
    workers: int

    @classmethod
    def choose(cls, precision: str = "auto", num_workers: int | str = "auto") -> Hardware:
        """The GPU if there is one, else the CPU, and what suits it where a setting is "auto"."""
        device = choose_device()
        return cls(device, choose_precision(precision, device), worker_count(num_workers, device))

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which a forward pass runs at this precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])


def choose_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """The GPU's name, or "CPU", as a report names what a model was trained on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def choose_precision(precision: str, device: torch.device) -> str:
    """fp32, fp16 or bf16; "auto" takes bf16 where the hardware has it, else fp16 on a GPU."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        # A T4 emulates bf16, slower than fp16: emulation does not count.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if native else "fp16"
    return "bf16" if _cpu_has_bf16() else "fp32"


def worker_count(num_workers: int | str, device: torch.device) -> int:
    """Loader processes; "auto": none on a CPU, whose cores the model needs, else at most two."""
    if isinstance(num_workers, int):
        return num_workers
    return 0 if device.type == "cpu" else min(2, (os.cpu_count() or 1) // 2)


def _cpu_has_bf16() -> bool:
    try:
        # Without these instructions bf16 runs too, at .01 to .17 of float32's speed (measured).
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
