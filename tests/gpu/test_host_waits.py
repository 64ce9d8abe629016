from __future__ import annotations

import collections
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from enstack.progress.stopping import StopRequest
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import LOG_EVERY, train_epoch
from tests.support.gpu_training import train_steps
from tests.support.training import job_of, train_config

Places = collections.Counter[str]
# Read each time the loss is logged: whether a batch was bad, the loss, the next rate (the count of
# steps and the rate itself), and the count of steps.
READS_OF_A_LOG = 5
# Read once an epoch: the count of steps before and after, whether a batch was bad.
READS_OF_AN_EPOCH = 3
# transformers looks in each forward pass whether the mask hides anything (masking_utils).
MASK_CHECKS_OF_A_BATCH = 1


@contextmanager
def waits() -> Iterator[Places]:
    """Where the host waited for the GPU, by file and line, as torch itself notices it."""
    places: Places = collections.Counter()

    def note(message: Any, category: Any, filename: str, lineno: int, *rest: Any) -> None:
        if "called a synchronizing" in str(message):
            places[f"{Path(filename).name}:{lineno}"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")


def by_library(places: Places) -> tuple[int, int]:
    """Waits in transformers' masks, and all others."""
    in_masks = sum(n for place, n in places.items() if place.startswith("masking_utils"))
    return in_masks, sum(places.values()) - in_masks


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_step_waits_for_the_gpu_in_the_check_of_the_mask_alone(
    dropout_parts: Any, tmp_path: Path, tell: Callable[[str], None], precision: str
) -> None:
    config = train_config(tmp_path, precision=precision, batch_size=2)
    training = start_or_resume(job_of(dropout_parts, config))
    train_steps(training, 1)  # AdamW makes its moments in the first
    with waits() as places:
        train_steps(training, 20)
    tell(f"waits of 20 steps, {precision}: {dict(places)}")
    in_masks, others = by_library(places)
    assert others == 0
    assert in_masks <= 20 * MASK_CHECKS_OF_A_BATCH


def test_an_epoch_waits_where_numbers_are_logged_and_nowhere_else(
    dropout_parts: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    config = train_config(tmp_path, precision="bf16", batch_size=2, save_steps=0)
    training = start_or_resume(job_of(dropout_parts, config))
    with waits() as places:
        train_epoch(training, Saver(training), StopRequest())
    tell(f"waits of an epoch of 21 batches: {dict(places)}")
    _, others = by_library(places)
    assert others <= READS_OF_AN_EPOCH + (21 // LOG_EVERY) * READS_OF_A_LOG


def test_nothing_is_fetched_from_the_gpu_in_a_step(
    dropout_parts: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    config = train_config(tmp_path, precision="bf16", batch_size=2)
    training = start_or_resume(job_of(dropout_parts, config))
    train_steps(training, 1)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        train_steps(training, 20)
    counts = {event.key: event.count for event in profiled.key_averages()}
    wanted = ("Synchronize", "Memcpy", "aten::item", "aten::_local_scalar_dense", "aten::nonzero")
    shown = {key: n for key, n in counts.items() if any(word in key for word in wanted)}
    tell(f"of 20 steps, profiled: {shown}")
    fetched = sum(n for key, n in counts.items() if key.startswith("Memcpy DtoH"))
    assert fetched <= 20 * MASK_CHECKS_OF_A_BATCH
    assert sum(n for key, n in counts.items() if key.startswith("Memcpy HtoD")) >= 3 * 20
