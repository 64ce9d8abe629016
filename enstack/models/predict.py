"""Probabilities in example order: one road for the trainer's validation and the final stage."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from enstack.errors import Interrupted
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.first_token import first_token_alone
from enstack.models.hardware import Hardware
from enstack.models.loader import make_loader
from enstack.models.tokens import LabelledTokens
from enstack.progress.bars import Bar
from enstack.progress.screen import Level
from enstack.progress.stopping import StopRequest

# By the label task's problem_type: what makes probabilities of logits (n, k).
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    OneClass.problem_type: functools.partial(torch.softmax, dim=-1),
    SeveralFlags.problem_type: torch.sigmoid,
}


def predict_probabilities(
    model: torch.nn.Module,
    examples: LabelledTokens,
    hardware: Hardware,
    *,
    batch_size: int,
    pad_token_id: int,
    title: str,
    stop: StopRequest,
    level: Level = "batch",
) -> np.ndarray:
    """Probabilities float32 (n_examples, n_classes); row i belongs to example i.

    They add up to 1 in a row, but for a model of several flags, where each stands by itself. The
    model must be on the hardware's device.

    No random generator is touched. A stop that is asked for raises Interrupted: predictions are
    made again, they leave nothing behind.
    """
    batches = batches_by_length(examples.lengths, batch_size)
    loader = make_loader(examples, batches, pad_token_id=pad_token_id, hardware=hardware)
    of_batches: list[torch.Tensor] = []
    model.eval()
    with (
        torch.inference_mode(),
        hardware.autocast(),
        first_token_alone(model),
        Bar(len(batches), title, level=level) as bar,
    ):
        for batch in loader:
            if stop.requested:
                raise Interrupted(f"Stopped in {title}: it is done again next time.")
            # Left on the device: to fetch each one would make the loop wait for the GPU.
            of_batches.append(_probabilities(model, batch, hardware.device))
            bar.advance()
    return _in_example_order(torch.cat(of_batches), batches)


def batches_by_length(lengths: np.ndarray, batch_size: int) -> list[list[int]]:
    """Every row once, long ones first, so that memory runs out at the start or never."""
    # Stable: functions of one length are batched alike on every machine.
    rows = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    return [rows[i : i + batch_size].tolist() for i in range(0, len(rows), batch_size)]


def _probabilities(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], device: torch.device
) -> torch.Tensor:
    logits: torch.Tensor = model(
        input_ids=batch["input_ids"].to(device, non_blocking=True),
        attention_mask=batch["attention_mask"].to(device, non_blocking=True),
    ).logits
    # Half precision ends here: a softmax in it adds up to 1 to three digits only.
    settings: Any = model.config
    return ACTIVATIONS[settings.problem_type](logits.float())


def _in_example_order(probabilities: torch.Tensor, batches: list[list[int]]) -> np.ndarray:
    rows = np.concatenate([np.asarray(batch) for batch in batches])
    ordered = np.empty(tuple(probabilities.shape), dtype=np.float32)
    ordered[rows] = probabilities.cpu().numpy()
    return ordered
