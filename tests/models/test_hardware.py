"""What a run computes with, and a GPU that the installed torch has no kernels for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from enstack import api
from enstack.config import RunConfig
from enstack.errors import ConfigError
from enstack.models import hardware
from enstack.models.hardware import Hardware, require_kernels
from enstack.pipeline import run_pipeline

T4, P100, L4, H100, B200 = (7, 5), (6, 0), (8, 9), (9, 0), (10, 0)
KAGGLE = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Tesla P100 beside the torch of Kaggle's image."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: P100)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: KAGGLE)


@pytest.mark.parametrize(
    ("capability", "built_for", "served"),
    [
        (T4, KAGGLE, True),
        (P100, KAGGLE, False),
        (P100, ["sm_60"], True),
        (P100, ["sm_61"], False),  # of a later minor version
        (L4, ["sm_80"], True),
        (H100, ["sm_90a"], True),
        (B200, KAGGLE, False),
        (B200, [*KAGGLE, "compute_90"], True),  # translated by the driver
        (T4, ["compute_80"], False),
        (B200, ["sm_100"], True),
        (T4, [], False),
    ],
)
def test_a_gpu_is_served_by_kernels_of_its_major_version_and_by_older_ptx(
    gpu: None,
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    built_for: list[str],
    served: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)
    if served:
        require_kernels()
    else:
        with pytest.raises(ConfigError, match=f"needs sm_{capability[0]}{capability[1]}"):
            require_kernels()


def test_a_gpu_without_kernels_is_refused_before_any_data_is_read(
    gpu: None, tmp_path: Path
) -> None:
    config = RunConfig(
        data_dir=tmp_path / "absent", run_dir=tmp_path / "run", local_dir=tmp_path / "local"
    )
    told = r"kernels for sm_70, .*Tesla P100.* needs sm_60\. Choose another GPU"
    with pytest.raises(ConfigError, match=told):
        run_pipeline(config)
    with pytest.raises(ConfigError, match=told):
        Hardware.choose()
    assert not (tmp_path / "run").exists()


def test_the_doctor_tells_of_the_machine_though_its_gpu_is_refused(
    gpu: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("enstack.notebook.fault_report.gpu_line", lambda _: "GPU: Tesla P100")
    with pytest.raises(ConfigError, match="needs sm_60"):
        api.doctor()
    assert re.search(r"GPU: Tesla P100\nCUDA of torch", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("flags", "faster", "precision"),
    [
        ("fpu avx2 avx512f", 3.0, "fp32"),  # it is not even timed
        ("avx512f avx512_bf16", 2.0, "bf16"),
        ("amx_bf16 amx_tile", 1.1, "fp32"),  # a training would gain nothing
        ("amx_bf16 amx_tile", 0.1, "fp32"),
        ("asimd i8mm bf16", 1.9, "bf16"),
        ("", 3.0, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_where_that_was_timed_to_pay(
    monkeypatch: pytest.MonkeyPatch, flags: str, faster: float, precision: str
) -> None:
    seconds = {torch.float32: faster, torch.bfloat16: 1.0}
    monkeypatch.setattr(hardware, "_processor", lambda: flags)
    monkeypatch.setattr(hardware, "_seconds_of_product", seconds.__getitem__)
    hardware.bf16_pays_on_cpu.cache_clear()
    try:
        assert hardware.choose_precision("auto", torch.device("cpu")) == precision
    finally:
        hardware.bf16_pays_on_cpu.cache_clear()
