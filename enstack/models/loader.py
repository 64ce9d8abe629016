"""Batches as padded tensors, read by a DataLoader that leaves the random generators alone."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from enstack.batches import pad_to
from enstack.models.hardware import Hardware
from enstack.progress.stopping import leave_signals_to_the_parent
from enstack.storage.disks import slow_storage


def pad_batch(examples: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Examples as int64 tensors: input_ids and attention_mask (batch, seq), labels (batch,).

    Of several flags, labels are bool (batch, k).
    """
    # As wide as the longest of this batch needs: padding is computed on and then thrown away.
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
    hardware: Hardware,
) -> DataLoader[dict[str, torch.Tensor]]:
    """A loader of padded batches that draws nothing from the global random generators."""
    return DataLoader(
        examples,
        # Batches of indices are skipped here, so that no skipped function is ever read.
        batch_sampler=batches,
        collate_fn=functools.partial(pad_batch, pad_token_id=pad_token_id),
        num_workers=hardware.workers,
        # Only from pinned memory does a copy to the GPU run beside the computation.
        pin_memory=hardware.device.type == "cuda",
        # Ctrl-C reaches all processes: a worker that died of it would take the batch in work along.
        worker_init_fn=leave_signals_to_the_parent,
        # Without its own generator, iter() draws 64 bits from the global one: a resumed run drifts.
        generator=torch.Generator(),
    )


def why_waiting(local_dir: Path, hardware: Hardware) -> str:
    """Where the time goes when the model waits for its batches, and what to do."""
    if slow := slow_storage(local_dir):
        return (
            f"local_dir {local_dir}, where the tokens lie, is no disk of this machine ({slow}); "
            "set local_dir to one"
        )
    if hardware.device.type == "cpu":
        return "without a GPU the same cores read and train, and more workers would not help"
    workers, cores = hardware.workers, os.cpu_count() or 1
    if workers < cores:
        return f"{workers} of {cores} cores read it; set num_workers={workers + 1} or more"
    return f"all {cores} cores read it already; another program may take them, or the disk is slow"
