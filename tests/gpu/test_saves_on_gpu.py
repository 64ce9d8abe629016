from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from enstack.checkpoints.host_buffers import HostBuffers
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.toy.tiny_models import TinyModel
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from tests.support.equality import same
from tests.support.gpu_training import train_steps, write_encoder_with_dropout
from tests.support.micro import Parts, training_data_of
from tests.support.training import job_of, train_config

# 51 MB of weights and twice as many of AdamW's: a copy takes longer than the next steps.
LARGER = TinyModel(vocabulary=300, hidden=512, layers=6, heads=8)


@pytest.fixture
def larger_parts(toy_data: Any, tmp_path: Path) -> Parts:
    folder = tmp_path / "larger"
    write_encoder_with_dropout(folder, toy_data.splits["train"].sources.to_pylist(), LARGER)
    model = BaseModel("larger", str(folder))
    tokenizer = load_tokenizer(model)
    return model, tokenizer, training_data_of(toy_data, tokenizer, tmp_path / "cache")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_save_holds_the_step_at_which_it_was_asked_for_while_training_goes_on(
    larger_parts: Parts, tmp_path: Path, tell: Callable[[str], None], precision: str
) -> None:
    config = train_config(tmp_path / "run", epochs=9, batch_size=2, precision=precision)
    job = job_of(larger_parts, config)
    training = start_or_resume(job)
    blocked = []
    with Saver(training) as saver:
        for _ in range(3):
            train_steps(training, 3)
            wanted = {name: w.clone() for name, w in training.model.state_dict().items()}
            started = time.perf_counter()
            saver.save()
            blocked.append(time.perf_counter() - started)
            train_steps(training, 3)
            saver.settle(required=True)
            saved = load_file(job.scratch / "last_checkpoint" / "model.safetensors")
            now = {name: w.cpu() for name, w in training.model.state_dict().items()}
            assert same(saved, {name: w.cpu() for name, w in wanted.items()})
            assert not same(saved, now)
    times = ", ".join(f"{1000 * seconds:.1f}" for seconds in blocked)
    size = 3 * sum(w.nbytes for w in wanted.values())
    tell(f"a save of {size / 1e6:.0f} MB, {precision}, kept the loop waiting for {times} ms")


def test_a_copy_holds_what_stood_there_when_it_was_asked_for() -> None:
    buffers, weights = HostBuffers(), torch.zeros(2**27, device="cuda")
    matrix = torch.randn(4096, 4096, device="cuda")
    for number in range(3):
        # Kernels in flight, behind which the value is written, and the next one behind the copy.
        for _ in range(20):
            matrix = torch.nn.functional.normalize(matrix @ matrix)
        weights.fill_(number)
        copy = buffers.copy({"weights": weights})["weights"]
        weights.fill_(-1)
        assert copy.is_pinned()
        assert bool((copy == number).all())
