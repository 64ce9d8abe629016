"""A fine-tuned base model with its tokenizer, ready to judge functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.models.tokens import tokenize_in_memory
from enstack.progress.stopping import stop_requests

__all__ = ["FineTunedModel"]

QUIET_BATCHES = 8


@dataclass(frozen=True, eq=False)
class FineTunedModel:
    """A base model of a run with its tokenizer, ready to predict.

    batch_size: functions predicted at once, as in the run. quick: what predicts in the place of the
    classifier, which then answers for lines alone.
    """

    name: str
    classifier: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    max_length: int
    batch_size: int
    hardware: Hardware
    quick: Any = field(default=None, repr=False)

    def predict_proba(self, functions: list[str]) -> np.ndarray:
        """Probabilities (n, k) float32, by the road that the run took for its test functions."""
        with stop_requests() as stop:
            return predict_probabilities(
                self.classifier if self.quick is None else self.quick,
                tokenize_in_memory(functions, self.tokenizer, max_length=self.max_length),
                self.hardware,
                batch_size=self.batch_size,
                pad_token_id=self.tokenizer.pad_token_id,
                title=f"Predicting with {self.name}",
                stop=stop,
                # A few batches are done before a bar could be read.
                level="epoch" if len(functions) <= QUIET_BATCHES * self.batch_size else "batch",
                final=True,
            )
