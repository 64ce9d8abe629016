"""Hugging Face Trainer in the modes that users take, timed from one step to another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

from benchmarks.clock import Clock

DEFAULT, GROUPED, FIXED = "Trainer, default", "Trainer, grouped", "Trainer, fixed"
MODES = (DEFAULT, GROUPED, FIXED)


def grouped_by_length() -> dict[str, Any]:
    """The option of this transformers that puts functions of one length into one batch."""
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    if "train_sampling_strategy" in names:
        return {"train_sampling_strategy": "group_by_length"}
    return {"group_by_length": True}


class Watched(Trainer):
    """Trainer that notes the lengths of its batches, on the device, where nobody waits for them."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.lengths: list[torch.Tensor] = []

    def training_step(self, model: Any, inputs: dict[str, torch.Tensor], *rest: Any) -> Any:
        """One batch."""
        self.lengths.append(inputs["attention_mask"].sum(dim=1))
        return super().training_step(model, inputs, *rest)


class Stopwatch(TrainerCallback):
    """Starts and stops a clock at the ends of steps."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """After each optimizer step."""
        self.clock.step_ended()


def train(
    mode: str,
    model: torch.nn.Module,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    clock: Clock,
    *,
    precision: str,
    batch_size: int,
    max_length: int,
    workers: int,
    folder: Path,
) -> list[np.ndarray]:
    """Train until the clock has its steps; the tokens of the functions of each timed batch."""
    padding = {"padding": "max_length", "max_length": max_length} if mode == FIXED else {}
    collate = DataCollatorWithPadding(tokenizer, **(padding or {"pad_to_multiple_of": 8}))
    on_gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        max_steps=clock.last,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=10,
        optim="adamw_torch_fused",
        dataloader_num_workers=workers,
        use_cpu=not on_gpu,
        **{precision: True} if precision != "fp32" else {},
        **grouped_by_length() if mode == GROUPED else {},
    )
    trainer = Watched(
        model, arguments, train_dataset=rows, data_collator=collate, callbacks=[Stopwatch(clock)]
    )
    trainer.train()
    return [lengths.cpu().numpy() for lengths in trainer.lengths[clock.first : clock.last]]
