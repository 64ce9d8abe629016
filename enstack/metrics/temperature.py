"""Temperature scaling: one number by which a model is made less sure, or surer, of all it says."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from enstack.metrics.label_task import SMALLEST, LabelTask

__all__ = ["fit_temperature", "log_loss_parts", "tempered", "useful_temperature"]

# From hardly more than a guess to hardly less than certain: what lies outside is no fit.
LOWEST, HIGHEST = 0.01, 100.0
PARTS = 5


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray, task: LabelTask) -> float:
    """The temperature by which probabilities (n, k) have the lowest log-loss on these rows.

    Above 1 the model is too sure of itself. 1 where the rows can't tell: there are none, all that
    is said is alike, or all of it is right, so that surer would be better without end. From .01 to
    100. Method: Guo et al. 2017, section 4.2. Raises DataError for rows that do not fit.
    """
    task.require_probabilities(labels, probabilities)
    scores = _scores(task.choices(probabilities))
    of_label = scores[np.arange(len(scores)), task.taken(labels)]

    def slope(log_inverse: float) -> float:
        """Of the log-loss, which is convex in the inverse of the temperature."""
        shares = softmax(np.exp(log_inverse) * scores, axis=1)
        return float(((shares * scores).sum(axis=1) - of_label).mean())

    surest, least_sure = -np.log(LOWEST), -np.log(HIGHEST)
    if (of_label == scores.max(axis=1)).all():
        return 1.0
    if slope(surest) <= 0:
        return LOWEST
    if slope(least_sure) >= 0:
        return HIGHEST
    return float(np.exp(-brentq(slope, least_sure, surest, xtol=1e-12)))


def useful_temperature(labels: np.ndarray, probabilities: np.ndarray, task: LabelTask) -> float:
    """The temperature of these rows; 1 where tempering does not help rows that it is not fitted on.

    Asked of every fifth row in turn, with the temperature of the others: on the rows that it is
    fitted on, a temperature never makes the log-loss higher.
    """
    found, part = fit_temperature(labels, probabilities, task), np.arange(len(labels)) % PARTS
    held_out = probabilities.copy()
    for number in np.unique(part):
        rest = part != number
        one = fit_temperature(labels[rest], probabilities[rest], task)
        held_out[~rest] = tempered(probabilities[~rest], one, task)
    if len(labels) < PARTS or task.log_loss(labels, held_out) >= task.log_loss(
        labels, probabilities
    ):
        return 1.0
    return found


def tempered(probabilities: np.ndarray, temperature: float, task: LabelTask) -> np.ndarray:
    """Probabilities (n, k) at a temperature, in their own type; what is highest stays highest.

    The logarithms of a row's probabilities are divided by it; of flags, the log-odds of each.
    """
    scores = _scores(task.choices(probabilities))
    shares = task.of_choices(softmax(scores / temperature, axis=1)).astype(probabilities.dtype)
    # A flag does not compete with others: rounding that keeps each one's order changes nothing.
    return shares if task.has_thresholds else _with_highest(shares, probabilities.argmax(axis=1))


def log_loss_parts(
    labels: np.ndarray, probabilities: np.ndarray, task: LabelTask
) -> dict[str, Any]:
    """The log-loss, and what it is made of: `refinement` and `calibration`, as JSON values.

    refinement: what is left at the best temperature of these very rows, how badly the model tells
    them apart; calibration: what a better temperature would mend. Method: Berta, Holzmueller et al.
    2025 (arXiv 2501.19195).
    """
    best = fit_temperature(labels, probabilities, task)
    loss = task.log_loss(labels, probabilities)
    # Rounding alone could make it worse by a hair.
    refined = min(loss, task.log_loss(labels, tempered(probabilities, best, task)))
    return {"log_loss": loss, "refinement": refined, "calibration": loss - refined}


def _with_highest(shares: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """The shares (n, k), in each row of which the first highest is at the place (n,) it was at."""
    # Of two that float32 rounds together the first would win, which need not be the higher one.
    moved = np.flatnonzero(shares.argmax(axis=1) != highest)
    largest = shares[moved].max(axis=1, initial=0)
    shares[moved, highest[moved]] = np.nextafter(largest, shares.dtype.type(1))
    return shares


def _scores(shares: np.ndarray) -> np.ndarray:
    """Their logarithms; no share counts as smaller than log-loss lets it be."""
    scores: np.ndarray = np.log(np.maximum(shares, SMALLEST))
    return scores
