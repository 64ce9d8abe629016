"""The device and the precision that a run uses."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

# Before transformers: skops searches the loaded modules, in the order of import, for scipy's
# functions, and Colab's transformers (5.15) imports every image model when it is searched.
import scipy.special  # noqa: F401
import torch

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(precision: str, device: torch.device) -> str:
    """fp32, fp16 or bf16; "auto" takes bf16 where the hardware has it, else fp16 on a GPU."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        # A T4 emulates bf16, slower than fp16: emulation does not count.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if native else "fp16"
    return "bf16" if _cpu_has_bf16() else "fp32"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which a forward pass runs at a precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
