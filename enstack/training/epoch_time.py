"""How long an epoch will take on this machine, from a short measurement."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, RobertaConfig

from enstack.config import RunConfig
from enstack.errors import EnstackError
from enstack.models.base_models import ATTENTION, HUB_IDS, BaseModel, encoder_config, refuse_length
from enstack.models.hardware import Hardware
from enstack.progress.say import duration
from enstack.training.optimizer import ScheduledOptimizer, learning_rates

N_CLASSES = 5  # as label_mode=cwe has; the head is a sliver of the model
GIB = 2**30
# The first batches also make AdamW's moments and, on a GPU, load kernels: they are not counted.
WARM_UP, MEASURED = 2, 4  # batches
# A batch of full size would take a CPU a minute: a small one tells what a token costs.
CPU_TOKENS = 256


@dataclass(frozen=True)
class BatchCost:
    """What one batch of full-length functions costs in training."""

    seconds: float
    memory: int | None  # bytes of GPU memory at the peak; None on a CPU


def estimate_epoch_time(
    base_models: Sequence[BaseModel], n_functions: int, config: RunConfig, hardware: Hardware
) -> list[str]:
    """A line on each kind of base model: seconds a batch, time an epoch, memory.

    Models of one shape cost the same, and are measured once.
    """
    names: dict[str, list[str]] = {}
    encoders: dict[str, Any] = {}
    for base_model in base_models:
        encoder = encoder_of(base_model)
        refuse_length(base_model, encoder, config.max_length)
        shape = f"{encoder.model_type} {encoder.num_hidden_layers} x {encoder.hidden_size}"
        names.setdefault(shape, []).append(base_model.name)
        encoders.setdefault(shape, encoder)
    return [
        _line(names[shape], encoder, n_functions, config, hardware)
        for shape, encoder in encoders.items()
    ]


def _line(
    names: list[str], encoder: Any, n_functions: int, config: RunConfig, hardware: Hardware
) -> str:
    cost = measure_batch(
        encoder, hardware, batch_size=config.batch_size, max_length=config.max_length
    )
    # An upper bound: every batch is priced at max_length, and many functions are shorter.
    epoch = cost.seconds * math.ceil(n_functions / config.batch_size)
    memory = f", {cost.memory / GIB:.1f} GiB of GPU memory" if cost.memory else ""
    return (
        f"⏱️  {', '.join(names)}: {cost.seconds:.2f} s a batch of {config.batch_size} x "
        f"{config.max_length} tokens{memory}; {n_functions:,} functions take at most "
        f"{duration(epoch)} an epoch and model, {duration(epoch * config.epochs)} with EPOCHS = "
        f"{config.epochs}"
    )


def encoder_of(base_model: BaseModel) -> Any:
    """The configuration to measure with; the paper's models are known here without a network."""
    if base_model.location in HUB_IDS.values():
        # RoBERTa-base, as CodeBERT is; the others differ in their vocabulary, which costs no time.
        positions = 1026 if base_model.location == HUB_IDS["unixcoder"] else 514
        return RobertaConfig(
            vocab_size=50_265, max_position_embeddings=positions, type_vocab_size=1
        )
    return encoder_config(base_model)


def measure_batch(
    encoder: Any, hardware: Hardware, *, batch_size: int, max_length: int
) -> BatchCost:
    """Train a model of this configuration, with random weights, for a few batches.

    encoder: a transformers configuration. On a CPU the batch is made smaller, and its time scaled
    by the number of tokens. Raises EnstackError where a batch does not fit into the GPU's memory.
    """
    rows, width = batch_size, max_length
    if hardware.device.type == "cpu":
        width = min(width, CPU_TOKENS)
        rows = max(1, min(rows, CPU_TOKENS // width))
    try:
        seconds, memory = _train(encoder, rows, width, hardware)
    except torch.OutOfMemoryError:
        raise EnstackError(
            f"A batch of {batch_size} functions of {max_length} tokens must fit into the GPU's "
            f"memory, and it does not. Use BATCH_SIZE = {max(1, batch_size // 2)} with "
            "ACCUMULATION_STEPS = 2: the optimizer then steps as before."
        ) from None
    finally:
        # The next measurement, and training itself, need the room that this model had.
        torch.cuda.empty_cache()
    return BatchCost(seconds * (batch_size * max_length) / (rows * width), memory)


def _train(encoder: Any, rows: int, width: int, hardware: Hardware) -> tuple[float, int | None]:
    """Median seconds of a batch, and the memory at the peak; the random state is left as it was."""
    device, cuda = hardware.device, hardware.device.type == "cuda"
    # The caller's configuration keeps its own number of labels.
    encoder = copy.deepcopy(encoder)
    encoder.num_labels = N_CLASSES
    with torch.random.fork_rng(devices=[device] if cuda else []):
        model = AutoModelForSequenceClassification.from_config(
            encoder, attn_implementation=ATTENTION, trust_remote_code=False
        )
        model.to(device).train()
        # Any rates would do: what a step costs does not depend on them.
        rates = learning_rates(100, peak=1e-5, warmup_ratio=0.1, scheduler="linear")
        optimizer = ScheduledOptimizer(
            model, rates, weight_decay=0.01, max_grad_norm=1.0, precision=hardware.precision
        )
        # From 10 on: RoBERTa counts no positions for padding, whose id is among the first.
        ids = torch.randint(10, encoder.vocab_size, (rows, width), device=device)
        labels = torch.zeros(rows, dtype=torch.long, device=device)
        if cuda:
            torch.cuda.reset_peak_memory_stats(device)
        times = []
        for _ in range(WARM_UP + MEASURED):
            before = time.perf_counter()
            with hardware.autocast():
                logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            optimizer.backward(torch.nn.functional.cross_entropy(logits.float(), labels))
            optimizer.step()
            if cuda:
                # Kernels run behind the program: it would be timed how fast they are asked for.
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - before)
        memory = torch.cuda.max_memory_allocated(device) if cuda else None
    # The median: a batch that the system held up does not count.
    return sorted(times[WARM_UP:])[MEASURED // 2], memory
