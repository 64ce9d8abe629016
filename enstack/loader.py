"""Batches as padded tensors, read by a DataLoader that leaves the random generators alone."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from enstack.batches import pad_to
from enstack.stopping import leave_signals_to_the_parent


def pad_batch(examples: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Examples as int64 tensors: input_ids and attention_mask (batch, seq), labels (batch,)."""
    width = pad_to(max(len(example["input_ids"]) for example in examples))
    input_ids = torch.full((len(examples), width), pad_token_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for place, example in enumerate(examples):
        length = len(example["input_ids"])
        input_ids[place, :length] = torch.as_tensor(example["input_ids"])
        attention_mask[place, :length] = 1
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "labels": torch.tensor([example["label"] for example in examples]),
    }


def make_loader(
    examples: Dataset[dict[str, Any]],
    batches: Iterable[list[int]],
    *,
    pad_token_id: int,
    num_workers: int,
    device: torch.device,
) -> DataLoader[dict[str, torch.Tensor]]:
    """A loader of padded batches that draws nothing from the global random generators."""
    return DataLoader(
        examples,
        batch_sampler=batches,
        collate_fn=functools.partial(pad_batch, pad_token_id=pad_token_id),
        num_workers=num_workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=leave_signals_to_the_parent,
        # Without its own generator, iter() draws 64 bits from the global one: a resumed run drifts.
        generator=torch.Generator(),
    )


def worker_count(num_workers: int | str, device: torch.device) -> int:
    """Loader processes; "auto": none on a CPU, whose cores the model needs, else at most two."""
    if isinstance(num_workers, int):
        return num_workers
    return 0 if device.type == "cpu" else min(2, (os.cpu_count() or 1) // 2)
