"""The table of a GPU's check: what passed, what failed, how fast; tried with stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from enstack.notebook import gpu_check


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("enstack.models.hardware.require_kernels", lambda: None)
    monkeypatch.setattr("enstack.models.hardware.choose_precision", lambda *_: "fp16")
    monkeypatch.setattr(gpu_check, "gpu_line", lambda device: "GPU: Tesla T4, 14.7 GiB")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose tests and benchmark say what they were asked."""
    (tmp_path / "benchmarks").mkdir()
    # Without it this repository's own benchmarks, where they are on the path, would come first.
    (tmp_path / "benchmarks" / "__init__.py").touch()
    (tmp_path / "benchmarks" / "train.py").write_text("import sys; print(*sys.argv[1:])")
    tests = tmp_path / "tests" / "gpu"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(
        "import os\n"
        "def test_it_sees_the_gpu(): assert os.environ['CUDA_VISIBLE_DEVICES'] == '0'\n"
        "def test_it_fails(): assert False, 'why'\n"
    )
    return tmp_path


def test_the_table_names_what_failed_and_shows_the_speed(
    gpu: None,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    table = gpu_check.check_gpu(checkout)
    assert "| machine | GPU: Tesla T4, 14.7 GiB |" in table
    assert "| make test-gpu | 1 failed, 1 passed in " in table
    assert "| failed | tests/gpu/test_it.py::test_it_fails - AssertionError: why" in table
    assert "--hidden 768 --layers 12 --batches 30 --rounds 2 --precision fp16" in table
    assert table in capsys.readouterr().out


def test_what_takes_too_long_or_breaks_is_told_in_the_table(
    gpu: None, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "benchmarks" / "train.py").write_text("raise SystemExit('out of memory')")
    monkeypatch.setattr(gpu_check.subprocess, "run", _impatient(gpu_check.subprocess.run))
    table = gpu_check.check_gpu(checkout)
    assert "| make test-gpu | given up after 360 s |" in table
    assert "```\nout of memory\n```" in table


def _impatient(run):
    """Lets the tests run out of time, and the benchmark run."""

    def it(command, **settings):
        if "pytest" in command:
            raise gpu_check.subprocess.TimeoutExpired(command, settings["timeout"])
        return run(command, **settings)

    return it


def test_without_a_gpu_nothing_is_run_and_that_is_said(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu_check.check_gpu(checkout) == ""
    assert "No GPU that torch can use" in capsys.readouterr().out
