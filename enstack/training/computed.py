"""What a session has trained on so far: functions, tokens, and how much of the work was padding."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch

from enstack.models.energy import used_joules
from enstack.models.flops import Shape, flops_of_training


@dataclass
class Computed:
    """Counts of trained batches; tokens: without padding; seconds: in the loop over batches.

    flops: of training on the tokens alone; padded_flops: with the padding that batches have.
    """

    shape: Shape
    functions: int = 0
    tokens: int = 0
    flops: float = 0.0
    padded_flops: float = 0.0
    seconds: float = 0.0
    _looked_at: float = field(default_factory=time.perf_counter)
    _joules_before: float | None = field(default_factory=used_joules)

    def begin(self) -> None:
        """Time counts from now."""
        self._looked_at = time.perf_counter()

    def add(self, attention_mask: torch.Tensor) -> None:
        """Count a batch that was trained; attention_mask: (n, width) on the CPU, so none waits."""
        lengths = attention_mask.sum(dim=1).tolist()
        width, now = attention_mask.shape[1], time.perf_counter()
        self.functions += len(lengths)
        self.tokens += sum(lengths)
        self.flops += sum(flops_of_training(self.shape, length) for length in lengths)
        self.padded_flops += len(lengths) * flops_of_training(self.shape, width)
        self.seconds, self._looked_at = self.seconds + now - self._looked_at, now

    def account(self) -> dict[str, float]:
        """What a save records of it: also the GPU's memory, in bytes, and energy, in joules."""
        counts = {
            "trained_functions": self.functions,
            "trained_tokens": self.tokens,
            "trained_flops": self.flops,
            "padded_flops": self.padded_flops,
            "step_seconds": round(self.seconds, 3),
        }
        if torch.cuda.is_available():
            counts["peak_memory"] = torch.cuda.max_memory_allocated()
        if self._joules_before is not None and (joules := used_joules()) is not None:
            counts["joules"] = joules - self._joules_before
        return counts
