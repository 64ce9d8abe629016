"""How long batches, and so epochs, will take on this machine, from a short measurement."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, RobertaConfig

from enstack.errors import EnstackError
from enstack.models.base_models import ATTENTION, HUB_IDS, BaseModel, encoder_config
from enstack.models.forward_pass import forward_pass
from enstack.models.hardware import Hardware
from enstack.training.optimizer import ScheduledOptimizer, learning_rates

N_CLASSES = 5  # as label_mode=cwe has; the head is a sliver of the model
# The first batches also make AdamW's moments and, on a GPU, load kernels: they are not counted.
WARM_UP, MEASURED = 1, 3  # batches of each shape
# A batch of full size may take a CPU a minute: then small ones tell what a token costs.
SMALL_TOKENS, PATIENCE = 256, 0.5  # tokens; seconds that a batch of full size may take
# The short probe is this part of the long one, so that what a batch costs beside its tokens shows.
SHORT = 4


@dataclass(frozen=True)
class BatchCost:
    """Seconds of a batch: so many for itself, and for each of its tokens, padding included.

    memory: bytes of GPU memory at the peak; None on a CPU.
    """

    each: float
    per_token: float
    per_token_predicted: float
    memory: int | None = None

    def training(self, batches: int, tokens: int) -> float:
        """Seconds to train on so many batches that hold so many tokens together."""
        return batches * self.each + tokens * self.per_token

    def shared_by(self, processes: int) -> BatchCost:
        """The same where each process computes its share; what they tell each other is not in it.

        What a batch costs for itself, as the optimizer's step, each of them pays in full.
        """
        return dataclasses.replace(
            self,
            per_token=self.per_token / processes,
            per_token_predicted=self.per_token_predicted / processes,
        )

    def prediction(self, tokens: int) -> float:
        """Seconds to predict what holds so many tokens."""
        return tokens * self.per_token_predicted


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

    encoder: a transformers configuration; max_length: tokens of the longest batch. On a CPU that
    is too slow for such batches smaller ones are timed. The random state is left as it was. Raises
    EnstackError where a batch does not fit into the GPU's memory.
    """
    try:
        with torch.random.fork_rng(devices=_gpus(hardware)):
            probe = Probe(encoder, hardware)
            return _fitted(probe, hardware, batch_size, max_length)
    except torch.OutOfMemoryError:
        raise EnstackError(
            f"A batch of {batch_size} functions of {max_length} tokens must fit into the GPU's "
            f"memory, and it does not. Use BATCH_SIZE = {max(1, batch_size // 2)} with "
            "ACCUMULATION_STEPS = 2: the optimizer then steps as before."
        ) from None
    finally:
        # The next measurement, and training itself, need the room that this model had.
        torch.cuda.empty_cache()


def _fitted(probe: Probe, hardware: Hardware, batch_size: int, width: int) -> BatchCost:
    """A line through the times of a short batch and a long one."""
    rows = batch_size
    if hardware.device.type == "cpu":
        width_of_one = min(width, SMALL_TOKENS)
        one = probe.training(1, width_of_one)
        if one * batch_size * width / width_of_one > PATIENCE:
            rows, width = max(1, SMALL_TOKENS // width_of_one), width_of_one
    short = max(1, width // SHORT)
    # The long one first: where memory is short, it is told at once.
    long_seconds, short_seconds = probe.training(rows, width), probe.training(rows, short)
    memory = probe.peak_memory()
    slope = (long_seconds - short_seconds) / (rows * (width - short)) if width > short else 0.0
    each = short_seconds - slope * rows * short
    # Times waver: neither part of a batch costs less than nothing.
    if slope <= 0 or each < 0:
        slope, each = long_seconds / (rows * width), 0.0
    return BatchCost(each, slope, probe.prediction(rows, width) / (rows * width), memory)


def _gpus(hardware: Hardware) -> Sequence[torch.device]:
    return [hardware.device] if hardware.device.type == "cuda" else []


class Probe:
    """A model with random weights, and the time that batches of any shape take it."""

    def __init__(self, encoder: Any, hardware: Hardware) -> None:
        # The caller's configuration keeps its own number of labels.
        encoder = copy.deepcopy(encoder)
        encoder.num_labels = N_CLASSES
        self.hardware, self.vocabulary = hardware, encoder.vocab_size
        self.model = AutoModelForSequenceClassification.from_config(
            encoder, attn_implementation=ATTENTION, trust_remote_code=False
        )
        self.model.to(hardware.device)
        # Any rates would do: what a step costs does not depend on them.
        rates = learning_rates(1000, peak=1e-5, warmup_ratio=0.1, scheduler="linear")
        self.optimizer = ScheduledOptimizer(
            self.model, rates, weight_decay=0.01, max_grad_norm=1.0, precision=hardware.precision
        )
        if hardware.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(hardware.device)

    def training(self, rows: int, width: int) -> float:
        """Seconds to train on a batch of so many functions of so many tokens."""
        ids, labels = self._batch(rows, width)
        self.model.train()

        def train() -> None:
            loss = torch.nn.functional.cross_entropy(self._logits(ids).float(), labels)
            self.optimizer.backward(loss)
            self.optimizer.step()

        return self._timed(train)

    def prediction(self, rows: int, width: int) -> float:
        """Seconds to predict such a batch."""
        ids, _ = self._batch(rows, width)
        self.model.eval()
        with torch.inference_mode():
            return self._timed(lambda: self._logits(ids))

    def peak_memory(self) -> int | None:
        """Bytes of GPU memory so far at the most; None on a CPU."""
        device = self.hardware.device
        return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None

    def _batch(self, rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        device = self.hardware.device
        # From 10 on: RoBERTa counts no positions for padding, whose id is among the first.
        ids = torch.randint(10, self.vocabulary, (rows, width), device=device)
        return ids, torch.zeros(rows, dtype=torch.long, device=device)

    def _logits(self, ids: torch.Tensor) -> Any:
        with forward_pass(self.model, self.hardware):
            return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    def _timed(self, work: Callable[[], object]) -> float:
        """Median seconds of the work."""
        times = []
        for _ in range(WARM_UP + MEASURED):
            before = time.perf_counter()
            work()
            if self.hardware.device.type == "cuda":
                # Kernels run behind the program: it would be timed how fast they are asked for.
                torch.cuda.synchronize(self.hardware.device)
            times.append(time.perf_counter() - before)
        # The median: a batch that the system held up does not count.
        return sorted(times[WARM_UP:])[MEASURED // 2]
