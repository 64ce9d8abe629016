"""The methods by name, and what each line of a function adds for several base models together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from enstack.errors import ConfigError
from enstack.lines.attention import attention_rollout
from enstack.lines.gradients import gradient_x_input, integrated_gradients
from enstack.lines.occlusion import occlusion
from enstack.lines.tokens import TokensOfLines, tokens_of_lines
from enstack.models.fine_tuned import FineTunedModel

__all__ = ["DEFAULT", "METHODS", "line_scores", "shares", "the_method"]

Method = Callable[
    [FineTunedModel, Sequence[TokensOfLines], Sequence[int]],
    list[np.ndarray],
]
METHODS: dict[str, Method] = {
    "gradient x input": gradient_x_input,
    "integrated gradients": integrated_gradients,
    "attention roll-out": attention_rollout,
    "occlusion": occlusion,
}
# What found known lines best on validation functions, and costs least: see docs/scanning.md.
DEFAULT = "attention roll-out"


def line_scores(
    models: Sequence[FineTunedModel],
    weights: Sequence[float],
    functions: Sequence[str],
    classes: Sequence[int],
    method: str = DEFAULT,
) -> list[np.ndarray]:
    """How much each line (n_lines,) float64 tells for a function's class, below 0 against it.

    classes: a column of the probabilities for each function. Of every model the scores are shares
    of all that its lines add and take away, so that none is louder than its weight. Functions are
    read as the models read them: lines that are cut off have 0. Raises ConfigError for a method
    that is none.
    """
    attribute = the_method(method)
    total = [np.zeros(1 + function.count("\n")) for function in functions]
    for model, weight in zip(models, weights, strict=True):
        said = attribute(model, tokens_of_lines(functions, model), classes)
        for whole, scores in zip(total, said, strict=True):
            whole += weight * shares(scores)
    return total


def the_method(name: str) -> Method:
    """The method by that name; ConfigError for one that is none."""
    if name not in METHODS:
        raise ConfigError(f"The method must be one of {', '.join(METHODS)}, found {name!r:.40}.")
    return METHODS[name]


def shares(scores: np.ndarray) -> np.ndarray:
    """Scores of lines as shares of all that they add and take away."""
    everything = np.abs(scores).sum()
    return scores / everything if everything > 0 else np.zeros_like(scores)
