"""How far a model is from saying a class: the log-odds whose causes are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from enstack.lines.tokens import batches_of
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["log_odds", "log_odds_of_rows"]


def log_odds(model: FineTunedModel, logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Log-odds (batch,) of a class each, against all others; of flags, of the flag alone.

    logits: (batch, k); classes: (batch,) int64.
    """
    asked = torch.nn.functional.one_hot(classes, logits.shape[-1]).bool()
    of_class = logits[asked]
    settings: Any = model.classifier.config
    if settings.problem_type == SeveralFlags.problem_type:
        return of_class
    # Not the logit alone: adding one number to all logits changes it, and no probability.
    return of_class - torch.logsumexp(logits.masked_fill(asked, -torch.inf), dim=-1)


def log_odds_of_rows(
    model: FineTunedModel, rows: Sequence[list[int]], classes: Sequence[int]
) -> np.ndarray:
    """Log-odds (n,) float64 of a class each, for rows of token ids; in float32, as gradients."""
    found = np.zeros(len(rows))
    for places, input_ids, attention_mask in batches_of(rows, model, model.batch_size):
        asked = torch.tensor([classes[place] for place in places], device=input_ids.device)
        with torch.inference_mode():
            logits = model.classifier(input_ids=input_ids, attention_mask=attention_mask).logits
            found[places] = log_odds(model, logits, asked).cpu().numpy()
    return found
