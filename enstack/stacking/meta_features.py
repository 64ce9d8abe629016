"""Base models' probabilities as meta-features, their mean vote, and the leak guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import logit

from enstack.errors import DataError

# What a meta-classifier is given: probabilities, their logarithms, or the log-odds of flags.
Form = Literal["probabilities", "log_probabilities", "log_odds"]
# Softmax in half precision gives 0 and 1 themselves, whose logarithms have no end.
LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class BaseModelProbabilities:
    """What one base model says of some functions.

    ids: (n,) unicode; probabilities: (n, k) float32; seen: (n,) bool, True where the base model
    was trained on the function or was selected on it.
    """

    name: str
    ids: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray


def meta_features(
    models: Sequence[BaseModelProbabilities], form: Form = "probabilities"
) -> np.ndarray:
    """The base models' probabilities side by side: (n, m * k) float64, or (n, m) for two classes.

    form: of two classes the logarithms are those of the odds, one column as well. Raises DataError
    unless all models hold the same ids in the same order and as many classes. Method: EnStack
    (arXiv 2411.16561).
    """
    require_alike(models)
    # Of two classes one column says all: the other is one minus it, collinear.
    first = int(models[0].probabilities.shape[1] == 2)
    shares = np.hstack([model.probabilities[:, first:] for model in models]).astype(np.float64)
    if form == "probabilities":
        return shares
    shares = shares.clip(LEAST_SHARE, 1 - LEAST_SHARE)
    return logit(shares) if form == "log_odds" or first else np.log(shares)


def mean_vote(models: Sequence[BaseModelProbabilities]) -> np.ndarray:
    """The plain mean of the base models' probabilities: (n, k) float32."""
    require_alike(models)
    stacked = np.stack([model.probabilities for model in models])
    return np.asarray(stacked.mean(axis=0, dtype=np.float64), dtype=np.float32)


ON_META_ROWS = (
    "Meta-classifiers must be fitted on functions that no base model has seen",
    "Give holdout or out-of-fold probabilities (meta_features=holdout|out_of_fold).",
)
ON_TEST = (
    "A model must be measured on functions that it has not seen",
    "Train it without these, or leave it out.",
)


def refuse_leaks(
    models: Iterable[BaseModelProbabilities], rule: tuple[str, str] = ON_META_ROWS
) -> None:
    """Raise DataError when a base model has seen a row that it would be asked about.

    rule: what it would be asked for, and what to do instead. On rows that a base model has seen it
    is surer than it will ever be again, and a stack learns to trust it.
    """
    for model in models:
        seen = np.flatnonzero(model.seen)
        if len(seen):
            raise DataError(
                f"{rule[0]}: {model.name} was trained or selected on {len(seen):,} of "
                f"{len(model.ids):,}, first {model.ids[seen[0]]}.\n{rule[1]}"
            )


def require_base_models(
    what: str, names: Sequence[str], models: Sequence[BaseModelProbabilities]
) -> None:
    """Raise DataError unless the models are of these names, in this order; what: is asked."""
    # Of other base models, or in another order, every number would have a wrong meaning.
    found = [model.name for model in models]
    if found != list(names):
        raise DataError(
            f"{what} was fitted on {', '.join(names)}; it must get these in this order, found "
            f"{', '.join(found) or 'none'}."
        )


def taken(model: BaseModelProbabilities, rows: np.ndarray) -> BaseModelProbabilities:
    """Some rows (m,) int64 of what a base model says."""
    return replace(
        model, ids=model.ids[rows], probabilities=model.probabilities[rows], seen=model.seen[rows]
    )


def require_alike(models: Sequence[BaseModelProbabilities]) -> None:
    """Raise DataError unless all hold the same finite rows, ids in the same order."""
    if not models:
        raise DataError("A stack must have at least one base model, found none.")
    for model in models:
        _require_same_rows(models[0], model)
        _require_whole(model)
    n_classes = {model.name: model.probabilities.shape[1] for model in models}
    if len(set(n_classes.values())) > 1:
        raise DataError(f"All base models must have as many classes, found {n_classes}.")


def _require_same_rows(first: BaseModelProbabilities, model: BaseModelProbabilities) -> None:
    if len(model.ids) != len(first.ids):
        raise DataError(
            f"All base models must hold the same functions: {first.name} holds "
            f"{len(first.ids):,}, {model.name} {len(model.ids):,}."
        )
    # By id, not by number alone: rows in another order would give each function another's label.
    differing = np.flatnonzero(model.ids != first.ids)
    if len(differing):
        row = differing[0]
        raise DataError(
            f"All base models must hold the same functions in the same order: row {row} is "
            f"{first.ids[row]} for {first.name}, {model.ids[row]} for {model.name} "
            f"({len(differing):,} such rows)."
        )


def _require_whole(model: BaseModelProbabilities) -> None:
    n_rows, shape = len(model.ids), model.probabilities.shape
    if len(shape) != 2 or shape[0] != n_rows or model.seen.shape != (n_rows,):
        raise DataError(
            f"{model.name} must hold one row of probabilities and one seen mark per id ({n_rows:,})"
            f", found shapes {shape} and {model.seen.shape}."
        )
    # Said by name here: an estimator would only tell that its input has NaN.
    bad = np.flatnonzero(~np.isfinite(model.probabilities).all(axis=1))
    if len(bad):
        raise DataError(
            f"Probabilities must be finite, {model.name} has NaN or infinity in {len(bad):,} of "
            f"{n_rows:,} rows, first {model.ids[bad[0]]}: the base model diverged, train it again."
        )
