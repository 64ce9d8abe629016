"""Which kernels a GPU is asked for; the choice is torch's global state, which a CPU has too."""

from __future__ import annotations

import pytest
import torch

from enstack.models.hardware import Hardware

GPU = Hardware(torch.device("cuda"), "bf16", 0)
SAME_BITS = Hardware(torch.device("cuda"), "bf16", 0, deterministic=True)
CPU = Hardware(torch.device("cpu"), "bf16", 0, deterministic=True)


def chosen() -> dict[str, bool]:
    return {
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled(),
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
    }


@pytest.mark.parametrize("hardware", [GPU, SAME_BITS])
def test_a_gpu_takes_attention_that_makes_no_plan_for_each_width(hardware: Hardware) -> None:
    with hardware.kernels():
        now = chosen()
    assert (now["cudnn"], now["flash"], now["efficient"]) == (False, True, True)


def test_only_where_it_is_asked_for_all_kernels_add_in_one_order() -> None:
    with GPU.kernels():
        assert not chosen()["deterministic"]
    with SAME_BITS.kernels():
        assert chosen()["deterministic"]
        # With it attention's backward pass would still add in any order.
        assert not chosen()["warn_only"]


@pytest.mark.parametrize("hardware", [GPU, SAME_BITS])
@pytest.mark.parametrize("own", [False, True])
def test_afterwards_all_is_as_the_user_had_it(hardware: Hardware, own: bool) -> None:
    torch.use_deterministic_algorithms(own, warn_only=own)
    try:
        before = chosen()
        with pytest.raises(ValueError, match="from inside"), hardware.kernels():
            raise ValueError("from inside")
        assert chosen() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_cpu_adds_in_one_order_as_it_is() -> None:
    before = chosen()
    with CPU.kernels():
        assert chosen() == before
