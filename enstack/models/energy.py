"""What a GPU has used up, where its maker's library tells."""

from __future__ import annotations

import torch

__all__ = ["used_joules"]


def used_joules() -> float | None:
    """Joules that this process's GPU has used since its driver was loaded, by whomever.

    None where there is no GPU, where nvidia-ml-py is not installed, and of GPUs that do not count
    them (older than Volta, and parts of one).
    """
    if not torch.cuda.is_available():
        return None
    try:
        import pynvml
    except ModuleNotFoundError:
        return None
    try:
        pynvml.nvmlInit()
        # By its own number: the library counts GPUs that CUDA_VISIBLE_DEVICES hides from torch.
        own = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{own}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except pynvml.NVMLError:
        return None
