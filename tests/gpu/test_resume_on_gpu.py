from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack.config import RunConfig
from enstack.errors import CheckpointError, Interrupted
from enstack.training.random_state import random_state, restore_random_state, seed_everything
from enstack.verify_resume import first_difference, verify_resume
from tests.support.equality import training_outcome
from tests.support.gpu_training import all_finite, without_gpu
from tests.support.training import run_training, train_config

Tell = Callable[[str], None]
# Batches of each start; an epoch has 11. The second start of the first chain ends with the epoch,
# and so does the third of the other.
CHAINS = ([4, 7, 5], [1, 9, 1, 12])


def train_in_pieces(
    parts: Any, folder: Path, patched: pytest.MonkeyPatch, pieces: list[int], **settings: Any
) -> dict[str, Any]:
    """All that a run leaves which was stopped after so many batches of each start."""
    config = train_config(folder, **settings)
    for batches in pieces:
        with pytest.raises(Interrupted, match="progress is saved"):
            run_training(*parts, config, patched, stop_after=batches)
    run_training(*parts, config, patched)
    return training_outcome(folder)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_an_interrupted_run_ends_as_the_unbroken_one_bit_for_bit(
    dropout_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    settings = {"precision": precision, "deterministic": True}
    unbroken = train_in_pieces(dropout_parts, tmp_path / "a", monkeypatch, [], **settings)
    for number, pieces in enumerate(CHAINS):
        folder = tmp_path / f"pieces-{number}"
        outcome = train_in_pieces(dropout_parts, folder, monkeypatch, pieces, **settings)
        assert first_difference(unbroken, outcome) is None, pieces


def test_with_loader_processes_and_accumulation_an_interrupted_run_ends_as_the_unbroken_one(
    dropout_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"precision": "auto", "num_workers": 2, "accumulation_steps": 2, "epochs": 2}
    settings["deterministic"] = True
    unbroken = train_in_pieces(dropout_parts, tmp_path / "a", monkeypatch, [], **settings)
    outcome = train_in_pieces(dropout_parts, tmp_path / "b", monkeypatch, [3, 6], **settings)
    assert first_difference(unbroken, outcome) is None


def test_two_trainings_of_heads_and_widths_as_robertas_are_equal_to_the_last_bit(
    wide_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"precision": "auto", "batch_size": 16, "epochs": 3, "deterministic": True}
    first, second = (
        train_in_pieces(wide_parts, tmp_path / name, monkeypatch, [], **settings)
        for name in ("a", "b")
    )
    assert first_difference(first, second) is None


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_what_ordinary_kernels_leave_of_the_same_bits_is_told(
    dropout_parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Tell,
    precision: str,
) -> None:
    first, second, resumed = (
        train_in_pieces(dropout_parts, tmp_path / name, monkeypatch, pieces, precision=precision)
        for name, pieces in (("a", []), ("b", []), ("c", [7]))
    )
    for name, other in (("two unbroken runs", second), ("unbroken and interrupted", resumed)):
        difference = first_difference(first, other)
        verdict = "bit-identical" if difference is None else f"differ first in {difference}"
        tell(f"ordinary kernels, {precision}, {name}: {verdict}")
        assert other["step"] == first["step"] == 0
        assert other["epoch"] == first["epoch"] == 3


def test_dropout_masks_go_on_where_they_were_through_a_weights_only_file() -> None:
    dropout, ones = torch.nn.Dropout(0.5), torch.ones(4096, device="cuda")
    seed_everything(3)
    dropout(ones)
    file = io.BytesIO()
    torch.save(random_state(), file)
    expected = [dropout(ones) for _ in range(3)]
    seed_everything(4)
    file.seek(0)
    restore_random_state(torch.load(file, weights_only=True))
    assert all(torch.equal(dropout(ones), mask) for mask in expected)
    assert not torch.equal(expected[0], expected[1])


@pytest.mark.parametrize(("first", "then"), [("CPU", "GPU"), ("GPU", "CPU")])
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_run_goes_on_on_another_device(
    dropout_parts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tell: Tell,
    first: str,
    then: str,
    precision: str,
) -> None:
    on = {"CPU": without_gpu, "GPU": contextlib.nullcontext}
    config = train_config(tmp_path / "run", epochs=2, precision=precision)
    with on[first](), pytest.raises(Interrupted, match=r"epoch 1, 4 of 11 batches"):
        run_training(*dropout_parts, config, monkeypatch, stop_after=4)
    capsys.readouterr()
    with on[then]():
        run_training(*dropout_parts, config, monkeypatch)
    out = capsys.readouterr().out
    assert "will skip 4 batches (fast-forward), train 7 batches" in out
    said = [line for line in out.splitlines() if line.strip()[:1] in "⏭⚠📦·"]
    tell(f"{first} to {then}, {precision}, said: {said}")
    outcome = training_outcome(tmp_path / "run")
    assert outcome["epoch"] == 2
    assert outcome["scheduler_state_dict"]["last_epoch"] <= outcome["attempted_steps"] == 22
    assert all_finite(outcome["weights"])


@pytest.mark.parametrize(("precision", "workers"), [("auto", "auto"), ("fp32", 0), ("fp16", 0)])
def test_verify_resume_passes(
    tmp_path: Path, tell: Tell, precision: str, workers: int | str
) -> None:
    config = RunConfig(
        data_dir="toy",
        label_mode="cwe_or_clean",
        batch_size=4,
        precision=precision,
        num_workers=workers,
        run_dir=str(tmp_path / "run"),
        local_dir=str(tmp_path / "local"),
    )
    try:
        verify_resume(config, seed=3)
    except CheckpointError as error:
        tell(f"verify-resume, {precision}: {error}")
        raise
