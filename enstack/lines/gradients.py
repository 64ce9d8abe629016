"""Gradient x input, and integrated gradients: what each token's embedding adds to the log-odds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from enstack.lines.log_odds import log_odds
from enstack.lines.tokens import NO_LINE, TokensOfLines, batches_of, per_line
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["gradient_x_input", "integrated_gradients"]

STEPS = 16  # of Gauss and Legendre's rule, which is exact for polynomials of degree 31


def gradient_x_input(
    model: FineTunedModel, functions: Sequence[TokensOfLines], classes: Sequence[int]
) -> list[np.ndarray]:
    """What each line (n_lines,) float64 adds, as the log-odds' gradient at the function tells.

    Method: Shrikumar et al. 2016, not just a black box.
    """
    return _attributed(model, functions, classes, steps=None)


def integrated_gradients(
    model: FineTunedModel, functions: Sequence[TokensOfLines], classes: Sequence[int]
) -> list[np.ndarray]:
    """What each line (n_lines,) float64 adds on the way from no code to the function.

    No code: every token is padding, but those that stand for no text. The lines add up to the
    difference of the log-odds. Method: Sundararajan et al. 2017, axiomatic attribution.
    """
    return _attributed(model, functions, classes, steps=STEPS)


def _attributed(
    model: FineTunedModel,
    functions: Sequence[TokensOfLines],
    classes: Sequence[int],
    *,
    steps: int | None,
) -> list[np.ndarray]:
    model.classifier.eval()
    found: list[np.ndarray] = [np.zeros(0)] * len(functions)
    rows = [one.input_ids for one in functions]
    # A backward pass keeps what prediction throws away: as many at once as in training.
    for places, input_ids, mask in batches_of(rows, model, max(1, model.batch_size // 2)):
        asked = torch.tensor([classes[place] for place in places], device=input_ids.device)
        has_line = torch.zeros_like(mask, dtype=torch.bool)
        for row, place in enumerate(places):
            has_line[row, : len(rows[place])] = torch.from_numpy(functions[place].lines != NO_LINE)
        scores = _of_batch(model, (input_ids, mask, asked), has_line, steps).cpu().numpy()
        for row, place in enumerate(places):
            found[place] = per_line(functions[place], scores[row, : len(rows[place])])
    return found


def _of_batch(
    model: FineTunedModel,
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    has_line: torch.Tensor,
    steps: int | None,
) -> torch.Tensor:
    """What each token adds (batch, seq) float64."""
    table = model.classifier.get_input_embeddings()
    with torch.no_grad():
        embedded = table(batch[0])
        if steps is None:
            return torch.sum((_gradient(model, batch, embedded) * embedded).double(), dim=-1)
        nothing = table(torch.full_like(batch[0], model.tokenizer.pad_token_id))
        start = torch.where(has_line[..., None], nothing, embedded)
    places, weights = np.polynomial.legendre.leggauss(steps)
    gradient = torch.zeros_like(embedded, dtype=torch.float64)
    # The rule is for -1 to 1, the way is from 0 to 1.
    for share, weight in zip((places + 1) / 2, weights / 2, strict=True):
        point = start + float(share) * (embedded - start)
        gradient += weight * _gradient(model, batch, point).double()
    return torch.sum(gradient * (embedded - start), dim=-1)


def _gradient(
    model: FineTunedModel,
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    embedded: torch.Tensor,
) -> torch.Tensor:
    """The log-odds' gradient by the tokens' embeddings (batch, seq, width), at these."""
    input_ids, mask, asked = batch
    with torch.enable_grad(), _embeddings_are(model, embedded.detach().clone()) as there:
        logits = model.classifier(input_ids=input_ids, attention_mask=mask).logits
        # Functions of a batch have nothing to do with each other: the sum's gradient is each one's.
        (gradient,) = torch.autograd.grad(log_odds(model, logits, asked).sum(), there)
    return gradient


@contextlib.contextmanager
def _embeddings_are(model: FineTunedModel, embedded: torch.Tensor) -> Iterator[torch.Tensor]:
    """Put embeddings (batch, seq, width) in the place of those that the model looks up.

    Not as inputs_embeds, from which RoBERTa counts padding as text, and which some models refuse.
    """
    embedded.requires_grad_()
    table = model.classifier.get_input_embeddings()
    hook = table.register_forward_hook(lambda *_: embedded)
    try:
        yield embedded
    finally:
        hook.remove()
