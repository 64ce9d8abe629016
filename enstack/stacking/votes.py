"""Votes: base models' probabilities averaged, with whole weights, at temperatures of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enstack.metrics.label_task import LabelTask
from enstack.metrics.temperature import fit_temperature, tempered
from enstack.stacking.meta_features import (
    BaseModelProbabilities,
    require_alike,
    require_base_models,
)

__all__ = ["MEAN_VOTE", "MOST_PICKS", "Vote", "fit_temperatures", "greedy_picks"]

MEAN_VOTE = "vote:mean"  # of all base models, as they are

# Caruana's ensembles stop to grow better long before; each pick looks at every base model once.
MOST_PICKS = 50
Score = Callable[[np.ndarray, np.ndarray], float]  # labels, probabilities -> more is better


@dataclass(frozen=True)
class Vote:
    """The weighted mean of base models' probabilities.

    picks: how often each base model is counted, once at least. temperatures: by base model, where
    each is tempered before; empty where probabilities are taken as they are.
    """

    picks: Mapping[str, int]
    temperatures: Mapping[str, float] = field(default_factory=dict)

    @property
    def base_models(self) -> tuple[str, ...]:
        """Whose probabilities are averaged, in order."""
        return tuple(self.picks)

    @property
    def weights(self) -> tuple[float, ...]:
        """The share of each base model in the mean."""
        total = sum(self.picks.values())
        return tuple(times / total for times in self.picks.values())

    def predict_proba(
        self, models: Sequence[BaseModelProbabilities], task: LabelTask
    ) -> np.ndarray:
        """Probabilities (n, k) float32.

        Raises DataError unless the base models are those it was made of, in that order.
        """
        require_base_models("A vote", self.base_models, models)
        require_alike(models)
        # Whole weights: the plain mean stays, to the last bit, the sum over the number of models.
        total = sum(
            times * self._said(model, task).astype(np.float64)
            for times, model in zip(self.picks.values(), models, strict=True)
        )
        return np.asarray(total / sum(self.picks.values()), dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """What votes.json holds of it."""
        return {"picks": dict(self.picks), "temperatures": dict(self.temperatures)}

    def _said(self, model: BaseModelProbabilities, task: LabelTask) -> np.ndarray:
        temperature = self.temperatures.get(model.name)
        if temperature is None:
            return model.probabilities
        return tempered(model.probabilities, temperature, task)


def fit_temperatures(
    models: Sequence[BaseModelProbabilities], labels: np.ndarray, task: LabelTask
) -> dict[str, float]:
    """The temperature of each base model on these rows, by name."""
    return {model.name: fit_temperature(labels, model.probabilities, task) for model in models}


def greedy_picks(
    said: Mapping[str, np.ndarray], score: Callable[[np.ndarray], float]
) -> dict[str, int]:
    """How often each is counted in the vote that greedy selection with replacement finds.

    said: probabilities (n, k) by name. The best one is picked first, then again and again the one
    with which the mean of all picks scores best, MOST_PICKS times; the first of the best votes on
    the way is taken, which has the fewest members. Of equal ones the first by order is picked.
    Method: Caruana et al. 2004, ensemble selection from libraries of models.
    """
    total, picked, scores = np.zeros(1), list[str](), list[float]()
    while len(picked) < MOST_PICKS:
        candidates = {name: score((total + one) / (len(picked) + 1)) for name, one in said.items()}
        best = max(candidates, key=candidates.__getitem__)  # max gives the first of equal ones
        total = total + said[best].astype(np.float64)
        picked.append(best)
        scores.append(candidates[best])
    kept = picked[: int(np.argmax(scores)) + 1]
    return {name: kept.count(name) for name in said if name in kept}
