"""What a run computes with: the device, the precision, the processes that load data."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before transformers: skops searches the loaded modules, in the order of import, for scipy's
# functions, and Colab's transformers (5.15) imports every image model when it is searched.
import scipy.special  # noqa: F401
import torch

from enstack.errors import ConfigError
from enstack.models.kernels import kernels_of_gpu
from enstack.parallel.group import ALONE, Group, current_group

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
# A training is not all products: by less than this it would gain nothing.
BF16_PAYS = 1.2
TURNS = 50  # of a product in each, .4 s


@dataclass(frozen=True)
class Hardware:
    """What a run computes with, chosen once.

    precision: of a forward pass, "fp32", "fp16" or "bf16"; weights are float32 in any case.
    workers: processes that load data beside this one. group: of processes that compute together.
    deterministic: whether a GPU's kernels add in the same order every time; a CPU's always do.
    """

    device: torch.device
    precision: str
    workers: int
    group: Group = ALONE
    deterministic: bool = False

    @classmethod
    def choose(
        cls,
        precision: str = "auto",
        num_workers: int | str = "auto",
        *,
        deterministic: bool = False,
        before: str | None = None,
    ) -> Hardware:
        """The GPU if there is one, else the CPU, and what suits it where a setting is "auto".

        before: the precision in which the run has trained on a CPU so far.
        """
        device = choose_device()
        require_kernels()
        precision = choose_precision(precision, device, before)
        workers = worker_count(num_workers, device)
        return cls(device, precision, workers, current_group(), deterministic)

    def described(self) -> dict[str, str]:
        """Device and precision in words, as a checkpoint records them."""
        return {"device": device_name(self.device), "precision": self.precision}

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which a forward pass runs at this precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def kernels(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which forward and backward passes and optimizer steps run."""
        on_cpu = self.device.type == "cpu"
        return contextlib.nullcontext() if on_cpu else kernels_of_gpu(self.deterministic)


def choose_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def require_kernels() -> None:
    """Raise ConfigError for a GPU that this torch was not built for, as Kaggle's P100 is."""
    # AMD's builds name their kernels otherwise.
    if choose_device().type == "cpu" or torch.version.hip:
        return
    capability, built_for = torch.cuda.get_device_capability(), torch.cuda.get_arch_list()
    if not any(_serves(architecture, capability) for architecture in built_for):
        name = torch.cuda.get_device_name()
        raise ConfigError(
            f"torch {torch.__version__} has kernels for {', '.join(built_for) or 'no GPU'}, and "
            f"this machine's {name} needs sm_{capability[0]}{capability[1]}. Choose another GPU "
            "(on Kaggle T4 x2), or set CUDA_VISIBLE_DEVICES= (empty) to use the CPU."
        )


def _serves(architecture: str, capability: tuple[int, int]) -> bool:
    """Whether kernels of an architecture, such as sm_75 or compute_90, run on such a GPU.

    Binary code (sm) serves its own major version from its minor on, PTX (compute) all that is newer
    (CUDA C++ Programming Guide, "Binary compatibility", "PTX compatibility").
    """
    kind, _, version = architecture.partition("_")
    digits = "".join(itertools.takewhile(str.isdigit, version))  # sm_90a has kernels of 9.0 alone
    built = (int(digits[:-1]), int(digits[-1]))
    if kind == "compute":
        return built <= capability
    return built[0] == capability[0] and built[1] <= capability[1]


def device_name(device: torch.device) -> str:
    """The GPU's name, or "CPU", as a report names what a model was trained on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def choose_precision(precision: str, device: torch.device, before: str | None = None) -> str:
    """fp32, fp16 or bf16; "auto" takes bf16 where the hardware has it, else fp16 on a GPU.

    before: on a CPU, "auto" stays what it was, for as long as the processor has that.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        # A T4 emulates bf16, slower than fp16: emulation does not count.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if native else "fp16"
    # A timing may come out otherwise the next time; a run that goes on shall not.
    if before == "fp32" or (before == "bf16" and _has_bf16()):
        return before
    return "bf16" if bf16_pays_on_cpu() else "fp32"


def worker_count(num_workers: int | str, device: torch.device) -> int:
    """Loader processes; "auto": none on a CPU, whose cores the model needs, else at most two."""
    if isinstance(num_workers, int):
        return num_workers
    return 0 if device.type == "cpu" else min(2, (os.cpu_count() or 1) // 2)


@functools.cache
def bf16_pays_on_cpu() -> bool:
    """Whether this processor multiplies faster in bf16 than in float32: timed, once a process.

    Where it lacks the instructions nothing is timed: bf16 runs there too, at .01 to .17 of
    float32's speed (measured).
    """
    if not _has_bf16():
        return False
    # In turns: what else runs on the machine, and comes and goes, meets both.
    in_float, in_bf16 = [], []
    for _ in range(TURNS):
        in_float.append(_seconds_of_product(torch.float32))
        in_bf16.append(_seconds_of_product(torch.bfloat16))
    return min(in_float) > BF16_PAYS * min(in_bf16)


def _has_bf16() -> bool:
    """Whether this processor has instructions for bf16: Intel's and AMD's, or ARM's."""
    return re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", _processor()) is not None


def _processor() -> str:
    """What the system tells of the processor; nothing where it tells nothing."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _seconds_of_product(dtype: torch.dtype) -> float:
    """The time of a matrix product: the best of two, for the first finds nothing in the caches."""
    left, right = (torch.ones(512, 512, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(2):
        before = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - before)
    return min(times)
